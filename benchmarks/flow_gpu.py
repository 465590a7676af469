"""TV-L1 on an NVIDIA GPU: agreement with the CPU engine, pairs per second, share of the GPU's peaks.

Frames of 340 x 256 px, made up: a panning texture and a disc that moves against it. Rows: the GPU tests of the checkout
(how many fail); mean distance of GPU and CPU flow; pairs per second by quality and batch size, frames and flow on the
GPU, against PyTorch's operations on the same GPU; the same from and to NumPy arrays; memory traffic and instructions
of the iterations against the GPU's own peaks, counted as `_flow_gpu` says, for qualities that always run the same
number of them. `--quick`: qualities ``default`` and ``fast`` only.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import torch
from _flow_gpu import INSTRUCTIONS, copy_rate, instruction_rate, moving_frames, need_gpu, time_gpu, work

from extract import flow
from extract.flow._gpu import TorchSolver
from extract.flow._gpu_pyramid import solve
from extract.flow._gpu_torch import TorchLevel
from extract.flow._tvl1 import QUALITIES
from tal.bench import Row
from tal.progress import Progress, Task
from tal.types import ByteArray

HEIGHT, WIDTH = 256, 340
AGREEMENT_PX = 0.005
PAIRS_PER_S = 2000.0
BATCHES = (1, 8, 32, 128, 256)
TOLD = 128
"""The batch size whose figures are compared with goals and peaks."""


def run(quick: bool, progress: Progress) -> list[Row]:
    """Measure on the GPU.

    Raises:
        BackendError: If there is no NVIDIA GPU.
    """
    device = need_gpu()
    qualities = ["default", "fast"] if quick else list(QUALITIES)
    frames = moving_frames(max(BATCHES) + 1, HEIGHT, WIDTH)
    with progress.task("flow_gpu", 1 + 3 * len(qualities), "steps") as bar:
        rows = _tests(bar)
        for quality in qualities:
            rows.append(_agreement(frames[:5], quality, bar))
            rows += _speed(frames, quality, device, bar)
            rows += _from_numpy(frames, quality, bar)
    return rows


def _tests(bar: Task) -> list[Row]:
    """Run the GPU tests, in a checkout."""
    root = Path(__file__).resolve().parents[1]
    if not (root / "tests").is_dir():
        return []
    command = [sys.executable, "-m", "pytest", "tests/test_flow_on_gpu.py", "-m", "gpu", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, cwd=root, env={**os.environ, "TAL_REQUIRE_GPU": "1"}, capture_output=True, text=True, check=False
    )
    found = re.findall(r"(\d+) (?:failed|error)", done.stdout)
    n_failed = sum(map(int, found)) or int(done.returncode != 0)
    bar.advance(1, "GPU tests")
    return [Row("GPU tests that fail", n_failed, "tests", goal="0", met=n_failed == 0)]


def _agreement(frames: ByteArray, quality: str, bar: Task) -> Row:
    found = []
    for device in ("cuda", "cpu"):
        with flow.load("native", device=device, quality=quality) as engine:
            found.append(engine.pairs(frames))
    distance = float(flow.motion_px(found[0] - found[1]).mean())
    bar.advance(1, f"{quality}: CPU and GPU")
    goal = f"<= {AGREEMENT_PX}"
    return Row(f"mean distance, GPU and CPU, {quality}", distance, "px", goal=goal, met=distance <= AGREEMENT_PX)


def _speed(frames: ByteArray, quality: str, device: torch.device, bar: Task) -> list[Row]:
    """Measure pairs per second on the GPU for each batch size, and what the iterations use of its peaks."""
    parameters = QUALITIES[quality]
    solver, given = TorchSolver(parameters, str(device)), torch.from_numpy(frames).to(device)
    rates = {n: n / time_gpu(lambda n=n: solver.solve_tensor(given[: n + 1]), 5) for n in BATCHES}
    plain = TOLD / time_gpu(lambda: solve(given[: TOLD + 1], parameters, TorchLevel), 1)
    rows = []
    for n, rate in rates.items():
        wanted = quality == "default" and n == TOLD
        goal, met = (f">= {PAIRS_PER_S:g}", rate >= PAIRS_PER_S) if wanted else ("", None)
        peer = plain if n == TOLD else None
        rows.append(Row(f"{quality}, batch {n} ({solver.kernels})", rate, "pairs/s", peer, goal, met))
    bar.advance(1, f"{quality}: {rates[TOLD]:.0f} pairs/s")
    return rows if parameters.epsilon > 0 else rows + _peaks(rates[TOLD], quality, device)


def _peaks(rate: float, quality: str, device: torch.device) -> list[Row]:
    needed = work(HEIGHT, WIDTH, QUALITIES[quality])
    traffic, instructions = needed.n_bytes * rate / 1e9, needed.computed * INSTRUCTIONS * rate / 1e9
    peak = instruction_rate(device) / 1e9 or None
    return [
        Row(f"{quality}: iterations", needed.useful * rate / 1e9, "G px-iterations/s"),
        Row(f"{quality}: computed per useful pixel", needed.computed / needed.useful, ""),
        Row(f"{quality}: iterations' traffic, against copying", traffic, "GB/s", copy_rate(device) / 1e9),
        Row(f"{quality}: iterations' instructions, against the most", instructions, "G lanes/s", peak),
    ]


def _from_numpy(frames: ByteArray, quality: str, bar: Task) -> list[Row]:
    """Measure pairs per second with upload and download."""
    with flow.load("native", device="cuda", quality=quality) as engine:
        engine.pairs(frames)
        start = time.perf_counter()
        engine.pairs(frames)
        seconds = time.perf_counter() - start
    bar.advance(1, f"{quality}: from and to arrays")
    return [Row(f"{quality}, from and to arrays, batch {len(frames) - 1}", (len(frames) - 1) / seconds, "pairs/s")]
