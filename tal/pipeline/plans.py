"""What an extraction would do, as a value."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tal.storage.urls import url_of

Action = Literal["make", "keep", "redo", "unusable"]


@dataclass(frozen=True)
class Planned:
    """What would become of one video.

    Attributes:
        path: The video; a URL is folded as `tal.storage` allows.
        action: ``make``, ``keep``, ``redo`` or ``unusable``.
        reason: Why it would be made again, or cannot be used, in one line; else empty.
        duration_s: When the video ends, seconds: as the file claims, or as its shard that is kept says.
        n_snippets: Snippets in that time, or in the shard.
        n_bytes: About the size of the shard, or the size of the one that is kept.
    """

    path: Path
    action: Action
    reason: str = ""
    duration_s: float | None = None
    n_snippets: int | None = None
    n_bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "path": url_of(self.path) or str(self.path)}


@dataclass(frozen=True)
class Plan:
    """What an extraction would do.

    Attributes:
        videos: In the order in which they would be taken.
        notes: What else is to be said, one line each.
    """

    videos: tuple[Planned, ...]
    notes: tuple[str, ...] = ()

    def of(self, *actions: Action) -> tuple[Planned, ...]:
        """Return the videos with which one of these would be done."""
        return tuple(one for one in self.videos if one.action in actions)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"videos": [one.to_dict() for one in self.videos], "notes": list(self.notes)}
