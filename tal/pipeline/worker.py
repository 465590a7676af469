"""The child of `tal.pipeline.supervising`: reads a job from its standard input, tells on its standard output.

It stops, as if interrupted, when its input ends: whoever started it has stopped or is gone.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, TextIO

from tal.errors import TalError
from tal.ledger import leave_all
from tal.pipeline.memory import OUT_OF_MEMORY, MemoryShortError
from tal.pipeline.supervising import INTERRUPTED, Job
from tal.progress import Silent, Task

MOMENT_S = 0.1
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Do one job; the last line is the report or the error, or there is none."""
    told = _Teller(_own_output())
    _die_with_parent()
    text = _first_line()
    _stop_at_end_of_input()
    try:
        told.tell(report=_run(text, told))
    except MemoryShortError:
        sys.exit(OUT_OF_MEMORY)
    except TalError as error:
        told.tell(error=[type(error).__name__, str(error)])
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _run(text: str, progress: _Teller) -> dict[str, Any]:
    from tal.cache import Cache
    from tal.pipeline.context import Context
    from tal.pipeline.extraction import run_job
    from tal.settings import Settings

    job = Job.from_json(text)
    settings = Settings.model_validate(job.settings)
    return run_job(job, Context(settings, Cache(Path(job.cache), job.force), progress)).to_dict()


class _Teller(Silent):
    """Progress as lines of JSON."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._lock, self._numbers = out, threading.Lock(), count()

    def tell(self, **values: Any) -> None:
        """Write a line; nobody reads it once the parent is gone."""
        with self._lock, suppress(BrokenPipeError):
            self._out.write(json.dumps(values) + "\n")
            self._out.flush()

    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[Task]:
        """Open a bar at the parent's."""
        number = next(self._numbers)
        self.tell(open=number, task=[title, total, unit])
        try:
            yield _Task(self, number)
        finally:
            self.tell(close=number)

    def say(self, text: str) -> None:
        """Have the parent say a line."""
        self.tell(say=text)

    def detail(self, text: str) -> None:
        """Have the parent tell a detail."""
        self.tell(detail=text)


class _Task:
    def __init__(self, teller: _Teller, number: int) -> None:
        self._teller, self._number = teller, number

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Count more as done."""
        self._teller.tell(advance=self._number, by=amount, note=note)

    def expect(self, total: float) -> None:
        """Say how many there are."""
        self._teller.tell(expect=self._number, total=total)


def _own_output() -> TextIO:
    """Keep the pipe to the parent for ourselves; what libraries print goes to the error output."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _first_line() -> str:
    found = bytearray()
    while not found.endswith(b"\n") and (more := os.read(0, 1 << 16)):
        found += more
    return found.decode("utf-8")


def _stop_at_end_of_input() -> None:
    """Interrupt the main thread, once, at a signal or when the parent closes our input."""
    stopping = threading.Event()
    main_thread = threading.main_thread().ident or 0

    def stop(*_: object) -> None:
        if not stopping.is_set():
            stopping.set()
            raise KeyboardInterrupt

    def watch() -> None:
        while os.read(0, 1 << 10):
            pass
        time.sleep(MOMENT_S)  # a parent that is dying takes us along, and what we had in work is seen from that
        leave_all()  # before anybody loses patience
        if hasattr(signal, "pthread_kill"):  # wakes what waits for a lock
            signal.pthread_kill(main_thread, signal.SIGTERM)
        else:
            signal.raise_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as shells start what runs in the background of a script
        signal.signal(signal.SIGINT, stop)
    threading.Thread(target=watch, name="parent", daemon=True).start()


def _die_with_parent() -> None:
    """On Linux, be killed when the thread that started us ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
