"""What an extraction did, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tal.storage.urls import url_of


@dataclass(frozen=True)
class ExtractReport:
    """What an extraction did.

    Attributes:
        shards: Video name to its shard, of all videos that succeeded; a URL is folded as `tal.storage` allows.
        made: Names of the videos whose shard was made now.
        failures: Video name to the one-line reason of its failure.
        remarks: Video name to what is missing in it, of videos read now that are damaged and were used all the same.
        n_snippets: Snippets in the shards made now.
        seconds: Wall time.
        hours: Length of the videos whose shard was made now.
        seconds_by_stage: How long each stage's own thread worked on it, waiting for other stages left out; stages
            overlap, so that together they may work longer than `seconds`, and shares are of their sum.
    """

    shards: Mapping[str, Path]
    made: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)
    n_snippets: int = 0
    seconds: float = 0.0
    hours: float = 0.0
    seconds_by_stage: Mapping[str, float] = field(default_factory=dict)

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the videos whose shard was there before."""
        made = set(self.made)
        return tuple(name for name in self.shards if name not in made)

    @property
    def snippets_per_s(self) -> float:
        """Snippets made per second of wall time; 0 where none was made."""
        return self.n_snippets / self.seconds if self.seconds else 0.0

    @property
    def times_real_time(self) -> float:
        """Seconds of video per second of wall time."""
        return self.hours * 3600 / self.seconds if self.seconds else 0.0

    @property
    def share_by_stage(self) -> dict[str, float]:
        """Each stage's part of all stages' work; the parts add up to 1. Empty where no stage worked."""
        total = sum(self.seconds_by_stage.values())
        return {name: worked / total for name, worked in self.seconds_by_stage.items() if worked} if total else {}

    def _repr_html_(self) -> str:
        """Return the table that a notebook shows."""
        from tal import display

        made, failed = set(self.made), [(name, "failed", reason) for name, reason in self.failures.items()]
        done = [(v, "made" if v in made else "kept", self.remarks.get(v, "")) for v in list(self.shards)[:100]]
        left = max(0, len(self.shards) - 100)
        notes = [f"and {left} more"] if left else []
        return display.table(f"{len(self.shards)} shards", ("video", "shard", "remark"), [*failed, *done], notes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "shards": {name: url_of(path) or str(path) for name, path in self.shards.items()},
            "made": list(self.made),
            "kept": list(self.kept),
            "failures": dict(self.failures),
            "remarks": dict(self.remarks),
            "n_snippets": self.n_snippets,
            "hours": self.hours,
            "seconds": self.seconds,
            "snippets_per_s": self.snippets_per_s,
            "times_real_time": self.times_real_time,
            "seconds_by_stage": dict(self.seconds_by_stage),
            "share_by_stage": self.share_by_stage,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ExtractReport:
        """Rebuild a report from what `to_dict` made of it."""
        paths = {name: Path(path) for name, path in values["shards"].items()}
        given = ("failures", "remarks", "n_snippets", "seconds", "hours", "seconds_by_stage")
        return cls(paths, tuple(values["made"]), **{name: values[name] for name in given})
