"""I3D's weights made ready for inference: BatchNorm folded in, convolutions that share an input merged.

All of it is done in float64, from which each engine rounds once.
"""

from __future__ import annotations

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253

from extract.i3d import Mixed, Unit3D

INPUT_SCALE = 127.5
"""The first layer reads 127.5 x: then values made of 8 bits, v / 127.5 - 1, are multiples of 0.5 and exact in bf16."""
Folded = tuple[Tensor, Tensor]


def folded(unit: Unit3D) -> Folded:
    """Return weights (n_out, n_in, kF, kH, kW) and biases (n_out,) of the convolution with its BatchNorm, float64."""
    bn = unit.bn
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError("needs a BatchNorm3d that keeps statistics")
    scale = bn.weight.detach().double() / (bn.running_var.double() + bn.eps).sqrt()
    weight = unit.conv3d.weight.detach().double() * scale[:, None, None, None, None]
    return weight, bn.bias.detach().double() - bn.running_mean.double() * scale


def merged(block: Mixed) -> Folded:
    """Return the three 1x1x1 convolutions that read the block's input as one; outputs in the order b0, b1a, b2a."""
    parts = [folded(unit) for unit in (block.b0, block.b1a, block.b2a)]
    return torch.cat([weight for weight, _ in parts]), torch.cat([bias for _, bias in parts])


def first(unit: Unit3D) -> Folded:
    """Return the first layer's weights for an input that is scaled by `INPUT_SCALE`."""
    weight, bias = folded(unit)
    return weight / INPUT_SCALE, bias


def in_pairs(weight: Tensor) -> Tensor:
    """Rewrite weights for an input whose pixels lie in pairs along W, as channels: stride 2 along W becomes 1.

    Args:
        weight: (n_out, n_in, kF, kH, kW) with odd kW.

    Returns:
        (n_out, 2 * n_in, kF, kH, (kW + 1) / 2); channel p * n_in + c reads channel c of a pair's pixel p.
    """
    n_out, n_in, *kernel = weight.shape
    wide = torch.nn.functional.pad(weight, (0, 1)).reshape(n_out, n_in, *kernel[:2], (kernel[2] + 1) // 2, 2)
    return wide.permute(0, 5, 1, 2, 3, 4).reshape(n_out, 2 * n_in, *kernel[:2], -1)
