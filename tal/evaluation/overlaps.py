"""Which segments of one set overlap which of another: found by sorting, never by comparing all with all.

Segments are compared within groups (a video, or a class in a video). What ends before a segment starts, or starts after
it ends, is skipped by binary search: the rest costs about as much as there are overlaps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BLOCK = 1 << 20
"""Candidate pairs that are looked at in one go; bounds the memory."""


@dataclass(frozen=True)
class Spans:
    """Segments in groups.

    Attributes:
        group: Which group each belongs to, at least 0, (n,).
        bounds: Starts and ends, (n, 2).
    """

    group: Ints
    bounds: Floats

    def take(self, which: Ints) -> Spans:
        """Return some of them, in the order of `which`."""
        return Spans(self.group[which], self.bounds[which])


@dataclass(frozen=True)
class Pairs:
    """Overlapping segments of two sets, P pairs, those of one `a` together and in ascending order of `a`.

    Attributes:
        a: Index into the first set, (P,).
        b: Index into the second set, (P,).
        tiou: Their tIoU, in (0, 1], (P,).
    """

    a: Ints
    b: Ints
    tiou: Floats


def overlapping(a: Spans, b: Spans, least: float = 0.0) -> Pairs:
    """Return all pairs of one group that share time and whose tIoU is at least `least`."""
    order = np.lexsort((b.bounds[:, 0], b.group))
    (rows,) = np.nonzero(np.isin(a.group, b.group))
    low, high = _candidates(a.take(rows), b.take(order))
    found = [_shared(a, b, rows[i], order[j], least) for i, j in _blocks(low, high)]
    i, j, tiou = (np.concatenate(column) for column in zip(*found, strict=True))
    return Pairs(i, j, tiou)


def _candidates(a: Spans, b: Spans) -> tuple[Ints, Ints]:
    """Return the range of `b`, sorted by group and start, outside of which nothing overlaps: first and end, (n,) each.

    Times are replaced by their ranks, so that group and time make one whole number.
    """
    starts, ends = np.unique(b.bounds[:, 0]), np.unique(b.bounds[:, 1])
    width = len(starts) + len(ends) + 1
    start_key = b.group * width + np.searchsorted(starts, b.bounds[:, 0])
    end_key = np.maximum.accumulate(b.group * width + np.searchsorted(ends, b.bounds[:, 1]))
    high = np.searchsorted(start_key, a.group * width + np.searchsorted(starts, a.bounds[:, 1], "left"))
    low = np.searchsorted(end_key, a.group * width + np.searchsorted(ends, a.bounds[:, 0], "right"))
    return low, np.maximum(low, high)


def _blocks(low: Ints, high: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Yield the indices of candidate pairs, about `BLOCK` at a time."""
    total = np.cumsum(high - low)
    cuts = np.searchsorted(total, np.arange(BLOCK, total[-1], BLOCK)) if len(total) else np.zeros(0, np.int64)
    for rows in np.split(np.arange(len(low)), np.unique(cuts)):
        counts = high[rows] - low[rows]
        i = np.repeat(rows, counts)
        within = np.arange(len(i)) - np.repeat(np.cumsum(counts) - counts, counts)
        yield i, low[i] + within


def _shared(a: Spans, b: Spans, i: Ints, j: Ints, least: float) -> tuple[Ints, Ints, Floats]:
    """Return the pairs among the candidates that overlap enough, and their tIoU."""
    first, second = a.bounds[i], b.bounds[j]
    shared = np.minimum(first[:, 1], second[:, 1]) - np.maximum(first[:, 0], second[:, 0])
    union = (first[:, 1] - first[:, 0]) + (second[:, 1] - second[:, 0]) - shared
    kept = shared > 0
    tiou = np.divide(shared, union, out=np.zeros_like(shared), where=kept)
    kept &= tiou >= least
    return i[kept], j[kept], tiou[kept]
