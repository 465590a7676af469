"""Where the program ``tal`` begins: before anything is loaded, so that an early Ctrl-C is no traceback."""

from __future__ import annotations


def main() -> None:
    """Load the command line and run it."""
    import os
    import sys

    try:
        from cli import app
    except KeyboardInterrupt:
        print("\ninterrupted; nothing was begun", file=sys.stderr, flush=True)
        os._exit(130)
    app.main()
