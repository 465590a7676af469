"""Two-stream I3D (`extract.i3d`), the default: the one backbone that knows flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from extract.backbones._base import Backbone, Training
from extract.fetch import KNOWN_FILES, KnownFile

if TYPE_CHECKING:
    from torch import Tensor


class _I3D(Backbone):
    streams: ClassVar[tuple[str, ...]] = ("rgb", "flow")

    def known_files(self) -> tuple[KnownFile, ...]:
        return KNOWN_FILES

    def build(self, stream: str) -> Any:
        from extract.i3d import CHANNELS, I3D

        return I3D(CHANNELS[stream])

    def scaling(self) -> tuple[Sequence[float], Sequence[float]]:
        return (0.5,), (0.5,)  # [-1, 1] is what it reads

    def features(self, network: Any, clips: Tensor) -> Tensor:
        vectors: Tensor = network.embed(clips)
        return vectors

    def logits(self, network: Any, features: Tensor) -> Tensor:
        logits: Tensor = network.classify(features)
        return logits

    def random_state(self, network: Any, seed: int, stream: str) -> Mapping[str, Tensor]:
        del network
        from extract import weights

        return weights.random_state(seed, stream)

    def read_state(self, network: Any, path: Path, stream: str) -> Mapping[str, Tensor]:
        del network
        from extract import weights

        return weights.load(path, stream)


BACKBONES = (_I3D("i3d", 1024, Training(64, 25, 256, 224)),)  # Carreira and Zisserman, CVPR 2017, section 4.1
