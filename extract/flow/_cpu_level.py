"""One level of the pyramid: all warps, rounds and iterations of a pair of frames, without returning to Python."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from extract.flow import _cpu_median, _cpu_warp
from extract.flow._cpu_compile import inlined, kernel
from extract.flow._cpu_iterations import Grid, Terms, V, iterate, start
from extract.flow._cpu_median import PAD, smooth
from extract.flow._cpu_vectors import LANES, Pointer, address
from extract.flow._cpu_warp import warp
from tal.types import FloatArray

SCRATCH_ROWS: Final = max(_cpu_median.ROWS, _cpu_warp.ROWS)


class Plan(NamedTuple):
    """How often; see `extract.flow._tvl1.Parameters`. `threshold` is the square of its epsilon."""

    n_warps: int
    median: int
    n_outer: int
    n_inner: int
    stop_every: int
    threshold: float


def stride_of(width: int) -> int:
    """Return how long a row is: whole vectors and one more, an odd number lest rows compete for places in the cache."""
    return LANES * ((-(-width // LANES) + 1) | 1)


def n_scratch(grid: Grid) -> int:
    """Return the size of the scratch space of a level."""
    return SCRATCH_ROWS * (grid.stride + PAD) + LANES


@inlined
def _rounds(state: Pointer, scratch: Pointer, mask: Pointer, grid: Grid, terms: Terms, plan: Plan) -> int:
    """Iterate until the plan ends or u rests; return the number of iterations."""
    n_done = 0
    for _ in range(plan.n_outer):
        if plan.median > 1:
            smooth(state, scratch, grid)
        left = plan.n_inner
        while left > 0:
            n = min(left, plan.stop_every)
            change = iterate(state, mask, n, grid, terms)
            left -= n
            n_done += n
            if change <= plan.threshold:
                return n_done
    return n_done


@kernel
def solve_level(
    buffers: tuple[FloatArray, FloatArray, FloatArray], frames: Any, grid: Grid, terms: Terms, plan: Plan
) -> int:
    """Improve the flow of a level.

    Args:
        buffers: State, as `extract.flow._cpu_iterations` describes it, with the flow to start from and zeros elsewhere;
            scratch space; and 1 for each pixel of a row, 0 beyond.
        frames: Flat; the first and the second as `extract.flow._cpu_pyramid` describes them.
        grid: The size.
        terms: Constants.
        plan: How often.

    Returns:
        Number of iterations.
    """
    state, scratch, mask = address(buffers[0]), address(buffers[1]), address(buffers[2])
    first, second = address(frames[0]), address(frames[1])
    n_iterations = 0
    for _ in range(plan.n_warps):
        warp(state, scratch, first, second, grid)
        n_iterations += _rounds(state, scratch, mask, grid, terms, plan)
    return n_iterations


@kernel
def read_flow(state: FloatArray, grid: Grid, flow: FloatArray) -> None:
    """Copy the flow of a level into (2, height, width), which may be a view."""
    for y in range(grid.height):
        for component in range(2):
            i = start(y, grid) + component * V * grid.stride
            for x in range(grid.width):
                flow[component, y, x] = state[i + x]
