"""TV-L1 on the CPU, compiled by Numba: one pair of frames per thread, whole vectors of pixels at a time.

What is computed says `extract.flow._tvl1`. The first call on a machine compiles the kernels, which takes seconds, and
keeps them on disk (see `extract.flow._cpu_compile.kernel`).
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import numpy as np

from extract.flow._tvl1 import Parameters
from tal.errors import BackendError
from tal.types import ByteArray, FloatArray

if TYPE_CHECKING:
    from extract.flow._cpu_pair import PairSolver

REMEDY: Final = "pip install numba"
BYTES_PER_PIXEL: Final = 144
"""What a thread holds for each pixel of a frame, on all levels together."""
BUDGET_BYTES: Final = 4 << 30
"""What all threads may hold; large frames get fewer threads."""


def why_not() -> str | None:
    """Return None where Numba is installed, else the reason and the remedy in one line; it is not imported."""
    return None if find_spec("numba") else f"Numba is not installed; {REMEDY}"


class CpuSolver:
    """The engine; a `BackendError` where Numba does not load.

    Attributes:
        parameters: What to compute.
        workers: Threads, at most.
    """

    def __init__(self, parameters: Parameters, workers: int) -> None:
        if parameters.median not in {1, 5}:
            raise ValueError(f"the median filter has side 1 or 5 here, not {parameters.median}")
        try:
            import numba  # noqa: F401
        except (ImportError, SystemError) as error:  # Numba raises ImportError for a NumPy that is too new for it
            reason = " ".join(str(error).split())
            raise BackendError(
                f"Numba is installed but does not load ({reason}); choose flow backend 'opencv'"
            ) from error
        self.parameters = parameters
        self.workers = workers

    def solve(self, gray: ByteArray) -> FloatArray:
        """Return the flow from each frame to the next.

        Args:
            gray: uint8 (F, H, W), contiguous, F >= 2.

        Returns:
            float32 (F - 1, H, W, 2), px.
        """
        from extract.flow._cpu_pair import PairSolver

        f, h, w = gray.shape
        flow = np.empty((f - 1, h, w, 2), np.float32)
        own = threading.local()

        def prepare() -> None:
            own.solver = PairSolver(h, w, self.parameters)

        def solve(i: int) -> None:
            solver: PairSolver = own.solver
            solver.solve(gray[i], gray[i + 1], flow[i])

        with ThreadPoolExecutor(self._n_threads(f - 1, h * w), "flow", prepare) as pool:
            for _ in pool.map(solve, range(f - 1)):
                pass
        return flow

    def close(self) -> None:
        """Release nothing: a call's memory goes with the call."""

    def _n_threads(self, n_pairs: int, n_pixels: int) -> int:
        affordable = BUDGET_BYTES // (BYTES_PER_PIXEL * n_pixels)
        return max(1, min(self.workers, n_pairs, affordable))
