"""Average precision of weighted videos, from detections that were ranked and matched once; see `tal.bootstrap`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int32]


@dataclass(frozen=True)
class Ranking:
    """The detections of one class, best score first, matched with its instances.

    Attributes:
        videos: Index of each detection's video, (D,); V for one that is not resampled and always counts once.
        matched: True positives, (N, D).
        counted: What is not ignored, true positives included, (N, D).
        n_instances: True instances of each video, (V,).
    """

    videos: NDArray[np.int64]
    matched: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    n_instances: Counts

    def average_precision(self, rows: Counts, interpolated: bool) -> Floats:
        """Return AP of each threshold and resample, (N, R), NaN where the class has no instance.

        Args:
            rows: How often each video counts, and ones for those that are not resampled, (V + 1, R).
            interpolated: Whether precision is made non-increasing first.
        """
        (where,) = np.nonzero(self.n_instances)
        n = self.n_instances[where] @ rows[where]  # (R,)
        ranks = np.flatnonzero(self.matched.any(axis=0))
        found = self._counts_at(ranks, rows)  # (ranks, R)
        area = np.zeros((len(self.matched), rows.shape[1]))
        for i, matched in enumerate(self.matched):
            hits = np.flatnonzero(matched)
            w = rows[self.videos[hits]]
            h = w.cumsum(axis=0, dtype=np.int32)
            c = found[np.searchsorted(ranks, hits)] - self._ignored_before(i, hits, rows)
            area[i] = (_interpolated if interpolated else _stepwise)(w, h, c)
        ap: Floats = np.divide(area, n, out=np.full_like(area, np.nan), where=n > 0)
        return ap

    def _counts_at(self, ranks: NDArray[np.int64], rows: Counts) -> Counts:
        """Return the weight of all detections up to each of some ranks, (ranks, R)."""
        if not len(ranks):
            return np.zeros((0, rows.shape[1]), np.int32)
        starts = np.concatenate([[0], ranks[:-1] + 1])
        between: Counts = np.add.reduceat(rows[self.videos[: ranks[-1] + 1]], starts, axis=0, dtype=np.int32)
        return between.cumsum(axis=0, dtype=np.int32)

    def _ignored_before(self, threshold: int, ranks: NDArray[np.int64], rows: Counts) -> Counts:
        """Return the weight of the ignored detections before each of some ranks, (ranks, R), or one zero."""
        ignored = np.flatnonzero(~self.counted[threshold])
        if not len(ignored):
            return np.zeros((1, 1), np.int32)
        before = np.zeros((len(ignored) + 1, rows.shape[1]), np.int32)
        rows[self.videos[ignored]].cumsum(axis=0, dtype=np.int32, out=before[1:])
        return before[np.searchsorted(ignored, ranks)]


def _interpolated(w: Counts, h: Counts, c: Counts) -> Floats:
    precision = h / np.maximum(c, 1)
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    area: Floats = (w * envelope).sum(axis=0)
    return area


def _stepwise(w: Counts, h: Counts, c: Counts) -> Floats:
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, c.max(initial=0) + 1))])
    area: Floats = (w - (c - h) * (harmonic[c] - harmonic[c - w])).sum(axis=0)
    return area


@dataclass(frozen=True)
class Matched:
    """A set of detections, matched once, over K classes.

    Attributes:
        rankings: One per class that has an instance, (K,).
        interpolated: Whether the protocol makes precision non-increasing.
    """

    rankings: Sequence[Ranking]
    interpolated: bool

    def mean_average_precision(self, weights: Counts) -> Floats:
        """Return mAP of each threshold and resample, (N, R), over the classes that a resample has; (V, R) weights."""
        rows = np.vstack([weights, np.ones((1, weights.shape[1]), np.int32)])
        ap = (one.average_precision(rows, self.interpolated) for one in self.rankings)
        total, n = np.zeros(()), np.zeros(weights.shape[1])
        for values in ap:
            total = total + np.nan_to_num(values)
            n += ~np.isnan(values[0])
        mean: Floats = total / n
        return mean
