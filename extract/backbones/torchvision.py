"""torchvision's video networks, trained on Kinetics-400.

Addresses, means and deviations come from torchvision's own tables of weights; frames, rates and sizes from what the
tables say about testing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from extract.backbones._base import Backbone, Training
from extract.fetch import Digests, KnownFile

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class NamedByDigest(KnownFile):
    """A file whose name ends in the first digits of its SHA-256, as PyTorch publishes them: ``r3d_18-b3b3357e.pth``."""

    @property
    def has_digest(self) -> bool:
        """Whether the name holds one."""
        return bool(self._digits)

    def mismatch(self, found: Digests) -> str:
        """Return how a file is not this one; empty if it is."""
        if found.sha256.startswith(self._digits):
            return ""
        return f"SHA-256 {found.sha256}, not {self._digits}..."

    @property
    def _digits(self) -> str:
        digits = re.search(r"-([0-9a-f]{8,64})\.", self.name)
        return digits[1] if digits else ""


class _Torchvision(Backbone):
    package: ClassVar[str] = "torchvision"

    def known_files(self) -> tuple[KnownFile, ...]:
        url = str(self._table().url)
        return (NamedByDigest(url.rpartition("/")[2], "rgb", url),)

    def build(self, stream: str) -> Any:
        del stream
        from torchvision.models import get_model

        return get_model(self.name, weights=None)

    def scaling(self) -> tuple[Sequence[float], Sequence[float]]:
        transforms = self._table().transforms()
        return transforms.mean, transforms.std

    def _table(self) -> Any:
        from torchvision.models import get_model_weights

        return get_model_weights(self.name)["KINETICS400_V1"]


class _ResNet(_Torchvision):
    """Tran et al., CVPR 2018."""

    def features(self, network: Any, clips: Tensor) -> Tensor:
        x = network.stem(clips)
        for layer in (network.layer1, network.layer2, network.layer3, network.layer4):
            x = layer(x)
        return _average(x)

    def logits(self, network: Any, features: Tensor) -> Tensor:
        logits: Tensor = network.fc(features)
        return logits


class _S3D(_Torchvision):
    """Xie et al., ECCV 2018: I3D with separated convolutions."""

    def features(self, network: Any, clips: Tensor) -> Tensor:
        return _average(network.features(clips))

    def logits(self, network: Any, features: Tensor) -> Tensor:
        logits: Tensor = network.classifier(features[:, :, None, None, None])
        return logits.flatten(1)


class _Swin(_Torchvision):
    """Liu et al., CVPR 2022."""

    def features(self, network: Any, clips: Tensor) -> Tensor:
        x = network.norm(network.features(network.patch_embed(clips)))  # (B, f, h, w, D)
        vectors: Tensor = x.mean(dim=(1, 2, 3))
        return vectors

    def logits(self, network: Any, features: Tensor) -> Tensor:
        logits: Tensor = network.head(features)
        return logits


class _MViT(_Torchvision):
    """Li et al., CVPR 2022. Positions are relative, so other sizes than 16 x 224 x 224 are interpolated tables."""

    def features(self, network: Any, clips: Tensor) -> Tensor:
        """Return the class token."""
        patches = network.conv_proj(clips)
        x, extent = network.pos_encoding(patches.flatten(2).transpose(1, 2)), tuple(patches.shape[2:])
        for block in network.blocks:
            x, extent = block(x, extent)
        vectors: Tensor = network.norm(x)[:, 0]
        return vectors

    def logits(self, network: Any, features: Tensor) -> Tensor:
        logits: Tensor = network.head(features)
        return logits


def _average(x: Tensor) -> Tensor:
    return x.mean(dim=(2, 3, 4))


_SMALL = Training(16, 15, 128, 112)
BACKBONES = (
    _ResNet("r3d_18", 512, _SMALL),
    _ResNet("mc3_18", 512, _SMALL),
    _ResNet("r2plus1d_18", 512, _SMALL),
    _S3D("s3d", 1024, Training(128, 15, 256, 224)),
    _Swin("swin3d_t", 768, Training(32, 15, 256, 224)),
    _MViT("mvit_v2_s", 768, Training(16, 7.5, 256, 224)),
)
