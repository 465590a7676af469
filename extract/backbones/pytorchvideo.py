"""PyTorchVideo's model zoo: networks of PySlowFast, trained on Kinetics-400.

Version 0.1.5 is imported without ``pytorchvideo.transforms``, which today's torchvision breaks. Frames, rates and sizes
are those of the model zoo's pages; the files carry no published digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from extract.backbones._base import Backbone, Training
from extract.fetch import KnownFile

if TYPE_CHECKING:
    from torch import Tensor

_ZOO = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/"
ALPHA = 4
"""Frames of SlowFast's fast pathway for one of the slow pathway (arXiv 1812.03982, section 3.2; 8x8 setting)."""


@dataclass(frozen=True)
class _Zoo(Backbone):
    """A network whose blocks run one after the other, with the classifier in the last.

    Attributes:
        hub: The module of ``pytorchvideo.models.hub`` with its builder.
        file: Its file in the model zoo.
    """

    hub: str
    file: str
    package: ClassVar[str] = "pytorchvideo"

    def known_files(self) -> tuple[KnownFile, ...]:
        return (KnownFile(self.file, "rgb", _ZOO + self.file),)

    def build(self, stream: str) -> Any:
        del stream
        return getattr(import_module(f"pytorchvideo.models.hub.{self.hub}"), self.name)()

    def scaling(self) -> tuple[Sequence[float], Sequence[float]]:
        return (0.45,), (0.225,)

    def features(self, network: Any, clips: Tensor) -> Tensor:
        """Average the last stage's map."""
        vectors: Tensor = _through(network.blocks[:-1], clips).mean(dim=(2, 3, 4))
        return vectors

    def logits(self, network: Any, features: Tensor) -> Tensor:
        logits: Tensor = network.blocks[-1].proj(features)
        return logits


class _X3D(_Zoo):
    """X3D's features are the 2048 that its classifier reads, not the 432 of the pooled map before the last layer."""

    def features(self, network: Any, clips: Tensor) -> Tensor:
        """Average the head's first layer (432), then apply its second (2048)."""
        head = network.blocks[-1].pool
        x = head.pre_act(head.pre_norm(head.pre_conv(_through(network.blocks[:-1], clips))))
        vectors: Tensor = head.post_act(head.post_conv(x.mean(dim=(2, 3, 4), keepdim=True))).flatten(1)
        return vectors


class _SlowFast(_Zoo):
    """SlowFast's features are the slow pathway's 2048 and the fast pathway's 256."""

    def features(self, network: Any, clips: Tensor) -> Tensor:
        """Average each pathway's map and join the two."""
        import torch

        maps = _through(network.blocks[:-2], pathways(clips))
        return torch.cat([one.mean(dim=(2, 3, 4)) for one in maps], dim=1)


def pathways(clips: Tensor) -> list[Tensor]:
    """Return what the slow and the fast pathway read: every fourth frame, evenly from first to last, and all of them.

    Frames that are no multiple of four are rounded up, which is what the fusion layers (stride 4) bring to the slow
    pathway.

    Args:
        clips: (B, 3, F, H, W).

    Returns:
        (B, 3, ceil(F / 4), H, W) and (B, 3, F, H, W).
    """
    import torch

    n_frames = clips.shape[2]
    index = torch.linspace(0, n_frames - 1, -(-n_frames // ALPHA)).long().to(clips.device)
    return [clips.index_select(2, index), clips]


def _through(blocks: Any, x: Any) -> Any:
    for block in blocks:
        x = block(x)
    return x


BACKBONES = (
    _Zoo("slow_r50", 2048, Training(8, 3.75, 256, 224), "resnet", "SLOW_8x8_R50.pyth"),
    _Zoo("i3d_r50", 2048, Training(8, 3.75, 256, 224), "resnet", "I3D_8x8_R50.pyth"),
    _X3D("x3d_s", 2048, Training(13, 5, 182, 160), "x3d", "X3D_S.pyth"),
    _SlowFast("slowfast_r50", 2304, Training(32, 15, 256, 224), "slowfast", "SLOWFAST_8x8_R50.pyth"),
)
