"""What a picture shows: one video as one or several methods see it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tal.annotations import Instance
from tal.errors import ConfigError, suggest
from tal.timelines import Curves, Mark, Timeline
from tal.types import FloatArray, Segment

HIDDEN = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Row:
    """What one method says about a video.

    Attributes:
        name: The method, for people; empty where it is the only one.
        timeline: What it says.
    """

    name: str
    timeline: Timeline


@dataclass(frozen=True)
class Picture:
    """One video as one or several methods see it.

    Attributes:
        rows: At least one, all of one video.
        labels: What is drawn, in this order.
    """

    rows: tuple[Row, ...]
    labels: tuple[str, ...]

    @property
    def video(self) -> str:
        """Name of the video."""
        return self.rows[0].timeline.video

    @property
    def duration_s(self) -> float:
        """Length of the video in seconds, the longest that is told; above 0, so that one can divide by it."""
        longest_s = max(row.timeline.duration_s for row in self.rows)
        return longest_s if longest_s > 1e-3 else 1.0

    @property
    def truth(self) -> tuple[Instance, ...] | None:
        """Ground truth, from the first method that comes with some."""
        return next((row.timeline.truth for row in self.rows if row.timeline.truth is not None), None)

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Marks of the video, from the method that comes with most of them."""
        return max((row.timeline.marks for row in self.rows), key=len)


def picture(
    rows: Sequence[Row],
    labels: Sequence[str] = (),
    min_score: float | None = None,
    top: int = 0,
    curves: bool = True,
) -> Picture:
    """Return what is drawn of one video.

    Args:
        rows: At least one, all of one video.
        labels: Which labels; empty for all that any method detects or the truth knows, the true ones first.
        min_score: Leave out detections with a lower score.
        top: Leave out all but so many of a method's best detections per label; 0 keeps all.
        curves: Whether to keep curves.

    Raises:
        ConfigError: If a wanted label is known to no method, nor to the truth.
    """
    _require_known(rows, labels)
    if not curves:
        rows = [replace(row, timeline=replace(row.timeline, curves={})) for row in rows]
    kept = tuple(replace(row, timeline=_chosen(row.timeline, set(labels), min_score, top)) for row in rows)
    if labels:
        return Picture(kept, tuple(dict.fromkeys(labels)))
    true = {one.label for row in kept for one in row.timeline.truth or ()}
    found = dict.fromkeys(label for row in kept for label in row.timeline.labels)
    return Picture(kept, tuple(sorted(found, key=lambda label: label not in true)))  # sorting keeps the order of equals


def _require_known(rows: Sequence[Row], labels: Sequence[str]) -> None:
    known = {label for row in rows for label in row.timeline.labels}
    known |= {label for row in rows for curves in row.timeline.curves.values() for label in curves.cas}
    for label in labels:
        if label not in known:
            raise ConfigError(f"--class '{label}': not among what is known of this video{suggest(label, known)}")


def _chosen(timeline: Timeline, labels: set[str], min_score: float | None, top: int) -> Timeline:
    kept, seen = [], dict[str, int]()
    for one in sorted(timeline.detections, key=lambda d: -d.score):
        seen[one.label] = seen.get(one.label, 0) + 1
        wanted = not labels or one.label in labels
        if wanted and (min_score is None or one.score >= min_score) and not (top and seen[one.label] > top):
            kept.append(one)
    return replace(timeline, detections=tuple(kept))


def shares(timeline: Timeline) -> dict[int, float]:
    """Return place of each detection to its score, mapped into [0, 1] for shades and heights.

    Scores that are nowhere negative are divided by the best; others are stretched between worst and best.
    """
    scores = np.array([detection.score for detection in timeline.detections], float)
    if not len(scores):
        return {}
    low, high = min(0.0, float(scores.min())), float(scores.max())
    span = high - low
    return dict(enumerate(((scores - low) / span if span > 0 else np.ones_like(scores)).tolist()))


def scale(curves: Curves, labels: Sequence[str]) -> tuple[float, float]:
    """Return the least and the greatest CAS of these labels in one network, (0, 1) where there is none."""
    values = [curves.cas[label] for label in labels if label in curves.cas and len(curves.cas[label])]
    if not values:
        return 0.0, 1.0
    return min(float(v.min()) for v in values), max(float(v.max()) for v in values)


def stretched(values: FloatArray, low: float, high: float) -> NDArray[np.float64]:
    """Return values mapped from [low, high] to [0, 1]; all 0 where there is no span."""
    if not high > low:
        return np.zeros(len(values))
    return np.clip((np.asarray(values, np.float64) - low) / (high - low), 0, 1)


def columns(segment: Segment, duration_s: float, n: int) -> tuple[int, int]:
    """Return the half-open range of `n` columns that a segment touches; at least one column, all within [0, n]."""
    first = min(n - 1, max(0, int(segment.start_s / duration_s * n)))
    last = min(n, max(first + 1, int(np.ceil(min(segment.end_s / duration_s, 1.0) * n - 1e-9))))
    return first, last


def binned(times_s: NDArray[np.float64], values: NDArray[np.float64], duration_s: float, n: int) -> NDArray[np.float64]:
    """Return a curve over `n` equal columns of a video, (n,): its peak in each, interpolated where a column has none.

    Args:
        times_s: Increasing, (T,) with T > 0.
        values: (T,).
        duration_s: Length of the video.
        n: Number of columns.
    """
    middles = (np.arange(n) + 0.5) * duration_s / n
    out = np.interp(middles, times_s, values)
    place = np.clip((times_s / duration_s * n).astype(int), 0, n - 1)
    peaks = np.full(n, -np.inf)
    np.maximum.at(peaks, place, values)
    return np.where(np.isfinite(peaks), peaks, out)


def networks(row: Row, label: str) -> Iterator[tuple[str, Curves]]:
    """Yield the networks that have a curve for a label; the name is empty where there is one network."""
    for name, one in row.timeline.curves.items():
        if label in one.cas and len(one.times_s):
            yield ("" if len(row.timeline.curves) == 1 else name), one


def to_dict(shown: Picture) -> dict[str, Any]:
    """Return a picture as JSON-ready values: seconds, and curves as they are."""
    truth = shown.truth
    return {
        "video": shown.video,
        "duration_s": shown.duration_s,
        "labels": list(shown.labels),
        "truth": None if truth is None else [{"label": one.label, "segment": _pair(one.segment)} for one in truth],
        "marks": [{"kind": one.kind, "segment": _pair(one.segment), "text": one.text} for one in shown.marks],
        "methods": [_method(row, shown.labels) for row in shown.rows],
    }


def _method(row: Row, labels: Sequence[str]) -> dict[str, Any]:
    found = row.timeline.detections
    return {
        "name": row.name,
        "reason": row.timeline.reason,
        "detections": [{"label": d.label, "segment": _pair(d.segment), "score": float(d.score)} for d in found],
        "curves": {
            network: {
                "times_s": curves.times_s.tolist(),
                "cas": {label: curves.cas[label].tolist() for label in labels if label in curves.cas},
                "attention": None if curves.attention is None else curves.attention.tolist(),
            }
            for network, curves in row.timeline.curves.items()
        },
    }


def _pair(segment: Segment) -> list[float]:
    return [segment.start_s, segment.end_s]


def visible(text: str) -> str:
    """Return text on one line, what is not to be seen in it replaced."""
    return "".join(
        c if c.isprintable() or unicodedata.category(c) == "Zs" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
