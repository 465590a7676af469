"""TV-L1 on an NVIDIA GPU with OpenCV's cudaoptflow module, which only an OpenCV built with CUDA has.

This is the engine of denseflow and dense_flow. It leaves out the CPU solver's median filter and interpolates
differently, so the two agree on small motions and not on large ones. Neither its speed nor its results were measured
for this project. The solver is not thread-safe: pairs go through it one at a time.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from extract.flow._base import FlowBackend
from tal.errors import BackendError
from tal.types import ByteArray, FloatArray

REMEDY = "build OpenCV with CUDA and opencv_contrib"
_lock = threading.Lock()


class Backend(FlowBackend):
    """OpenCV's CUDA solver, on the current device; of `workers`, `device` and `quality` none is used."""

    name = "opencv-cuda"
    priority = 20

    @classmethod
    def why_not(cls) -> str | None:
        """Return None where OpenCV has the solver and finds a device."""
        try:
            import cv2
        except ImportError:
            return f"OpenCV cannot be imported; {REMEDY}"
        if _factory(cv2) is None:
            return f"this OpenCV has no CUDA optical flow; {REMEDY}"
        if cv2.cuda.getCudaEnabledDeviceCount() < 1:
            return "OpenCV finds no CUDA device; check it with nvidia-smi"
        return None

    def _solve(self, gray: ByteArray) -> FloatArray:
        import cv2

        flow = np.empty((len(gray) - 1, *gray.shape[1:], 2), np.float32)
        with _lock:
            try:
                self._fill(flow, gray, cv2)
            except cv2.error as error:
                reason = " ".join(str(error).split())
                raise BackendError(f"opencv-cuda failed: {reason}; choose flow backend 'opencv'") from error
        return flow

    @staticmethod
    def _fill(flow: FloatArray, gray: ByteArray, cv2: Any) -> None:
        solver = _factory(cv2)()  # fresh: a solver uses fewer scales for ever after a small frame
        first, second = cv2.cuda_GpuMat(), cv2.cuda_GpuMat()
        second.upload(gray[0])
        for i, frame in enumerate(gray[1:]):
            first, second = second, first
            second.upload(frame)
            flow[i] = solver.calc(first, second, None).download()


def _factory(cv2: Any) -> Any:
    """Return what makes a solver, under the name that this OpenCV version gives it, or None."""
    new = getattr(getattr(getattr(cv2, "cuda", None), "OpticalFlowDual_TVL1", None), "create", None)
    return new or getattr(cv2, "cuda_OpticalFlowDual_TVL1_create", None)
