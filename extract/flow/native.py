"""Our own TV-L1 (`extract.flow._tvl1`): compiled by Numba on the CPU, batched kernels on a GPU; nothing to build.

Both compute the flow that OpenCV's ``DualTVL1OpticalFlow`` converges to, many times faster. Which one runs is decided
by the device alone; a cache key does not tell them apart. A GPU first has to give the CPU's flow for a small pair of
frames; one that does not is not used.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from extract.flow._base import FlowBackend
from extract.flow._tvl1 import QUALITIES
from tal.types import ByteArray, FloatArray

TRIAL_PX = 0.02
"""Mean distance of two correct engines on the trial's frames is far less, px."""
CPU_BLOCK, GPU_BLOCK = 32, 128


def trial() -> ByteArray:
    """Return two small frames of waves that move by (1.5, -0.75) px, uint8 (2, 48, 64)."""
    y, x = np.mgrid[:48, :64].astype(np.float64)
    waves = [sum(np.sin((x - 1.5 * t) / a + (y + 0.75 * t) / b) for a, b in ((3, 7), (-5, 4), (9, -6))) for t in (0, 1)]
    return np.asarray(np.round(128 + 40 * np.stack(waves)), np.uint8)


class Backend(FlowBackend):
    """Our engine for the device that was asked for."""

    name = "native"
    priority = 30

    def __init__(self, workers: int = 0, device: str = "cpu", quality: str = "default") -> None:
        super().__init__(workers, device, quality)
        self._solver: Any = None
        self._notes: list[str] = []

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
        from extract.flow._cpu import CpuSolver

        parameters = QUALITIES[self.quality]
        on_cpu = CpuSolver(parameters, self.workers)
        if self.device == "cpu":
            return on_cpu
        from extract.flow._gpu import TorchSolver

        on_device = TorchSolver(parameters, self.device)
        apart_px = float(np.abs(on_device.solve(trial()) - on_cpu.solve(trial())).mean())
        if apart_px <= TRIAL_PX:
            return on_device
        self._notes.append(f"flow on {self.device} is {apart_px:.2g} px off in a trial; computed on the CPU instead")
        return on_cpu

    @property
    def block(self) -> int:
        """Frames that should come together; a GPU wants more pairs than the CPU. Never changes a result."""
        return CPU_BLOCK if self.device == "cpu" else GPU_BLOCK

    @property
    def notes(self) -> list[str]:
        """What the user should be told, one line each."""
        return [*self._notes, *getattr(self._solver, "notes", ())]

    def close(self) -> None:
        """Release the engine's threads and memory."""
        if self._solver is not None and hasattr(self._solver, "close"):
            self._solver.close()
        self._solver = None
