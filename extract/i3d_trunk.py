"""I3D up to its feature map, built from a loaded network for one device and precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

from extract.i3d import I3D, MaxPool3dSame, Mixed, Triple, Unit3D
from extract.i3d_fold import Folded, first, folded, merged
from extract.i3d_layers import Conv, First, Layer, Place, Pool
from extract.i3d_onednn import BitPool, PackedConv, PairedFirst, can_pack

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

ConvType = Callable[[Folded], Layer]
PoolType = Callable[[Triple, Triple], Layer]


class Trunk:
    """A network's layers before the average pool.

    Args:
        network: Loaded, in evaluation mode; it is left as it is.
        device: Where the layers compute.
        precision: Of weights and activations, a key of `DTYPES`; sums are float32.
    """

    def __init__(self, network: I3D, device: str, precision: str) -> None:
        self.alone = device == "cpu" and can_pack()
        self.place = Place(device, DTYPES[precision])
        self._layers = [self._layer(network.get_submodule(name)) for name in network.trunk]

    def __call__(self, clips: Tensor) -> Tensor:
        """Map clips (B, C, F, H, W) to (B, 1024, f, h, w) float32; values in [-1, 1] or uint8."""
        if self.alone:
            return torch.cat([self._map(clip) for clip in torch.split(clips, 1)])
        return self._map(clips)

    def _map(self, x: Tensor) -> Tensor:
        for layer in self._layers:
            x = layer(x)
        return x.float()

    def _layer(self, module: nn.Module) -> Layer:
        conv, pool, start = (PackedConv, BitPool, PairedFirst) if self.alone else (Conv, Pool, First)
        if isinstance(module, MaxPool3dSame):
            return pool(module.kernel, module.stride)
        if isinstance(module, Mixed):
            return Inception(module, partial(conv, place=self.place), pool)
        if isinstance(module, Unit3D) and module.kernel == (7, 7, 7):
            return start(first(module), self.place)
        if isinstance(module, Unit3D):
            return conv(folded(module), self.place)
        raise ValueError(f"no layer of I3D: {type(module).__name__}")


class Inception:
    """The four branches; the three convolutions that read the input are one."""

    def __init__(self, block: Mixed, conv: ConvType, pool: PoolType) -> None:
        units = (block.b0, block.b1a, block.b2a)
        self._widths = [unit.conv3d.out_channels for unit in units]
        self._heads = conv(merged(block))
        self._b1b, self._b2b, self._b3b = (conv(folded(unit)) for unit in (block.b1b, block.b2b, block.b3b))
        self._pool = pool(block.b3a.kernel, block.b3a.stride)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (B, n_in, F, H, W) to (B, b0 + b1b + b2b + b3b, F, H, W)."""
        b0, b1, b2 = torch.split(self._heads(x), self._widths, dim=1)
        return torch.cat([b0, self._b1b(b1), self._b2b(b2), self._b3b(self._pool(x))], dim=1)
