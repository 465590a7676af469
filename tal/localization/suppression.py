"""Of segments of one class that overlap, the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tal.settings import LocalizeSettings
from tal.types import Detection

Floats = NDArray[np.float64]
_NEGLIGIBLE = 1e-3  # soft suppression drops what keeps less than this share of its score


def suppress(detections: Sequence[Detection], settings: LocalizeSettings) -> list[Detection]:
    """Suppress overlapping detections of one class as the settings say; best first."""
    extra_s = 1.0 if settings.plus_one else 0.0
    if settings.suppression == "soft":
        return _soft(detections, settings.nms, extra_s)
    return _hard(detections, settings.nms, extra_s)


def _hard(detections: Sequence[Detection], tiou: float, extra_s: float) -> list[Detection]:
    """Drop, best first, what overlaps a better detection by more than `tiou` (greedy NMS)."""
    order, start, end = _ordered(detections)
    alive = np.ones(len(order), bool)
    for i in range(len(order)):
        if alive[i]:
            shared, union = _overlap(start, end, i, extra_s)
            alive[i + 1 :] &= shared[i + 1 :] <= tiou * union[i + 1 :]
    return [d for d, keep in zip(order, alive, strict=True) if keep]


def _soft(detections: Sequence[Detection], sigma: float, extra_s: float) -> list[Detection]:
    """Lower scores by exp(-tIoU^2 / sigma) for each better detection (Bodla et al., 2017, eq. 3 with a Gaussian).

    Scores may be negative: they fall by the same share of their height above the lowest.
    """
    order, start, end = _ordered(detections)
    score = np.array([d.score for d in order])
    base = min(0.0, float(score.min(initial=0.0)))
    height, keep, left = score - base, np.ones(len(order)), np.ones(len(order), bool)
    found: list[Detection] = []
    while left.any():
        i = int(np.argmax(np.where(left, height * keep, -1.0)))
        left[i] = False
        found.append(replace(order[i], score=float(base + height[i] * keep[i])))
        shared, union = _overlap(start, end, i, extra_s)
        tiou = shared / np.where(union > 0, union, 1)
        keep *= np.exp(-(tiou**2) / sigma) if sigma else np.where(tiou > 0, 0.0, 1.0)
        left &= keep > _NEGLIGIBLE
    return found


def _ordered(detections: Sequence[Detection]) -> tuple[list[Detection], Floats, Floats]:
    order = sorted(detections, key=lambda d: (-d.score, d.segment.start_s, d.segment.end_s))
    return order, np.array([d.segment.start_s for d in order]), np.array([d.segment.end_s for d in order])


def _overlap(start: Floats, end: Floats, i: int, extra_s: float) -> tuple[Floats, Floats]:
    """Return what detection i shares with each, and their unions, seconds."""
    shared = np.maximum(0, np.minimum(end[i], end) - np.maximum(start[i], start) + extra_s)
    return shared, (end[i] - start[i] + extra_s) + (end - start + extra_s) - shared
