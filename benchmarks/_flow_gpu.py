"""Frames, counts and clocks for the benchmark of flow on a GPU."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from extract.flow import _gpu_cuda
from extract.flow._tvl1 import Parameters, pyramid_sizes
from tal.errors import BackendError
from tal.types import ByteArray

INSTRUCTIONS = 50
"""Of one pixel and iteration, counted in the kernel's machine code for sm_90: 397 for 8 pixels."""
BYTES_READ, BYTES_WRITTEN = 40, 24
"""Of one pixel and launch: u, p and coef; u and p."""
LANES = 128
"""Instructions that a multiprocessor starts per clock, over all lanes (compute capability 8.0 and later)."""


def need_gpu() -> torch.device:
    """Return the NVIDIA GPU.

    Raises:
        BackendError: If there is none.
    """
    if not torch.cuda.is_available() or torch.version.cuda is None:
        raise BackendError("benchmark flow_gpu needs an NVIDIA GPU; PyTorch finds none, check it with nvidia-smi")
    return torch.device("cuda", torch.cuda.current_device())


def moving_frames(n_frames: int, height: int, width: int) -> ByteArray:
    """Return a textured background that pans under a textured disc that moves against it, uint8 (F, H, W)."""
    import cv2

    rng = np.random.default_rng(0)
    size = (height + 64, width + 64)
    fine, coarse = rng.uniform(0, 1, size), cv2.resize(rng.uniform(0, 1, (9, 12)), size[::-1])
    picture = np.float32(200 * coarse + 55 * cv2.GaussianBlur(fine, (0, 0), 1.5))
    y, x = np.mgrid[:height, :width]
    frames = []
    for i in range(n_frames):
        centre = (width / 2 + 40 * np.sin(i / 7), height / 2 + 20 * np.cos(i / 5))
        disc = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < (height / 5) ** 2
        pan = np.float32([[1, 0, -32 - 20 * np.sin(i / 11)], [0, 1, -32 - 12 * np.cos(i / 9)]])
        shift = np.float32([[1, 0, -centre[0] + width / 2], [0, 1, -centre[1] + height / 2]])
        shown = [cv2.warpAffine(picture, m, (width, height), borderMode=cv2.BORDER_REFLECT) for m in (pan, shift)]
        frames.append(np.where(disc, shown[1], shown[0]))
    return np.clip(np.round(frames), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Work:
    """What the iterations of one pair take.

    Attributes:
        useful: Pixel-iterations of the algorithm.
        computed: The same with what tiles compute twice or outside the frame.
        n_bytes: Moved between memory and multiprocessors, if each tile's part goes through once.
    """

    useful: int
    computed: int
    n_bytes: int


def work(height: int, width: int, parameters: Parameters) -> Work:
    """Count the iterations' work for a pair, with parameters that never stop early."""
    useful = computed = n_bytes = 0
    for h, w in pyramid_sizes(height, width, parameters):
        for count in _gpu_cuda.tiling(h, w, parameters.n_inner):
            tile_h, tile_w = _gpu_cuda.TILE
            covered = _gpu_cuda.tiles(h, tile_h, count) * tile_h * _gpu_cuda.tiles(w, tile_w, count) * tile_w
            useful += h * w * count
            computed += covered * count
            n_bytes += covered * BYTES_READ + h * w * BYTES_WRITTEN
    rounds = parameters.n_warps * parameters.n_outer
    return Work(useful * rounds, computed * rounds, n_bytes * rounds)


def copy_rate(device: torch.device) -> float:
    """Measure bytes per second of copies in memory, reads and writes counted."""
    source = torch.empty(1 << 29, dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    seconds = time_gpu(lambda: target.copy_(source), 5)
    return 2 * source.numel() * 4 / seconds


def instruction_rate(device: torch.device) -> float:
    """Return how many instructions the device starts per second at its highest clock, over all lanes; 0 if unknown."""
    query = ["nvidia-smi", f"--id={device.index}", "--query-gpu=clocks.max.sm", "--format=csv,noheader,nounits"]
    try:
        shown = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0.0
    clock_mhz = shown.strip()
    n_multiprocessors = torch.cuda.get_device_properties(device).multi_processor_count
    return n_multiprocessors * LANES * int(clock_mhz) * 1e6 if clock_mhz.isdigit() else 0.0


def time_gpu(call: Callable[[], object], n: int) -> float:
    """Return the median seconds of `n` calls after one that warms up."""
    times = []
    for _ in range(n + 1):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1000)
    return float(np.median(times[1:]))
