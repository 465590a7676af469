"""Where the program ``tal`` begins: before anything is loaded, so that an early Ctrl-C is no traceback.

The first process of a container gets only signals that it has a handler for: SIGTERM gets one at once.
"""

from __future__ import annotations


def main() -> None:
    """Load the command line and run it."""
    import os
    import signal
    import sys

    def end(word: str, status: int) -> None:
        print(f"\n{word}; nothing was begun", file=sys.stderr, flush=True)
        os._exit(status)

    signal.signal(signal.SIGTERM, lambda *_: end("terminated", 143))
    try:
        from cli import app
    except KeyboardInterrupt:
        end("interrupted", 130)
    app.main()
