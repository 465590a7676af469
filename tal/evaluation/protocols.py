"""Two ways to match detections with ground truth; the same detections get different numbers from them.

activitynet: Each detection, best score first, takes the still free instance that it overlaps most, if
    tIoU >= threshold; of equal overlaps the later instance. AP is interpolated as in PASCAL VOC 2011. Of equal scores
    the one later in the results goes first, because the kit reverses an ascending sort. The kit's sort is not stable:
    where many scores are equal its numbers differ between processors, these do not. Used by STPN, CPMN, ASSG and ECM.
thumos14: ``TH14evalDet``. Each instance, in the order of the file, takes the still free detection of largest overlap,
    if tIoU > threshold; of equal overlaps the better score. Other detections that touch an ambiguous segment are
    ignored, the rest are false positives. AP is not interpolated. Equal scores go by video name, then by their order in
    the results. Used by CMCS.

Axes: N thresholds, D detections (best score first), I instances.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Protocol:
    """A way to count.

    Attributes:
        match: From tIoU (D, I) and thresholds (N,) to which detections are true positives, (N, D).
        interpolated: Whether precision is made non-increasing before it is averaged.
        forgives_ambiguous: Whether unmatched detections that touch ambiguous time are ignored.
        later_first: Whether of equal scores the later one goes first; else by video name, then the earlier one.
    """

    match: Callable[[Floats, Floats], Bools]
    interpolated: bool
    forgives_ambiguous: bool
    later_first: bool


def tiou_matrix(a: Floats, b: Floats) -> Floats:
    """Return the tIoU of each segment of `a` (D, 2) with each of `b` (I, 2), (D, I); 0 where both have no length."""
    shared = np.minimum(a[:, None, 1], b[None, :, 1]) - np.maximum(a[:, None, 0], b[None, :, 0])
    shared = np.maximum(shared, 0.0)  # (D, I)
    union = (a[:, 1] - a[:, 0])[:, None] + (b[:, 1] - b[:, 0])[None, :] - shared
    tiou: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return tiou


def match_activitynet(tiou: Floats, thresholds: Floats) -> Bools:
    """Let each detection take its best free instance."""
    n_detections, n_instances = tiou.shape
    rows = np.arange(len(thresholds))
    matched = np.zeros((len(thresholds), n_detections), dtype=bool)
    free = np.ones((len(thresholds), n_instances), dtype=bool)
    backwards = tiou[:, ::-1]  # argmax takes the first of equal values: the later instance
    for d in np.flatnonzero(tiou.max(axis=1, initial=0.0) >= thresholds.min()):
        overlap = np.where(free, backwards[d], -1.0)  # (N, I)
        best = overlap.argmax(axis=1)
        matched[:, d] = overlap[rows, best] >= thresholds
        free[rows, best] &= ~matched[:, d]
    return matched


def match_thumos14(tiou: Floats, thresholds: Floats) -> Bools:
    """Let each instance take its best free detection."""
    n_detections, n_instances = tiou.shape
    rows = np.arange(len(thresholds))
    free = np.ones((len(thresholds), n_detections), dtype=bool)
    for i in range(n_instances if n_detections else 0):
        overlap = np.where(free, tiou[:, i], -1.0)  # (N, D)
        best = overlap.argmax(axis=1)
        free[rows, best] &= overlap[rows, best] <= thresholds
    return ~free


def average_precision(matched: Bools, counted: Bools, n_instances: int, interpolated: bool) -> Floats:
    """Return the area under the precision-recall curve.

    Args:
        matched: True positives, best score first, (N, D).
        counted: Detections that are not ignored, (N, D).
        n_instances: Number of true instances, at least 1.
        interpolated: Replace each precision by the largest at equal or higher recall (VOC 2011).

    Returns:
        AP per threshold in [0, 1], (N,).
    """
    precision = matched.cumsum(axis=1) / np.maximum(counted.cumsum(axis=1), 1)
    if interpolated:
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    area: Floats = (precision * matched).sum(axis=1) / n_instances
    return area


PROTOCOLS: Mapping[str, Protocol] = {
    "activitynet": Protocol(match_activitynet, interpolated=True, forgives_ambiguous=False, later_first=True),
    "thumos14": Protocol(match_thumos14, interpolated=False, forgives_ambiguous=True, later_first=False),
}
