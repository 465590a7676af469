"""The flow of one pair of frames, from the coarsest level to the finest, in memory that is used again."""

from __future__ import annotations

import numpy as np

from extract.flow._cpu_compile import aligned_zeros
from extract.flow._cpu_iterations import PLANES, Grid, Terms
from extract.flow._cpu_level import Plan, n_scratch, read_flow, solve_level, stride_of
from extract.flow._cpu_pyramid import MARGIN, from_bytes, pack, resize
from extract.flow._tvl1 import Parameters, pyramid_sizes
from tal.types import ByteArray, FloatArray


class PairSolver:
    """Computes one pair after the other; not for two threads at once.

    Attributes:
        n_iterations: Of the last pair, all levels and warps together.
    """

    def __init__(self, height: int, width: int, parameters: Parameters) -> None:
        p = parameters
        self.grids = [Grid(h, w, stride_of(w)) for h, w in pyramid_sizes(height, width, p)]
        self.step = p.scale_step
        self.terms = Terms(np.float32(p.tau), np.float32(p.tau / p.theta), np.float32(p.lambda_ * p.theta))
        self.plan = Plan(p.n_warps, p.median, p.n_outer, p.n_inner, p.stop_every, p.epsilon**2)
        self.planes = [[aligned_zeros(g.height, g.stride) for g in self.grids] for _ in range(2)]
        self.packed = [aligned_zeros(g.height + 2 * MARGIN, g.width + 2 * MARGIN, 4) for g in self.grids]
        self.state = aligned_zeros((height + 1) * PLANES * self.grids[0].stride)
        self.scratch = aligned_zeros(n_scratch(self.grids[0]))
        self.n_iterations = 0

    def solve(self, first: ByteArray, second: ByteArray, flow: FloatArray) -> None:
        """Compute the flow from one frame to the other.

        Args:
            first: uint8 (H, W), contiguous.
            second: The same.
            flow: float32 (H, W, 2), px, contiguous, written to.
        """
        for frame, planes in zip((first, second), self.planes, strict=True):
            from_bytes(frame, planes[0])
            for fine, small, source, target in zip(self.grids, self.grids[1:], planes, planes[1:], strict=False):
                resize(source, target, (fine.width, small.width), (1 / self.step, 1 / self.step))
        last = len(self.grids) - 1
        coarse = np.zeros((2, *self.grids[last][:2]), np.float32)
        self.n_iterations = 0
        for level in reversed(range(len(self.grids))):
            if level < last:
                coarse = self._enlarged(coarse, self.grids[level])
            self._improve(level, coarse, coarse if level else flow.transpose(2, 0, 1))

    def _enlarged(self, flow: FloatArray, grid: Grid) -> FloatArray:
        """Return the flow of the level above at a level's size."""
        _, h, w = flow.shape
        larger = np.empty((2, grid.height, grid.width), np.float32)
        for source, target in zip(flow, larger, strict=True):
            resize(source, target, (w, grid.width), (h / grid.height, w / grid.width))
        larger *= np.float32(1 / self.step)
        return larger

    def _improve(self, level: int, before: FloatArray, after: FloatArray) -> None:
        """Write the flow of a level, (2, height, width), given the one to start from."""
        grid = self.grids[level]
        state = self.state[: (grid.height + 1) * PLANES * grid.stride]
        state.fill(0)
        rows = state.reshape(-1, PLANES, grid.stride)[1:]
        rows[:, :2, : grid.width] = before.transpose(1, 0, 2)
        mask = (np.arange(grid.stride) < grid.width).astype(np.float32)
        pack(self.planes[1][level], grid.width, self.packed[level])
        frames = (self.planes[0][level].ravel(), self.packed[level].ravel())
        self.n_iterations += solve_level((state, self.scratch, mask), frames, grid, self.terms, self.plan)
        read_flow(state, grid, after)
