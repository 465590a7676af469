"""I3D networks for tests: one with the weights of the stored reference outputs, one that needs no files."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from extract.i3d import CHANNELS, I3D

CASES = [  # stream, frames, side in px
    *[(stream, *case) for stream in CHANNELS for case in [(16, 224), (16, 225), (16, 256), (20, 224), (24, 224)]],
    ("flow", 64, 224),
]


class Stored:
    """What the public reference network gave for made-up weights and clips."""

    def __init__(self, shared: Path) -> None:
        self._made: dict[str, Callable[..., Any]] = runpy.run_path(str(shared / "bench" / "i3d_reference_weights.py"))
        with np.load(shared / "data" / "parity" / "i3d_reference.npz") as file:
            self._outputs = dict(file)
        self._networks: dict[str, I3D] = {}

    def network(self, stream: str) -> I3D:
        """Return the network; strict loading checks every key."""
        if stream not in self._networks:
            state = {key: torch.from_numpy(value) for key, value in self._made["weights"](stream).items()}
            self._networks[stream] = I3D(CHANNELS[stream]).eval()
            self._networks[stream].load_state_dict(state)
        return self._networks[stream]

    def clip(self, stream: str, frames: int, size: int) -> torch.Tensor:
        """Return the clip, (1, C, frames, size, size)."""
        return torch.from_numpy(self._made["clip"](stream, frames, size))

    def output(self, stream: str, frames: int, size: int, what: str) -> np.ndarray:
        """Return "features" (1024, t, h, w) or "logits" (400, t, h, w)."""
        return self._outputs[f"{stream}_{frames}_{size}_{what}"]


def lively(stream: str, seed: int = 0) -> I3D:
    """Return a network in which every parameter and statistic matters, and maps neither fade nor grow."""
    generator = torch.Generator().manual_seed(seed)
    network = I3D(CHANNELS[stream], n_classes=7).eval()
    for key, value in network.state_dict().items():
        noise = torch.randn(value.shape, generator=generator)
        if key.endswith("conv3d.weight"):
            value.copy_(noise * (2 / value[0].numel()) ** 0.5)
        elif key.endswith(("running_var", "bn.weight")):
            value.copy_(1 + 0.2 * noise.abs())
        elif not key.endswith("num_batches_tracked"):
            value.copy_(0.1 * noise)
    return network


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    """Nothing is learned."""
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def stored(shared: Path) -> Stored:
    return Stored(shared)
