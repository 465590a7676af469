"""TV-L1 of the CPU engine against that of the GPU engine, the latter as PyTorch's operations on the CPU.

One pair of 340 x 256 px of each of nine real clips, the same as in `flow`. Distances are mean end-point distances in
px. What an NVIDIA GPU's own kernels give is measured by `flow_gpu`, on such a machine. `--quick`: one clip.
"""

from __future__ import annotations

import numpy as np
from flow import CLIPS, frames

from extract.flow._cpu import CpuSolver
from extract.flow._gpu import TorchSolver
from extract.flow._tvl1 import QUALITIES
from tal.bench import Row
from tal.progress import Progress
from tal.types import ByteArray

AGREEMENT_PX = 0.005


def run(quick: bool, progress: Progress) -> list[Row]:
    """Measure the distance on each clip."""
    clips = CLIPS[1:2] if quick else CLIPS
    rows = []
    with progress.task("flow", len(clips), "clips") as bar:
        for name in clips:
            away_px = distance_px(frames(name, 2))
            rows.append(Row(name, away_px, "px", None, f"<= {AGREEMENT_PX} px", away_px <= AGREEMENT_PX))
            bar.advance(1, name)
    return rows


def distance_px(gray: ByteArray) -> float:
    """Return the mean distance between the flows that both engines give for frames (F, H, W)."""
    quality = QUALITIES["default"]
    one, other = TorchSolver(quality, "cpu"), CpuSolver(quality, 0)
    try:
        return float(np.linalg.norm(one.solve(gray) - other.solve(gray), axis=-1).mean())
    finally:
        other.close()
