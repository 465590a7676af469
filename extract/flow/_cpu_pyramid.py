"""Frames at a level's size, as the solver reads them, and the flow carried from level to level.

A level's first frame is (height, stride) float32. Its second is (height + 2 MARGIN, width + 2 MARGIN, 4) float32: gray
level, its x and y derivative and nothing, with zeros around; a bicubic tap then is one load.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from extract.flow._cpu_compile import kernel
from tal.types import ByteArray, FloatArray

MARGIN: Final = 4
"""Zeros around a frame that is sampled: no tap of a clamped position leaves them, px."""
HALF: Final = np.float32(0.5)


@kernel
def _axis(n: int, n_source: int, step: float) -> tuple[Any, FloatArray]:
    """Return, for each of n pixels, the left of the two pixels that it lies between and the weight of the right one."""
    left, weight = np.empty(n, np.int64), np.empty(n, np.float32)
    for i in range(n):
        place = min(max((i + 0.5) * step - 0.5, 0.0), n_source - 1.0)
        left[i] = min(int(place), max(n_source - 2, 0))
        weight[i] = place - left[i]
    return left, weight


@kernel
def resize(source: FloatArray, target: FloatArray, n_columns: tuple[int, int], steps: tuple[float, float]) -> None:
    """Scale a plane bilinearly.

    Args:
        source: (H, at least W).
        target: (h, at least w), written to.
        n_columns: W and w; what lies right of them is no picture.
        steps: Source pixels per target pixel, down and across.
    """
    rows, down = _axis(len(target), len(source), steps[0])
    columns, across = _axis(n_columns[1], n_columns[0], steps[1])
    below, beside = min(1, len(source) - 1), min(1, n_columns[0] - 1)
    for y in range(len(target)):
        top, bottom, fy = source[rows[y]], source[rows[y] + below], down[y]
        for x in range(n_columns[1]):
            i, fx = columns[x], across[x]
            a = top[i] + fx * (top[i + beside] - top[i])
            b = bottom[i] + fx * (bottom[i + beside] - bottom[i])
            target[y, x] = a + fy * (b - a)


@kernel
def from_bytes(frame: ByteArray, plane: FloatArray) -> None:
    """Copy a frame (H, W) into the left of a plane (H, at least W)."""
    h, w = frame.shape
    for y in range(h):
        for x in range(w):
            plane[y, x] = np.float32(frame[y, x])


@kernel
def pack(plane: FloatArray, width: int, packed: FloatArray) -> None:
    """Write a frame and its central differences, halved one-sided ones at the border; what lies around stays zero."""
    h = len(plane)
    for y in range(h):
        row, above, below = plane[y], plane[max(y - 1, 0)], plane[min(y + 1, h - 1)]
        out = packed[y + MARGIN]
        for x in range(width):
            out[x + MARGIN, 0] = row[x]
            out[x + MARGIN, 1] = HALF * (row[min(x + 1, width - 1)] - row[max(x - 1, 0)])
            out[x + MARGIN, 2] = HALF * (below[x] - above[x])
