"""The contract of an optical flow engine, and what is computed beside it.

Conventions: the flow of pair i leads from frame i to frame i + 1; channel 0 is x (to the right), channel 1 is y (down),
both in px: ``frame[i + 1][y + v, x + u]`` shows what ``frame[i][y, x]`` showed.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from extract.flow._tvl1 import QUALITIES
from tal.errors import ConfigError, suggest
from tal.types import ByteArray, FloatArray

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from Python 3.11


class FlowBackend(ABC):
    """An engine that computes the optical flow between neighbouring frames.

    Attributes:
        name: What settings and provenance call it.
        priority: ``auto`` takes the usable engine with the highest.
        workers: Threads for engines that compute on the CPU, at least 1.
        device: Where to compute, for engines that have the choice: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        quality: A name of `extract.flow._tvl1.QUALITIES`.
    """

    name: ClassVar[str]
    priority: ClassVar[int]

    def __init__(self, workers: int = 0, device: str = "cpu", quality: str = "default") -> None:
        if workers < 0:
            raise ValueError(f"workers is {workers}, not 0 or more")
        if quality not in QUALITIES:
            raise ConfigError(f"unknown flow quality '{quality}'{suggest(quality, QUALITIES)}")
        self.device = device
        self.quality = quality
        self.workers = workers or os.cpu_count() or 1

    @classmethod
    @abstractmethod
    def why_not(cls) -> str | None:
        """Return None where this machine can use the engine, else the reason and the remedy in one line."""

    @abstractmethod
    def _solve(self, gray: ByteArray) -> FloatArray:
        """Compute what `pairs` returns, for at least two frames that lie contiguous in memory."""

    def pairs(self, gray: ByteArray) -> FloatArray:
        """Return the flow from each frame to the next.

        Args:
            gray: uint8 (F, H, W) with F >= 1.

        Returns:
            float32 (F - 1, H, W, 2), px: x to the right, y down.

        Raises:
            ValueError: If `gray` is not uint8 with three axes and at least one frame.
        """
        if gray.dtype != np.uint8 or gray.ndim != 3 or not gray.size:
            raise ValueError(f"gray frames must be uint8 (F, H, W), not {gray.dtype} {gray.shape}")
        if len(gray) == 1:
            return np.zeros((0, *gray.shape[1:], 2), np.float32)
        return self._solve(np.ascontiguousarray(gray))

    def close(self) -> None:  # noqa: B027  (most engines hold nothing between calls)
        """Release what the engine holds; it is not used afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def to_gray(rgb: ByteArray) -> ByteArray:
    """Return the luma of RGB frames as OpenCV weighs it (0.299, 0.587, 0.114).

    Args:
        rgb: uint8 (F, H, W, 3).

    Returns:
        uint8 (F, H, W).
    """
    import cv2

    f, h, w, channels = rgb.shape
    if rgb.dtype != np.uint8 or channels != 3:
        raise ValueError(f"frames must be uint8 (F, H, W, 3), not {rgb.dtype} {rgb.shape}")
    if not rgb.size:
        return np.zeros((f, h, w), np.uint8)
    tall = np.ascontiguousarray(rgb).reshape(f * h, w, 3)
    return np.asarray(cv2.cvtColor(tall, cv2.COLOR_RGB2GRAY), np.uint8).reshape(f, h, w)


def motion_px(flow: FloatArray) -> FloatArray:
    """Return the mean flow magnitude of each frame.

    Args:
        flow: float32 (F, H, W, 2), px.

    Returns:
        float32 (F,), px.
    """
    magnitude = np.hypot(flow[..., 0], flow[..., 1])  # (F, H, W)
    return np.asarray(magnitude.mean(axis=(1, 2), dtype=np.float64), np.float32)
