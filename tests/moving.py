"""Pictures that move, and measures of flow."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch

from extract.flow._cpu import CpuSolver
from extract.flow._gpu_cuda import CudaLevel
from extract.flow._gpu_torch import TorchLevel
from extract.flow._tvl1 import Parameters
from tal.types import ByteArray, FloatArray

SHORT = Parameters(n_scales=3, n_warps=2, n_outer=1, n_inner=7)


def moved(n_frames: int, size: tuple[int, int] = (32, 36), step: int = 1) -> ByteArray:
    """A smooth random picture that moves `step` px to the left per frame."""
    rng = np.random.default_rng(0)
    wide = cv2.GaussianBlur(rng.uniform(0, 255, (size[0], size[1] + n_frames * step)), (0, 0), 2)
    wide = (wide - wide.min()) / (wide.max() - wide.min()) * 255
    return np.stack([wide[:, i * step : i * step + size[1]] for i in range(n_frames)]).astype(np.uint8)


def texture(size: tuple[int, int], u: float = 0, v: float = 0, n_frames: int = 2) -> ByteArray:
    """Waves of 8 to 80 px that move by (u, v) px per frame."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    value = np.zeros((n_frames, *size))
    for length, angle, phase in rng.uniform((8, 0, 0), (80, 7, 7), (20, 3)):
        kx, ky = 2 * np.pi / length * np.cos(angle), 2 * np.pi / length * np.sin(angle)
        value += [np.cos(kx * (x - i * u) + ky * (y - i * v) + phase) for i in range(n_frames)]
    return np.clip(np.round(128 + 18 * value), 0, 255).astype(np.uint8)


def solve(frames: ByteArray, parameters: Parameters, workers: int = 1) -> FloatArray:
    """What the engine of the CPU makes of frames."""
    return CpuSolver(parameters, workers).solve(frames)


def opencv(first: ByteArray, second: ByteArray, p: Parameters) -> FloatArray:
    solver: Any = cv2.optflow.DualTVL1OpticalFlow_create(  # type: ignore[attr-defined]
        p.tau, p.lambda_, p.theta, p.n_scales, p.n_warps, p.epsilon, p.n_inner, p.n_outer, p.scale_step, 0.0, p.median
    )
    return np.asarray(solver.calc(first, second, None), np.float32)


def distance(a: Any, b: Any) -> FloatArray:
    """End point distances, px."""
    return np.asarray(np.hypot(*np.moveaxis(np.asarray(a) - np.asarray(b), -1, 0)), np.float32)


def random(*shape: int, scale: float = 1.0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(shape[-1]).normal(0, scale, shape).astype(np.float32))


def both(level: type[CudaLevel], size: tuple[int, int], device: str = "cpu") -> tuple[TorchLevel, CudaLevel]:
    """The same random state for both kinds of level, after a warp by PyTorch."""
    first, second = (random(2, *size, scale=scale).to(device) for scale in (60, 50))
    u = random(2, 2, *size, scale=3).to(device)
    plain = TorchLevel(first, second, u.clone(), SHORT)
    plain.warp()
    plain.px.copy_(random(2, 2, *size, scale=0.3))
    plain.py.copy_(random(2, 2, *size, scale=0.2))
    plain.px[..., -1], plain.py[..., -1, :] = 0, 0  # as in every run: no flow crosses the far border
    own = level(first, second, u, SHORT)
    own.p[0] = torch.stack([plain.px[0], plain.py[0], plain.px[1], plain.py[1]], dim=-1)
    own.coef = torch.stack([plain.offset, *plain.grad, plain.gain], dim=-1)
    return plain, own
