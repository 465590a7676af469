"""Our own TV-L1 (`extract.flow._tvl1`): compiled by Numba on the CPU, batched kernels on a GPU; nothing to build.

Both compute the flow that OpenCV's ``DualTVL1OpticalFlow`` converges to, many times faster. Which one runs is decided
by the device alone; they agree to thousandths of a pixel, so a cache key does not tell them apart.
"""

from __future__ import annotations

from typing import Any

from extract.flow._base import FlowBackend
from extract.flow._tvl1 import QUALITIES
from tal.types import ByteArray, FloatArray


class Backend(FlowBackend):
    """Our engine for the device that was asked for."""

    name = "native"
    priority = 30

    def __init__(self, workers: int = 0, device: str = "cpu", quality: str = "default") -> None:
        super().__init__(workers, device, quality)
        self._solver: Any = None

    @classmethod
    def why_not(cls) -> str | None:
        """Return None where the CPU engine can be used; PyTorch, which the GPU engine needs, is always there."""
        from extract.flow import _cpu

        return _cpu.why_not()

    def _solve(self, gray: ByteArray) -> FloatArray:
        flow: FloatArray = self._engine().solve(gray)
        return flow

    def _engine(self) -> Any:
        """Return the solver, opened at the first use: a GPU is not touched before there is work for it."""
        if self._solver is None:
            self._solver = self._open()
        return self._solver

    def _open(self) -> Any:
        parameters = QUALITIES[self.quality]
        if self.device == "cpu":
            from extract.flow._cpu import CpuSolver

            return CpuSolver(parameters, self.workers)
        from extract.flow._gpu import TorchSolver

        return TorchSolver(parameters, self.device)

    @property
    def notes(self) -> list[str]:
        """What the user should be told, one line each."""
        return list(getattr(self._solver, "notes", ()))

    def close(self) -> None:
        """Release the engine's threads and memory."""
        if self._solver is not None and hasattr(self._solver, "close"):
            self._solver.close()
        self._solver = None
