"""What a comparison of runs found: mAP of each, and how sure their differences are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from tal.bootstrap import Interval


@dataclass(frozen=True)
class Line:
    """One run, or several that differ in their seed.

    Attributes:
        name: As the user calls it.
        members: Run folders or detections files.
        map: mAP of each member at each threshold, in [0, 1].
        average: Mean of the members' mean mAP over thresholds, with its interval over videos, without
            the bias of resampling; its sign says nothing.
        missing: Videos of the subset of which some member says nothing; what happens in them counts as missed.
        extra: Videos that the ground truth does not know; what some member detects in them counts as false.
    """

    name: str
    members: tuple[str, ...]
    map: tuple[tuple[float, ...], ...]
    average: Interval
    missing: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean over members at each threshold."""
        return tuple(fmean(values) for values in zip(*self.map, strict=True))

    @property
    def deviation(self) -> tuple[float, ...] | None:
        """Standard deviation over members (n - 1) at each threshold; None for one member."""
        return None if len(self.map) < 2 else tuple(stdev(values) for values in zip(*self.map, strict=True))

    @property
    def average_deviation(self) -> float | None:
        """Standard deviation over members (n - 1) of the mean over thresholds; None for one member."""
        return None if len(self.map) < 2 else stdev(fmean(values) for values in self.map)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values; all mAP in [0, 1]."""
        plain = {key: value for key, value in asdict(self.average).items() if key != "other_sign"}
        average = {**plain, "deviation": self.average_deviation}
        about = {"name": self.name, "members": list(self.members), "map": [list(values) for values in self.map]}
        spread = None if self.deviation is None else list(self.deviation)
        videos = {"missing": list(self.missing), "extra": list(self.extra)}
        return {**about, "mean": list(self.mean), "deviation": spread, "average": average, **videos}


@dataclass(frozen=True)
class Pair:
    """The difference of two lines, paired over videos.

    Attributes:
        first: Name of a line.
        second: Name of another.
        difference: Average mAP of the first less that of the second.
        one_sided: Videos of the subset that only one of the two says something of.
    """

    first: str
    second: str
    difference: Interval
    one_sided: tuple[str, ...]

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out zero."""
        return not self.difference.low <= 0 <= self.difference.high

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        sides = {"first": self.first, "second": self.second, **asdict(self.difference)}
        return {**sides, "significant": self.significant, "one_sided": list(self.one_sided)}


@dataclass(frozen=True)
class Comparison:
    """What was compared, how, and what came out.

    Attributes:
        protocol: How was counted.
        subset: Evaluated subset of the truth.
        videos: Named set of videos; empty for all of the subset.
        tiou: Thresholds.
        n_videos: Evaluated videos.
        n_instances: Their true instances.
        n_resamples: Resamples of the bootstrap.
        seed: Of the draws.
        confidence: Share of the resamples inside an interval.
        lines: As they were named.
        pairs: Every two lines, or each with the one that was asked for.
        remarks: What to know beside the numbers, as evaluation tells it, a line each.
    """

    protocol: str
    subset: str
    videos: str
    tiou: tuple[float, ...]
    n_videos: int
    n_instances: int
    n_resamples: int
    seed: int
    confidence: float
    lines: tuple[Line, ...]
    pairs: tuple[Pair, ...]
    remarks: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        how: Mapping[str, Any] = {"resamples": self.n_resamples, "seed": self.seed, "confidence": self.confidence}
        return {
            **{"protocol": self.protocol, "subset": self.subset, "videos": self.videos, "tiou": list(self.tiou)},
            **{"n_videos": self.n_videos, "n_instances": self.n_instances, "bootstrap": how},
            "lines": [line.to_dict() for line in self.lines],
            "pairs": [pair.to_dict() for pair in self.pairs],
            "remarks": list(self.remarks),
        }
