"""TV-L1 on the CPU with OpenCV's optflow module and its default parameters.

Source: C. Zach, T. Pock, H. Bischof, "A Duality Based Approach for Realtime TV-L1 Optical Flow", DAGM 2007. OpenCV's
defaults (5 scales of 0.8, 5 warps, 10 x 30 iterations, median filter 5, epsilon 0.01) are what DeepMind's published
extraction for I3D uses. OpenCV 4 and 5 differ by about 0.015 px: version 5 interpolates more exactly.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from extract.flow._base import FlowBackend
from extract.flow._tvl1 import QUALITIES
from tal.types import ByteArray, FloatArray

REMEDY = "install opencv-contrib-python-headless as the only OpenCV package"
_lock = threading.Lock()
_threads = {"users": 0, "before": 0}


class Backend(FlowBackend):
    """OpenCV's CPU solver, one pair per thread."""

    name = "opencv"
    priority = 10

    @classmethod
    def why_not(cls) -> str | None:
        """Return None where OpenCV has its optflow module."""
        try:
            import cv2
        except ImportError:
            return f"OpenCV cannot be imported; {REMEDY}"
        if not hasattr(cv2, "optflow"):
            return f"this OpenCV has no optflow module; {REMEDY}"
        return None

    def _solve(self, gray: ByteArray) -> FloatArray:
        import cv2

        optflow: Any = cv2.optflow  # OpenCV's type stubs lack the solver
        flow = np.empty((len(gray) - 1, *gray.shape[1:], 2), np.float32)
        own = threading.local()

        def prepare() -> None:
            # A solver has buffers, so each thread needs its own; and it uses fewer scales for ever after a small
            # frame, so each call does too.
            own.solver = _configured(optflow.DualTVL1OpticalFlow_create(), self.quality)

        def solve(i: int) -> None:
            flow[i] = own.solver.calc(gray[i], gray[i + 1], None)

        with single_threaded(), ThreadPoolExecutor(min(self.workers, len(flow)), "flow", prepare) as pool:
            for _ in pool.map(solve, range(len(flow))):
                pass
        return flow


def _configured(solver: Any, quality: str) -> Any:
    """Set the iterations; ``default`` is what OpenCV does by default, 10 x 30 with early stopping."""
    if quality != "default":
        parameters = QUALITIES[quality]
        solver.setOuterIterations(parameters.n_outer)
        solver.setInnerIterations(parameters.n_inner)
        solver.setEpsilon(parameters.epsilon)
    return solver


@contextmanager
def single_threaded() -> Iterator[None]:
    """Keep OpenCV from starting threads inside ours.

    The setting is the whole process's: the first to enter saves it, the last to leave restores it.
    """
    import cv2

    with _lock:
        if not _threads["users"]:
            _threads["before"] = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _threads["users"] += 1
    try:
        yield
    finally:
        with _lock:
            _threads["users"] -= 1
            if not _threads["users"]:
                cv2.setNumThreads(_threads["before"])
