"""TV-L1 optical flow in plain NumPy and float64, slow and straight from the equations: what engines are tested against.

C. Zach, T. Pock, H. Bischof, "A Duality Based Approach for Realtime TV-L1 Optical Flow", DAGM 2007, with the pyramid,
the interpolation and the median filter of OpenCV's ``DualTVL1OpticalFlow`` (see `extract.flow._tvl1`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from extract.flow._tvl1 import Parameters, pyramid_sizes
from tal.types import ByteArray

Plane = Any  # float64 (H, W)


def scaled(plane: Plane, size: tuple[int, int], steps: tuple[float, float]) -> Plane:
    """Bilinear; `steps` are source pixels per target pixel, pixel centres lie at halves."""
    for axis, (n, step) in enumerate(zip(size, steps, strict=True)):
        places = np.clip((np.arange(n) + 0.5) * step - 0.5, 0, plane.shape[axis] - 1)
        left = np.floor(places).astype(int)
        right = np.minimum(left + 1, plane.shape[axis] - 1)
        weight = np.expand_dims(places - left, 1 - axis)
        plane = plane.take(left, axis) * (1 - weight) + plane.take(right, axis) * weight
    return plane


def pyramid(frame: ByteArray, parameters: Parameters) -> list[Plane]:
    levels = [frame.astype(float)]
    for size in pyramid_sizes(*frame.shape, parameters)[1:]:
        levels.append(scaled(levels[-1], size, (1 / parameters.scale_step,) * 2))
    return levels


def central(plane: Plane) -> tuple[Plane, Plane]:
    around = np.pad(plane, 1, mode="edge")
    return (around[1:-1, 2:] - around[1:-1, :-2]) / 2, (around[2:, 1:-1] - around[:-2, 1:-1]) / 2


def cubic(distance: Plane) -> Plane:
    """Keys' kernel with a = -0.75."""
    a, d = -0.75, np.abs(distance)
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def sampled(plane: Plane, u: Plane, v: Plane) -> Plane:
    """Bicubic at (x + u, y + v), with zeros around the plane."""
    h, w = plane.shape
    y, x = np.mgrid[:h, :w]
    x, y = np.clip(x + u, -3, w + 1), np.clip(y + v, -3, h + 1)
    around = np.pad(plane, 4)
    result = np.zeros_like(x)
    for j in range(-1, 3):
        for i in range(-1, 3):
            column, row = np.floor(x).astype(int) + i, np.floor(y).astype(int) + j
            result += around[row + 4, column + 4] * cubic(x - column) * cubic(y - row)
    return result


def forward(plane: Plane) -> tuple[Plane, Plane]:
    return np.diff(plane, axis=1, append=plane[:, -1:]), np.diff(plane, axis=0, append=plane[-1:])


def divergence(px: Plane, py: Plane) -> Plane:
    return np.diff(px, axis=1, prepend=0) + np.diff(py, axis=0, prepend=0)


def median(plane: Plane, side: int) -> Plane:
    around = np.pad(plane, side // 2, mode="edge")
    return np.median(sliding_window_view(around, (side, side)), axis=(2, 3))


def linearised(first: Plane, second: Plane, u: Plane, v: Plane) -> tuple[Plane, Plane, Plane]:
    """The gradient of the warped second frame and rho at zero flow."""
    warped, gx, gy = (sampled(plane, u, v) for plane in (second, *central(second)))
    return gx, gy, warped - gx * u - gy * v - first


def data_step(gx: Plane, gy: Plane, rho: Plane, limit: float) -> Plane:
    """How far along the gradient v lies from u: equation (10) of the paper."""
    square = gx**2 + gy**2
    inside = -rho / np.maximum(square, np.finfo(np.float32).eps)
    return np.where(rho < -limit * square, limit, np.where(rho > limit * square, -limit, inside))


def warp(first: Plane, second: Plane, flow: list[Plane], duals: list[tuple[Plane, Plane]], p: Parameters) -> None:
    """All rounds of a warp; `flow` (u, v) and `duals` ((x, y) of each) are replaced in place."""
    gx, gy, constant = linearised(first, second, *flow)
    for _ in range(p.n_outer):
        if p.median > 1:
            flow[:] = (median(plane, p.median) for plane in flow)
        for i in range(1, p.n_inner + 1):
            before = list(flow)
            step = data_step(gx, gy, constant + gx * flow[0] + gy * flow[1], p.lambda_ * p.theta)
            for c, gradient in enumerate((gx, gy)):
                flow[c] = flow[c] + step * gradient + p.theta * divergence(*duals[c])
                x, y = forward(flow[c])
                shrink = 1 + p.tau / p.theta * np.hypot(x, y)
                duals[c] = tuple((q + p.tau / p.theta * d) / shrink for q, d in zip(duals[c], (x, y), strict=True))
            change = sum(np.mean((after - old) ** 2) for after, old in zip(flow, before, strict=True))
            if (i % p.stop_every == 0 or i == p.n_inner) and change <= p.epsilon**2:
                return


def solve(first: ByteArray, second: ByteArray, parameters: Parameters) -> Plane:
    """Return the flow from one frame to the other, (H, W, 2), px."""
    levels = list(zip(pyramid(first, parameters), pyramid(second, parameters), strict=True))
    flow = [np.zeros_like(levels[-1][0])] * 2
    for a, b in reversed(levels):
        if flow[0].shape != a.shape:
            steps = (flow[0].shape[0] / a.shape[0], flow[0].shape[1] / a.shape[1])
            flow = [scaled(plane, a.shape, steps) / parameters.scale_step for plane in flow]
        duals = [(np.zeros_like(a), np.zeros_like(a))] * 2
        for _ in range(parameters.n_warps):
            warp(a, b, flow, duals, parameters)
    return np.stack(flow, axis=-1)
