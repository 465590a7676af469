"""What a check of a copy says: one line per finding, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

Part = Literal["videos", "features", "annotations"]
Level = Literal["fits", "note", "absent", "problem"]
SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """One thing about a copy.

    Attributes:
        level: ``fits``; ``note``, worth knowing; ``absent``, not there and not asked for; ``problem``.
        part: What it is about.
        where: File or folder, relative to the root; empty for the copy as a whole.
        what: What was found.
        remedy: What to do; empty where nothing is to be done.
        videos: The videos that it is about, all of them.
    """

    level: Level
    part: Part
    where: str
    what: str
    remedy: str = ""
    videos: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """One line, without level and part."""
        where = f"{self.where}: " if self.where else ""
        return f"{where}{self.what}" + (f"; {self.remedy}" if self.remedy else "")

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {**vars(self), "videos": list(self.videos)}


def named(videos: Collection[str]) -> str:
    """Return the first names of some videos, in words."""
    first = sorted(videos)[:SHOWN]
    return ", ".join(first) + (", ..." if len(videos) > SHOWN else "")


def counted(n: int, what: str) -> str:
    """Return a number with its noun: ``1 video``, ``2 videos``."""
    plural = f"{what[:-1]}ies" if what.endswith("y") else f"{what}es" if what.endswith("s") else f"{what}s"
    return f"{n} {what if n == 1 else plural}"


def has_problem(findings: Iterable[Finding]) -> bool:
    """Return whether something does not fit."""
    return any(one.level == "problem" for one in findings)
