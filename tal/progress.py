"""How a long stage tells what it is doing, without knowing who listens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


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
