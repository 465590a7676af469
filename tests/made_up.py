"""Videos that exist only in memory, and engines that count: what goes through the pass can be seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from extract import features, stream
from extract.features import Extractor
from extract.flow._base import FlowBackend
from extract.reports import DecodeReport
from tal.errors import VideoError, WeightsError
from tal.settings import ExtractSettings, RuntimeSettings
from tal.types import ByteArray, FloatArray

SIDE = 32
SETTINGS = ExtractSettings(short_side=SIDE, crop=0, length=8, stride=4)
POISON = 255
"""No network can read a frame of this value."""


class Difference(FlowBackend):
    """A stand-in whose 'flow' from one frame to the next is the difference of their gray values."""

    name = "difference"
    priority = 0

    def __init__(self, block: int = 32) -> None:
        super().__init__()
        self.block = block
        self.n_pairs: list[int] = []

    @classmethod
    def why_not(cls) -> str | None:
        return None

    def _solve(self, gray: ByteArray) -> FloatArray:
        self.n_pairs.append(len(gray) - 1)
        step = np.diff(gray.astype(np.float32), axis=0)
        return np.stack([step, -step], axis=-1)


@dataclass
class Network:
    """Keeps what it was given; a clip's vector holds the first channel of each of its frames."""

    batches: list[int] = field(default_factory=list)

    def embed(self, clips: torch.Tensor) -> FloatArray:
        self.batches.append(len(clips))
        values = clips[:, 0, :, 0, 0].numpy().astype(np.float32)  # (B, F)
        if clips.dtype == torch.uint8 and (values == POISON).any():
            raise WeightsError("not finite")
        return np.pad(values, ((0, 0), (0, 1024 - values.shape[1])))


@dataclass
class MadeUp:
    """One video: the gray values of its frames, and where it breaks off with an error."""

    path: Path
    values: Sequence[int]
    breaks_at: int | None = None
    width: int = SIDE
    n_decoded: int = 0
    offset: int = 0

    @property
    def report(self) -> DecodeReport:
        n = len(self.values)
        return DecodeReport(n, n, 0, 0, (), n, n / 25)

    def __iter__(self) -> Iterator[ByteArray]:
        for i, value in enumerate(self.values):
            if i == self.breaks_at:
                raise VideoError(f"{self.path}: broken")
            self.n_decoded += 1
            yield np.full((SIDE, self.width, 3), value % 256, np.uint8)


class Studio:
    """Opens made-up videos in place of files; counts which were opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, flow: FlowBackend | None = None) -> None:
        self.videos: dict[Path, MadeUp] = {}
        self.opened: list[Path] = []
        self.flow = flow or Difference()
        self.networks = {"rgb": Network(), "flow": Network()}
        monkeypatch.setattr(stream, "open_video", self._open)
        monkeypatch.setattr(features, "open_flow", lambda settings, runtime: self.flow)

    def _open(self, path: Path, *settings: Any) -> MadeUp:
        self.opened.append(path)
        return self.videos[path]

    def add(self, values: Sequence[int], breaks_at: int | None = None, width: int = SIDE) -> Path:
        path = Path(f"video_{len(self.videos):03}.mp4")
        self.videos[path] = MadeUp(path, values, breaks_at, width)
        return path

    def extractor(self, batch: int = 4, settings: ExtractSettings = SETTINGS) -> Extractor:
        return Extractor(settings, RuntimeSettings(batch=batch), self.networks, {})
