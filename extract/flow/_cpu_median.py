"""The 5 x 5 median filter of the flow, in place, with the border repeated.

The columns of five rows are sorted once for the five windows that share them. A filtered row is written back two rows
later, when no window needs the original any more.
"""

from __future__ import annotations

from typing import Final

from extract.flow._cpu_compile import inlined, kernel
from extract.flow._cpu_iterations import Grid, V, start
from extract.flow._cpu_network import median25, sort5
from extract.flow._cpu_vectors import LANES, Pointer, get, load, put, store

PAD: Final = LANES
"""Room before a row of sorted columns, values."""
ROWS: Final = 8
"""Rows of scratch that the filter needs, each `PAD` longer than the level's stride: five sorted, three filtered."""


@inlined
def _sort_columns(state: Pointer, scratch: Pointer, plane: int, y: int, grid: Grid) -> None:
    """Write the columns around row y, sorted, and repeat the first and the last twice."""
    h, w, long = grid.height, grid.width, grid.stride + PAD
    a, b, c = start(max(y - 2, 0), grid), start(max(y - 1, 0), grid), start(y, grid)
    d, e = start(min(y + 1, h - 1), grid), start(min(y + 2, h - 1), grid)
    for i in range(plane, plane + w, LANES):
        column = sort5(
            load(state, a + i), load(state, b + i), load(state, c + i), load(state, d + i), load(state, e + i)
        )
        for rank in range(5):
            store(scratch, rank * long + PAD + i - plane, column[rank])
    for first in range(PAD, PAD + 5 * long, long):
        for beyond in (1, 2):
            put(scratch, first - beyond, get(scratch, first))
            put(scratch, first + w - 1 + beyond, get(scratch, first + w - 1))


@inlined
def _copy(source: Pointer, i: int, target: Pointer, j: int, width: int) -> None:
    for x in range(0, width, LANES):
        store(target, j + x, load(source, i + x))


@kernel
def _filter(state: Pointer, scratch: Pointer, plane: int, grid: Grid) -> None:
    h, w, long = grid.height, grid.width, grid.stride + PAD
    for y in range(h + 2):
        if y < h:
            _sort_columns(state, scratch, plane, y, grid)
        if y >= 2:
            _copy(scratch, (5 + (y - 2) % 3) * long, state, start(y - 2, grid) + plane, w)
        if y < h:
            for x in range(0, w, LANES):
                store(scratch, (5 + y % 3) * long + x, median25(scratch, PAD + x - 2, long))


@kernel
def smooth(state: Pointer, scratch: Pointer, grid: Grid) -> None:
    """Median filter both components of the flow."""
    _filter(state, scratch, 0, grid)
    _filter(state, scratch, V * grid.stride, grid)
