"""Figures short enough for a page: rounded, and counted in bins."""

from __future__ import annotations

import numpy as np

from tal.evaluation.overlaps import Floats

N_BINS = 24
WIDE, DEEPEST = 100.0, 1e-5
"""Where the largest value is so many times the smallest, bins are on a log scale, down to this share of the largest."""


def rounded(values: Floats) -> list[float]:
    """Return figures in [0, 1] to four digits."""
    return [round(v, 4) for v in values.tolist()]


def significant(value: float) -> float:
    """Return a figure to five significant digits."""
    return float(f"{value:.5g}")


def bin_edges(values: Floats) -> tuple[Floats, bool]:
    """Return the bounds of equally wide bins, (B + 1,), and whether they are so on a log scale.

    Args:
        values: What is to be counted, at least one.
    """
    low, high = float(values.min()), float(values.max())
    positive = values[values > 0]
    least = max(float(positive.min()), DEEPEST * high) if len(positive) else 0.0
    if low >= 0 and least > 0 and high / least > WIDE:
        return np.geomspace(least, high, N_BINS + 1), True
    room = 0.0 if high > low else max(abs(high), 1.0) / 2
    return np.linspace(low - room, high + room, N_BINS + 1), False


def binned(values: Floats, edges: Floats) -> list[int]:
    """Count values by bin, lower bound included; what lies beyond the bounds is in the outermost bins."""
    where = np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(edges) - 2)
    counts: list[int] = np.bincount(where, minlength=len(edges) - 1).tolist()
    return counts
