"""Signals over time: scaled, interpolated, cut into runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tal.settings import LocalizeSettings
from tal.types import FloatArray

Runs = NDArray[np.int64]
Mask = NDArray[np.bool_]


def upsample(values: FloatArray, scale: int) -> FloatArray:
    """Interpolate (T, C) linearly between snippet centres to (T * scale, C); ends are held."""
    t = len(values)
    at = np.clip((np.arange(t * scale) + 0.5) / scale - 0.5, 0, t - 1)
    lower = np.floor(at).astype(int)
    share = (at - lower)[:, None].astype(np.float32)
    result: FloatArray = (1 - share) * values[lower] + share * values[np.minimum(lower + 1, t - 1)]
    return result


def normalised(values: FloatArray, settings: LocalizeSettings) -> FloatArray:
    """Scale each class of (T, C) over time as ``localize.normalise`` says."""
    if settings.normalise == "no":
        return values
    return minmax(values, floor=0.0 if settings.normalise == "positive" else -np.inf)


def minmax(values: FloatArray, floor: float = -np.inf) -> FloatArray:
    """Scale each class of (T, C) over time to [0, 1]; a constant class becomes zero.

    Args:
        values: Signals.
        floor: Least and largest value count as this much at least; what lies below it becomes negative.
    """
    low, high = (np.maximum(bound, floor) for bound in (values.min(axis=0), values.max(axis=0)))
    scaled: FloatArray = (values - low) / np.where(high > low, high - low, 1)
    return np.asarray(scaled, np.float32)


def runs(mask: Mask) -> Runs:
    """Return the maximal stretches of True as (n, 2) pairs [first, last + 1)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return edges.reshape(-1, 2).astype(np.int64)


def widened(stretches: Runs, reach: int, length: int) -> Runs:
    """Widen each stretch by `reach` on either side within [0, length) and join those that touch."""
    if not reach or not len(stretches):
        return stretches
    first, stop = np.maximum(stretches[:, 0] - reach, 0), np.minimum(stretches[:, 1] + reach, length)
    apart = np.flatnonzero(first[1:] > stop[:-1])
    return np.stack([first[np.append(0, apart + 1)], stop[np.append(apart, len(stop) - 1)]], axis=1)
