"""TV-L1 on the devices of PyTorch: many pairs at once, as many as memory allows.

NVIDIA GPUs get kernels of our own (`extract.flow._gpu_cuda`), compiled at the first use; everything else, and a GPU
where they cannot be compiled, gets PyTorch's operations (`extract.flow._gpu_torch`). Both compute the same up to
rounding. How pairs are grouped never changes a bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from extract.flow import _gpu_cuda
from extract.flow._gpu_pyramid import Level, solve
from extract.flow._gpu_torch import TorchLevel
from extract.flow._tvl1 import Parameters
from tal.devices import pick_device
from tal.errors import BackendError
from tal.types import ByteArray, FloatArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SHARE = 0.5
"""Share of a device's free memory that a batch may take."""
CPU_BYTES = 2 << 30
"""The same on the CPU: a pair of 3840 x 2160 px fits."""
BYTES_PER_PIXEL = {"kernels": 160, "operations": 210}
"""Memory for a pair, per pixel of a frame: pyramids and the finest level with its buffers."""
MAX_PIXELS = 1 << 25
"""Most pixels of a batch: more do not make a GPU any faster."""


class TorchSolver:
    """Computes the flow of many pairs on one device.

    Attributes:
        device: Where.
        kernels: ``kernels`` (our own) or ``operations`` (PyTorch's).
        notes: What the user should be told, one line each; filled while computing, nothing twice.
    """

    def __init__(self, parameters: Parameters, device: str, budget_bytes: int = 0) -> None:
        """Prepare the device.

        Args:
            parameters: Of the algorithm.
            device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; ``auto`` is CUDA where there is one, else the CPU.
            budget_bytes: Memory that a batch may take; 0 for a share of what is free. One pair is always tried.

        Raises:
            BackendError: If the device is not there.
        """
        self.parameters, self.budget_bytes = parameters, budget_bytes
        self.device = _indexed(pick_device(device))
        self.notes: list[str] = []
        self._most: int | None = None  # pairs, once memory has run out
        self._level, self.kernels = self._choose()

    def _choose(self) -> tuple[type[Level], str]:
        """Return the kernels to use and their name; compile our own."""
        import torch

        if self.device.type != "cuda" or torch.version.cuda is None:
            return TorchLevel, "operations"
        reason = _gpu_cuda.why_not(self.parameters)
        if reason is None:
            try:
                with torch.cuda.device(self.device):
                    torch.empty(1, device=self.device)  # makes the device's context, which loading needs
                    _gpu_cuda.load(self.parameters, self.device)
            except BackendError as error:
                reason = str(error)
        if reason is None:
            return _gpu_cuda.CudaLevel, "kernels"
        self.notes.append(f"flow on {self.device}: its own kernels cannot be used ({reason}); PyTorch's are slower")
        return TorchLevel, "operations"

    def solve(self, gray: ByteArray) -> FloatArray:
        """Compute the flow from each frame to the next.

        Args:
            gray: uint8 (F, H, W), F >= 1.

        Returns:
            float32 (F - 1, H, W, 2), px.

        Raises:
            BackendError: If a single pair does not fit the device's memory.
        """
        import torch

        flow = np.empty((len(gray) - 1, *gray.shape[1:], 2), np.float32)
        n_max = self._n_pairs(gray.shape[1] * gray.shape[2])
        for start in range(0, len(flow), n_max):
            part = np.ascontiguousarray(gray[start : start + n_max + 1])
            found = self.solve_tensor(torch.from_numpy(part).to(self.device))
            torch.from_numpy(flow[start : start + n_max]).copy_(found)
        return flow

    def solve_tensor(self, frames: Tensor) -> Tensor:
        """Compute the same from frames on the device.

        Args:
            frames: uint8 (F, H, W) on the solver's device, F >= 1.

        Returns:
            float32 (F - 1, H, W, 2), px, on the device.

        Raises:
            BackendError: If a single pair does not fit the device's memory.
        """
        import torch

        flow = frames.new_empty((len(frames) - 1, *frames.shape[1:], 2), dtype=torch.float32)
        start = 0
        while start < len(flow):
            n = min(self._n_pairs(frames[0].numel()), len(flow) - start)
            try:
                flow[start : start + n] = self._batch(frames[start : start + n + 1])
            except torch.OutOfMemoryError:
                self._halve(n, frames)
            else:
                start += n
        return flow

    def _batch(self, frames: Tensor) -> Tensor:
        import torch

        with torch.no_grad():
            if self.device.type != "cuda":
                return solve(frames, self.parameters, self._level)
            with torch.cuda.device(self.device):
                return solve(frames, self.parameters, self._level)

    def _halve(self, n_pairs: int, frames: Tensor) -> None:
        """Take half as many pairs from now on, and say so the first time.

        Raises:
            BackendError: If there is nothing left to halve.
        """
        import torch

        size = f"{frames.shape[2]}x{frames.shape[1]} px"
        if n_pairs == 1:
            raise BackendError(f"flow on {self.device}: memory is too small for one pair of {size}; use --device cpu")
        if self._most is None:
            self.notes.append(
                f"flow on {self.device}: memory ran out with {n_pairs} pairs of {size}; going on with fewer"
            )
        self._most = n_pairs // 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _n_pairs(self, n_pixels: int) -> int:
        """Return how many pairs to compute at once."""
        budget = self.budget_bytes or _free_bytes(self.device)
        by_memory = budget // (n_pixels * BYTES_PER_PIXEL[self.kernels])
        n = min(by_memory, MAX_PIXELS // n_pixels, self._most or _gpu_cuda.MAX_PAIRS)
        return max(1, int(n))


def _indexed(device: torch.device) -> torch.device:
    """Return the device with its number: what ``cuda`` alone means can change."""
    import torch

    return torch.device("cuda", torch.cuda.current_device()) if str(device) == "cuda" else device


def _free_bytes(device: torch.device) -> int:
    """Return the memory that a batch may take, counting what PyTorch holds and does not use."""
    import torch

    if device.type == "cuda":
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int((torch.cuda.mem_get_info(device)[0] + held) * SHARE)
    if device.type == "mps":
        return int((torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()) * SHARE)
    return CPU_BYTES
