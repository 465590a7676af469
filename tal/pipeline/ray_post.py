"""What a worker of the Ray engine tells its driver: events in a queue, in place of progress and of a ledger."""

from __future__ import annotations

import queue
from typing import Any, Literal

from tal.ledger import Record
from tal.progress import Silent

Kind = Literal["record", "there", "key", "ended", "snippets", "say", "detail", "seconds", "trouble", "short"]
Event = tuple[Kind, Any]
AT_ONCE: tuple[Kind, ...] = ("ended", "key", "trouble", "short")
"""Events that end a worker's answer: the driver should hear of them now."""


class Post(Silent):
    """Progress, and how a ledger is told, as events."""

    def __init__(self, events: queue.SimpleQueue[Event]) -> None:
        self._events = events

    def put(self, kind: Kind, value: Any) -> None:
        """Tell one thing."""
        self._events.put((kind, value))

    def finish(self, record: Record) -> None:
        """Have the driver write down how a video ended."""
        self.put("record", record)

    def say(self, text: str) -> None:
        """Have the driver say a line."""
        self.put("say", text)

    def detail(self, text: str) -> None:
        """Have the driver tell a detail."""
        self.put("detail", text)


class Snippets:
    """A bar at the driver's."""

    def __init__(self, post: Post) -> None:
        self._post = post

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Count more as done."""
        self._post.put("snippets", amount)

    def expect(self, total: float) -> None:
        """Ignore."""


class NoBar:
    """A bar that nobody sees: the driver counts videos."""

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Ignore."""

    def expect(self, total: float) -> None:
        """Ignore."""
