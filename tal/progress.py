"""How a long stage tells what it is doing, without knowing who listens."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

PACE_S = 0.1
"""Between two times that quick work on many files is told of: telling may take longer than the work."""


class Task(Protocol):
    """One bar of work in progress."""

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Count `amount` more units as done; `note` says what is being worked on."""

    def expect(self, total: float) -> None:
        """Say how many units there are in all, where that was not known at first."""


class Progress(Protocol):
    """Where stages report; the command line draws it, the Python API is silent by default."""

    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[Task]:
        """Open a bar for `total` units (None: not known)."""
        ...

    def say(self, text: str) -> None:
        """Tell the user one line."""

    def detail(self, text: str) -> None:
        """Tell one line to those who asked for more: what was found, chosen or timed."""


class _NoTask:
    def advance(self, amount: float = 1, note: str = "") -> None:
        """Ignore."""

    def expect(self, total: float) -> None:
        """Ignore."""


class Silent:
    """Report nothing."""

    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[Task]:
        """Open a bar that nobody sees."""
        yield _NoTask()

    def say(self, text: str) -> None:
        """Ignore."""

    def detail(self, text: str) -> None:
        """Ignore."""


def paced(paths: Iterable[Path], task: Task) -> Iterator[Path]:
    """Yield files that each take a moment, counting them as done now and then, the last ones at the end."""
    n, told_s = 0, time.monotonic()
    last = Path()
    for last in paths:
        yield last
        n += 1
        if (now_s := time.monotonic()) - told_s >= PACE_S:
            task.advance(n, last.name)
            n, told_s = 0, now_s
    if n:
        task.advance(n, last.name)
