"""TV-L1 of many pairs at once: the pyramid and the order of steps, for every kind of device and kernel.

A level of the pyramid is a `Level`; the plain one is `extract.flow._gpu_torch.TorchLevel`. Nothing here waits for the
device. A pair's flow does not depend on what is batched with it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from extract.flow._tvl1 import Parameters, pyramid_sizes

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Level(Protocol):
    """The solver's state on one level of the pyramid, for B pairs."""

    def __init__(self, first: Tensor, second: Tensor, flow: Tensor, parameters: Parameters) -> None:
        """Take both frames of each pair, float32 (B, H, W), and the flow to begin with, (2, B, H, W) px."""

    def warp(self) -> None:
        """Linearise the residual about the present flow."""

    def smooth(self) -> None:
        """Median filter the flow."""

    def iterate(self) -> None:
        """Run the inner iterations of one round."""

    def flow(self) -> Tensor:
        """Return the present flow, (2, B, H, W) px, in any memory layout."""


def solve(frames: Tensor, parameters: Parameters, level_type: type[Level]) -> Tensor:
    """Compute the flow between neighbouring frames.

    Args:
        frames: uint8 (F, H, W), F >= 2.
        parameters: Of the solver.
        level_type: Which kernels compute.

    Returns:
        float32 (F - 1, H, W, 2), px.
    """
    levels = build(frames, parameters)
    flow = frames.new_zeros((2, len(frames) - 1, *levels[-1].shape[1:]), dtype=levels[-1].dtype)
    while levels:
        gray = levels.pop()  # (F, h, w)
        if flow.shape[2:] != gray.shape[1:]:
            flow = resize(flow, (gray.shape[1], gray.shape[2])).mul_(1 / parameters.scale_step)
        flow = _run(level_type(gray[:-1], gray[1:], flow, parameters), parameters)
    return flow.permute(1, 2, 3, 0).contiguous()


def _run(level: Level, parameters: Parameters) -> Tensor:
    for _ in range(parameters.n_warps):
        level.warp()
        for _ in range(parameters.n_outer):
            level.smooth()
            level.iterate()
    return level.flow()


def build(frames: Tensor, parameters: Parameters) -> list[Tensor]:
    """Return the frames on each level, float32 (F, h, w), the finest first."""
    levels = [frames.float()]
    for size in pyramid_sizes(frames.shape[1], frames.shape[2], parameters)[1:]:
        levels.append(resize(levels[-1], size, parameters.scale_step))
    return levels


def resize(images: Tensor, size: tuple[int, int], scale: float = 0.0) -> Tensor:
    """Scale images bilinearly between pixel centres, as OpenCV's INTER_LINEAR does.

    Args:
        images: float32 (..., H, W).
        size: Wanted height and width, px.
        scale: Size of the result over that of the images; 0 takes it from the sizes. The two differ where a side was
            rounded, and OpenCV samples by the scale where it was given one.
    """
    for axis in (-1, -2):
        n_in, n_out = images.shape[axis], size[axis]
        step = 1 / scale if scale else n_in / n_out
        low, high, weight = _taps(n_in, n_out, step, images.device)
        shape = (-1,) if axis == -1 else (-1, 1)
        images = images.index_select(axis, low).lerp_(images.index_select(axis, high), weight.view(shape))
    return images


@lru_cache(maxsize=64)
def _taps(n_in: int, n_out: int, step: float, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return, per output position, both input positions and the weight of the second."""
    import torch

    at = (np.arange(n_out) + 0.5) * step - 0.5
    low = np.clip(np.floor(at), 0, n_in - 1)
    weight = np.where((at < 0) | (low >= n_in - 1), 0, at - low).astype(np.float32)
    high = np.minimum(low + 1, n_in - 1)
    return (
        torch.from_numpy(low.astype(np.int64)).to(device),
        torch.from_numpy(high.astype(np.int64)).to(device),
        torch.from_numpy(weight).to(device),
    )


def gradient(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the central differences in x and y; at the border half of the one-sided difference.

    Args:
        images: float32 (B, H, W).
    """
    found = []
    for axis in (2, 1):
        n = images.shape[axis]
        ahead = images.narrow(axis, min(1, n - 1), max(1, n - 1))
        behind = images.narrow(axis, 0, max(1, n - 1))
        slope = images.new_zeros(images.shape)
        if n > 1:
            step = ahead.sub(behind).mul_(0.5)
            slope.narrow(axis, 0, n - 1).add_(step)
            slope.narrow(axis, 1, n - 1).add_(step)
        found.append(slope)
    return found[0], found[1]
