"""Detections as subtitles: at no time two cues, each with the strongest detections of its time, one per line."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from tal.exports._text import span_ms
from tal.types import Detection

MOST_LINES = 6
"""Lines of a cue; more would hide the picture."""


@dataclass(frozen=True, slots=True)
class Cue:
    """What is shown for a while.

    Attributes:
        start_ms: When it appears, milliseconds.
        end_ms: When it goes.
        shown: Indices of the detections, by falling score.
    """

    start_ms: int
    end_ms: int
    shown: tuple[int, ...]


def cues(detections: Sequence[Detection], most: int = MOST_LINES) -> Iterator[Cue]:
    """Yield cues in order; none overlap, touching ones differ.

    Args:
        detections: Of one video.
        most: How many detections a cue shows, the strongest.
    """
    last: Cue | None = None
    for cue in _slices(detections, most):
        if last and last.end_ms == cue.start_ms and last.shown == cue.shown:
            last = Cue(last.start_ms, cue.end_ms, cue.shown)
            continue
        if last:
            yield last
        last = cue
    if last:
        yield last


def _slices(detections: Sequence[Detection], most: int) -> Iterator[Cue]:
    """Yield a cue for each stretch of time in which nothing begins or ends."""
    events = []
    for index, detection in enumerate(detections):
        start_ms, end_ms = span_ms(detection.segment)
        entry = (-detection.score, index)
        events += [(start_ms, True, entry), (end_ms, False, entry)]
    active: list[tuple[float, int]] = []  # sorted
    since_ms = 0
    for time_ms, group in groupby(sorted(events), key=lambda event: event[0]):
        if active:
            yield Cue(since_ms, time_ms, tuple(index for _, index in active[:most]))
        for _, begins, entry in group:
            if begins:
                insort(active, entry)
            else:
                del active[bisect_left(active, entry)]
        since_ms = time_ms


def clock(time_ms: int, point: str) -> str:
    """Return ``HH:MM:SS.mmm`` with the given decimal point; hours may have more digits."""
    seconds, milli = divmod(time_ms, 1000)
    minutes, second = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}{point}{milli:03d}"
