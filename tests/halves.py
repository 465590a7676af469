"""A video of two visibly different halves, and I3D weights whose head tells them apart as two Kinetics classes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from clips import CODEC

import tal
from tal import config, shards
from tal.cache import Cache

FIRST, SECOND, RIVAL = "juggling balls", "playing harp", "abseiling"
HALF_S = 19.2
SNIPPET_S = 1.6
SETS = [
    "extract.fps=5",
    "extract.short_side=32",
    "extract.crop=0",
    "extract.length=8",
    "extract.stride=8",
    "extract.flow.quality=fast",
]
N_HALF = 96
"""Frames; 12 snippets."""


@dataclass(frozen=True)
class Halves:
    """The video, a folder with ``rgb_imagenet.pt`` and ``flow_imagenet.pt``, and a cache that tests share."""

    video: Path
    weights: Path
    cache: Path
    untrained: Path

    @property
    def options(self) -> list[object]:
        sets = [part for text in SETS for part in ("--set", text)]
        return [*sets, "--weights", self.weights]


def make_halves(folder: Path) -> Halves:
    """Render the video, extract it with random weights, and plant the heads in these."""
    made = Halves(draw(folder / "halves.mp4"), folder / "weights", folder / "cache", folder / "untrained")
    cache = Cache(folder / "scratch")
    settings = config.load(sets=[*SETS, "extract.weights=random:0", "extract.calibration_videos=1"])
    shard = tal.extract(made.video, folder / "features", settings, cache=cache).shards["halves"]
    (calibrated,) = (entry.path for entry in cache.entries("calibrate"))
    calibrated.rename(made.untrained)
    made.weights.mkdir()
    for stream, values in shards.read(shard).streams.items():
        state = _load(made.untrained / f"i3d_{stream}.safetensors")
        torch.save(state | planted_head(values), made.weights / f"{stream}_imagenet.pt")
    return made


def draw(path: Path, n_half: int = N_HALF) -> Path:
    """Write red fine texture that stands still, then blue coarse texture that moves one period per snippet."""
    rng = np.random.default_rng(0)
    noise = np.tile(rng.uniform(0, 255, (48, 16)), (1, 8))
    fine, coarse = (cv2.normalize(cv2.GaussianBlur(noise, (0, 0), s), None, 0, 255, cv2.NORM_MINMAX) for s in (1, 3))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODEC, rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 5)
        for i in range(2 * n_half):
            rgb = np.zeros((48, 64, 3), np.uint8)
            rgb[..., 0 if i < n_half else 2] = fine[:, 16:80] if i < n_half else coarse[:, 16 + 2 * i % 16 :][:, :64]
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def planted_head(features: np.ndarray) -> dict[str, torch.Tensor]:
    """Return a head whose logits are 8 and -8 on the mean features of the halves, for FIRST and negated for SECOND.

    RIVAL has SECOND's logit less 1, so that it gets 27 % of the second half and SECOND 73 %; all others have -30.
    """
    from extract.i3d import kinetics_classes

    n = len(features) // 2
    one, two = features[:n].mean(axis=0), features[n:].mean(axis=0)
    across, names = one - two, kinetics_classes()
    weight, bias = np.zeros((400, 1024), np.float32), np.full(400, -30, np.float32)
    for name, sign, less in ((FIRST, 1, 0), (SECOND, -1, 0), (RIVAL, -1, 1)):
        row = sign * 16 * across / (across @ across)
        weight[names.index(name)], bias[names.index(name)] = row, -row @ (one + two) / 2 - less
    return {
        "logits.conv3d.weight": torch.from_numpy(weight)[:, :, None, None, None],
        "logits.conv3d.bias": torch.from_numpy(bias),
    }


def _load(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return dict(load_file(path))
