"""Bicubic sampling of the second frame where the flow leads, which linearises the residual."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from extract.flow._cpu_compile import inlined, kernel
from extract.flow._cpu_cubic import cubic_taps, fold
from extract.flow._cpu_iterations import GAIN, GX, GY, ONE, RHO, Grid, V, start
from extract.flow._cpu_pyramid import MARGIN
from extract.flow._cpu_vectors import (
    LANES,
    Pointer,
    floor,
    get,
    high,
    lane0,
    lane1,
    lane2,
    load,
    low,
    put,
    ramp,
    splat,
    store,
)

CUBIC: Final = np.float32(-0.75)
"""OpenCV's `a` of the bicubic kernel."""
SMALLEST: Final = np.float32(1.1920929e-07)
"""Squared gradients below this count as this: FLT_EPSILON, as in OpenCV."""
ROWS: Final = 7
"""Rows of scratch that a warp needs."""


@inlined
def _clamped(place: Any, size: int) -> Any:
    """Return positions along an axis, moved to where the nearest taps are the zeros around a frame if need be."""
    return high(low(place, splat(np.float32(size + 1))), splat(np.float32(-3)))


@inlined
def _find(state: Pointer, scratch: Pointer, y: int, grid: Grid) -> None:
    """Write where the pixels of row y went: whole part and fraction of x, whole part and the four weights of y."""
    s, row, a = grid.stride, start(y, grid), splat(CUBIC)
    for x in range(0, grid.width, LANES):
        column = _clamped(ramp() + splat(np.float32(x)) + load(state, row + x), grid.width)
        line = _clamped(splat(np.float32(y)) + load(state, row + x + V * s), grid.height)
        f = line - floor(line)
        g = splat(ONE) - f
        first, last = a * f * g * g, a * g * f * f
        second = ((a + splat(np.float32(2))) * f - (a + splat(np.float32(3)))) * f * f + splat(ONE)
        store(scratch, x, floor(column))
        store(scratch, x + s, column - floor(column))
        store(scratch, x + 2 * s, floor(line))
        store(scratch, x + 3 * s, first)
        store(scratch, x + 4 * s, second)
        store(scratch, x + 5 * s, splat(ONE) - first - second - last)
        store(scratch, x + 6 * s, last)


@inlined
def _sample(packed: Pointer, scratch: Pointer, x: int, grid: Grid) -> Any:
    """Return gray level and gradient of the frame where the pixel x of the row went."""
    s, wide = grid.stride, 4 * (grid.width + 2 * MARGIN)
    column, line = int(get(scratch, x)) + MARGIN - 1, int(get(scratch, x + 2 * s)) + MARGIN - 1
    i = line * wide + 4 * column
    upper = load(packed, i) * splat(get(scratch, x + 3 * s)) + load(packed, i + wide) * splat(get(scratch, x + 4 * s))
    i += 2 * wide
    lower = load(packed, i) * splat(get(scratch, x + 5 * s)) + load(packed, i + wide) * splat(get(scratch, x + 6 * s))
    return fold((upper + lower) * cubic_taps(get(scratch, x + s)))


@inlined
def _linearise(state: Pointer, first: Pointer, row: int, i: int, grid: Grid) -> None:
    """Turn the sampled gray level into rho at u = 0, and write the gain; i is the pixel of the first frame."""
    s = grid.stride
    gx, gy = load(state, row + GX * s), load(state, row + GY * s)
    moved = gx * load(state, row) + gy * load(state, row + V * s)
    store(state, row + RHO * s, load(state, row + RHO * s) - moved - load(first, i))
    store(state, row + GAIN * s, splat(ONE) / high(gx * gx + gy * gy, splat(SMALLEST)))


@kernel
def warp(state: Pointer, scratch: Pointer, first: Pointer, packed: Pointer, grid: Grid) -> None:
    """Set the gradient of the warped second frame, rho and the gain, everywhere."""
    s = grid.stride
    for y in range(grid.height):
        row = start(y, grid)
        _find(state, scratch, y, grid)
        for x in range(grid.width):
            value = _sample(packed, scratch, x, grid)
            put(state, row + x + RHO * s, lane0(value))
            put(state, row + x + GX * s, lane1(value))
            put(state, row + x + GY * s, lane2(value))
        for x in range(0, grid.width, LANES):
            _linearise(state, first, row + x, y * s + x, grid)
