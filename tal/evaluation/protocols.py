"""The arithmetic of the protocols: overlap and average precision; the rules themselves are in `PROTOCOLS`.

Axes: N thresholds, D detections (best score first), I instances.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tal.settings.protocols import PROTOCOLS, Protocol

__all__ = ["PROTOCOLS", "Protocol", "average_precision", "tiou_matrix"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def tiou_matrix(a: Floats, b: Floats) -> Floats:
    """Return the tIoU of each segment of `a` (D, 2) with each of `b` (I, 2), (D, I); 0 where both have no length."""
    shared = np.minimum(a[:, None, 1], b[None, :, 1]) - np.maximum(a[:, None, 0], b[None, :, 0])
    shared = np.maximum(shared, 0.0)  # (D, I)
    union = (a[:, 1] - a[:, 0])[:, None] + (b[:, 1] - b[:, 0])[None, :] - shared
    tiou: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return tiou


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
