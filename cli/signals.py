"""Ctrl-C and SIGTERM: the command ends within a second, whatever computes at the moment.

Python hands a signal to the main thread once it is back from what it called, which may be a network's pass over a
batch. So a second thread hears of the signal at once and gives the main thread a short while to end by itself:
temporary files removed, the terminal put right. Then it ends the process. Nothing that was finished is lost by that:
outputs are written aside and renamed, and what remains of the others is found and taken up, or thrown away.

A process that was started to ignore Ctrl-C, as shells do in the background of a script, keeps ignoring it.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

INTERRUPTED, TERMINATED = 130, 143
"""Exit statuses: 128 and the signal's number, as shells count."""

GRACE_S = 0.6
"""How long the main thread may take to end by itself."""

HEARING_S = 0.1
"""How much later than the main thread the other one may hear of a signal."""

SHOW_CURSOR = "\x1b[?25h"
_WORDS = {INTERRUPTED: "interrupted", TERMINATED: "terminated"}


@contextmanager
def heeded() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end what runs inside with exit status 130 or 143, and say how to go on.

    Outside of the main thread, where signals do not arrive, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    watch, before, hook = _Watch(), signal.signal(signal.SIGTERM, _terminate), sys.unraisablehook
    sys.unraisablehook = _without_endings(hook)
    try:
        yield
    except KeyboardInterrupt:
        watch.leave(INTERRUPTED)
        sys.exit(INTERRUPTED)
    except SystemExit as leaving:
        if leaving.code in _WORDS:
            watch.leave(int(leaving.code))
        raise
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, before)
        watch.close()


def _without_endings(hook: Callable[[UnraisableHookArgs], object]) -> Callable[[UnraisableHookArgs], object]:
    """Say nothing of a signal that came where nothing can be raised, as in a finalizer: the watch ends the command."""

    def told(found: UnraisableHookArgs) -> None:
        if not isinstance(found.exc_value, (KeyboardInterrupt, SystemExit)):
            hook(found)

    return told


def _terminate(number: int, frame: FrameType | None) -> None:
    raise SystemExit(TERMINATED)


def how_to_go_on(status: int) -> str:
    """Return the line with which an interrupted command ends."""
    same = "the same command without --force" if "--force" in sys.argv else "the same command"
    return f"{_WORDS[status]}; what is finished is kept, {same} goes on from there"


class _Watch:
    """A thread that hears of signals at once."""

    def __init__(self) -> None:
        self._turn, self._told = threading.Lock(), False
        self._heard = threading.Event()
        self._hear, self._ring = os.pipe()
        os.set_blocking(self._ring, False)
        self._before = signal.set_wakeup_fd(self._ring, warn_on_full_buffer=False)
        _leave_to_children()
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    def leave(self, status: int) -> None:
        """Say how to go on and, if a signal was the reason, end at once: taking PyTorch apart may take seconds."""
        self.tell(status)
        if self._heard.wait(HEARING_S):
            with suppress(OSError):
                sys.stdout.flush()
            _end(status)

    def tell(self, status: int) -> None:
        """Say once how to go on; whoever comes second goes on when it is said, or soon if nobody reads it."""
        if self._turn.acquire(timeout=GRACE_S):
            try:
                if not self._told:
                    self._told = True
                    print(f"\n{how_to_go_on(status)}", file=sys.stderr, flush=True)
            finally:
                self._turn.release()

    def close(self) -> None:
        """Hear of no further signals; a process that is ending by one still ends in time."""
        signal.set_wakeup_fd(self._before)
        os.close(self._ring)

    def _listen(self) -> None:
        statuses = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}
        while heard := os.read(self._hear, 1):
            if heard[0] in statuses:
                self._heard.set()
                self._wait()
                self.tell(statuses[signal.Signals(heard[0])])
                _end(statuses[signal.Signals(heard[0])])
        os.close(self._hear)

    def _wait(self) -> None:
        """Give the main thread its time; a second signal cuts it short."""
        until = time.monotonic() + GRACE_S
        again, _, _ = select.select([self._hear], [], [], GRACE_S)
        if again and not os.read(self._hear, 1):  # closed: the command is over, what is left is to leave
            time.sleep(max(0.0, until - time.monotonic()))


@cache
def _leave_to_children() -> None:
    """Let a forked process have its signals to itself: they would be heard here, too, and nobody hears them there.

    Without the thread that listens, a handler runs once Python is back from what it called: maybe never. So SIGTERM
    ends a forked process as it would without us.
    """

    def forget() -> None:
        with suppress(ValueError):
            signal.set_wakeup_fd(-1)
            if signal.getsignal(signal.SIGTERM) is _terminate:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)

    os.register_at_fork(after_in_child=forget)


def _end(status: int) -> None:
    """End the process and its workers; a progress bar has hidden the cursor."""
    if sys.stderr.isatty():
        print(SHOW_CURSOR, end="", file=sys.stderr, flush=True)
    if "multiprocessing" in sys.modules:
        for child in sys.modules["multiprocessing"].active_children():
            child.kill()
    os._exit(status)
