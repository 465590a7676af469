"""The iterations of TV-L1 for one warp, in place on a level's state.

The state of a level is one flat float32 array: for each row of the picture, and for one of zeros above the first, the
rows of `PLANES` planes, `stride` long. The dual variables are stored times theta. A row of a plane ends in a zero that
nothing writes to, so what lies left of the first pixel is 0; u[width] is kept equal to u[width - 1], so the differences
across the right border are 0 and with them the duals there.

Iteration k + 1 may follow iteration k one row behind, so the rows that a band of iterations works on stay in the cache.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from extract.flow._cpu_compile import inlined, kernel
from extract.flow._cpu_vectors import LANES, Pointer, get, high, load, low, put, root, splat, store, total

PLANES: Final = 10
U, V, UX, UY, VX, VY, GX, GY, RHO, GAIN = range(PLANES)
"""The flow, its dual variables, the gradient of the warped frame, rho at u = 0, and 1 / |gradient|^2."""
ONE: Final = np.float32(1)
ZERO: Final = np.float32(0)
BAND_BYTES: Final = 400_000
"""What a band of iterations may work on: less than a core's cache of the second level."""


class Grid(NamedTuple):
    """The size of a level, px; a row of a plane takes `stride` values."""

    height: int
    width: int
    stride: int


class Terms(NamedTuple):
    """float32: tau, tau / theta, and lambda * theta."""

    tau: Any
    ratio: Any
    limit: Any


@inlined
def start(y: int, grid: Grid) -> int:
    """Return where row y of the first plane starts."""
    return (y + 1) * PLANES * grid.stride


@inlined
def _divergence(state: Pointer, i: int, grid: Grid) -> Any:
    """Return theta * div p for the dual variables whose first component is at i."""
    above = i + grid.stride - PLANES * grid.stride
    return load(state, i) - load(state, i - 1) + load(state, i + grid.stride) - load(state, above)


@inlined
def _primal(state: Pointer, i: int, grid: Grid, terms: Terms) -> Any:
    """Move u and v at i; return them and the sum of their squared changes."""
    s = grid.stride
    u, v = load(state, i), load(state, i + V * s)
    gx, gy = load(state, i + GX * s), load(state, i + GY * s)
    rho = load(state, i + RHO * s) + gx * u + gy * v
    limit = splat(terms.limit)
    step = high(low(rho * load(state, i + GAIN * s), limit), splat(ZERO) - limit)
    du = _divergence(state, i + UX * s, grid) - step * gx
    dv = _divergence(state, i + VX * s, grid) - step * gy
    u, v = u + du, v + dv
    store(state, i, u)
    store(state, i + V * s, v)
    return u, v, du * du + dv * dv


@inlined
def _dual(state: Pointer, i: int, j: int, below: Any, grid: Grid, terms: Terms) -> None:
    """Update the dual variables at j of the component at i; `below` is that component in the next row."""
    here = load(state, i)
    dx, dy = load(state, i + 1) - here, below - here
    scale = splat(ONE) / (splat(ONE) + splat(terms.ratio) * root(dx * dx + dy * dy))
    tau = splat(terms.tau)
    x, y = load(state, j), load(state, j + grid.stride)
    store(state, j, (x + tau * dx) * scale)
    store(state, j + grid.stride, (y + tau * dy) * scale)


@kernel
def _first(state: Pointer, mask: Pointer, grid: Grid, terms: Terms) -> Any:
    """Move u in the first row; return the sum of its squared changes."""
    row, total_change = start(0, grid), splat(ZERO)
    for x in range(0, grid.width, LANES):
        _, _, change = _primal(state, row + x, grid, terms)
        total_change = total_change + change * load(mask, x)
    _repeat_last(state, row, grid)
    return total(total_change)


@kernel
def _middle(state: Pointer, mask: Pointer, y: int, grid: Grid, terms: Terms) -> Any:
    """Move u in row y, then update p in the row above; return the sum of the squared changes of u."""
    row, above, s, total_change = start(y, grid), start(y - 1, grid), grid.stride, splat(ZERO)
    for x in range(0, grid.width, LANES):
        u, v, change = _primal(state, row + x, grid, terms)
        total_change = total_change + change * load(mask, x)
        _dual(state, above + x, above + x + UX * s, u, grid, terms)
        _dual(state, above + x + V * s, above + x + VX * s, v, grid, terms)
    _repeat_last(state, row, grid)
    return total(total_change)


@kernel
def _last(state: Pointer, grid: Grid, terms: Terms) -> None:
    """Update p in the last row, below which u does not change."""
    row, s = start(grid.height - 1, grid), grid.stride
    for x in range(0, grid.width, LANES):
        _dual(state, row + x, row + x + UX * s, load(state, row + x), grid, terms)
        _dual(state, row + x + V * s, row + x + VX * s, load(state, row + x + V * s), grid, terms)


@inlined
def _repeat_last(state: Pointer, row: int, grid: Grid) -> None:
    for i in (row + grid.width, row + V * grid.stride + grid.width):
        put(state, i, get(state, i - 1))


@kernel
def _advance(state: Pointer, mask: Pointer, y: int, grid: Grid, terms: Terms) -> Any:
    """Move u in row y, then update p in the row above; return the sum of the squared changes of u."""
    if y == 0:
        return _first(state, mask, grid, terms)
    if y == grid.height:
        _last(state, grid, terms)
        return ZERO
    return _middle(state, mask, y, grid, terms)


@kernel
def _band(state: Pointer, mask: Pointer, n: int, grid: Grid, terms: Terms) -> Any:
    """Run n iterations, each a row behind the one before; return the last one's sum of squared changes."""
    change = 0.0
    for front in range(grid.height + n):
        for k in range(max(0, front - grid.height), min(n, front + 1)):
            new = _advance(state, mask, front - k, grid, terms)
            if k == n - 1:
                change += new
    return change


@kernel
def iterate(state: Pointer, mask: Pointer, n: int, grid: Grid, terms: Terms) -> Any:
    """Run n iterations.

    Returns:
        Mean over the pixels of the squared change of u in the last one, px^2.
    """
    depth = min(n, max(1, BAND_BYTES // (4 * PLANES * grid.stride)))
    change, done = 0.0, 0
    while done < n:
        change = _band(state, mask, min(depth, n - done), grid, terms)
        done += depth
    return change / (grid.height * grid.width)
