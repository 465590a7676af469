"""I3D as one writes it at first: module by module, each padded by a copy, as the public PyTorch reference does.

The peer of our engine in benchmarks: plain PyTorch, float32, nothing folded, merged or laid out anew.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from extract.i3d import I3D, MaxPool3dSame, Mixed, Triple, Unit3D, average_pool, same_padding

BRANCHES = (["b0"], ["b1a", "b1b"], ["b2a", "b2b"], ["b3a", "b3b"])


def embed(network: I3D, clips: Tensor) -> Tensor:
    """Return feature vectors of clips (B, C, F, H, W), values in [-1, 1]: (B, 1024)."""
    x = clips
    for name in network.trunk:
        x = _layer(network.get_submodule(name), x)
    return average_pool(x).mean(dim=(2, 3, 4))


def _layer(module: nn.Module, x: Tensor) -> Tensor:
    if isinstance(module, Unit3D):
        x = module.conv3d(_padded(x, module.kernel, module.stride))
        return functional.relu(module.bn(x))
    if isinstance(module, MaxPool3dSame):
        return functional.max_pool3d(_padded(x, module.kernel, module.stride), module.kernel, module.stride)
    if isinstance(module, Mixed):
        return torch.cat([_chain(module, x, names) for names in BRANCHES], dim=1)
    raise ValueError(f"no layer of I3D: {type(module).__name__}")


def _chain(block: Mixed, x: Tensor, names: list[str]) -> Tensor:
    for name in names:
        x = _layer(block.get_submodule(name), x)
    return x


def _padded(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    pads = same_padding(x.shape[2:], kernel, stride)
    return functional.pad(x, [amount for pad in reversed(pads) for amount in pad])
