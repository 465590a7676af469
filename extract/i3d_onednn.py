"""I3D's layers for inference on CPUs, where PyTorch has oneDNN.

Weights are laid out once and the ReLU is part of the convolution. Max pools compare numbers that are never negative
(after a ReLU), so their bits are compared as integers, axis by axis. The layers work on one clip at a time, so that a
clip's result is bitwise the same in any batch, and keep buffers: a network serves one thread.
"""

from __future__ import annotations

from typing import Any

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253

from extract.i3d import Triple, same_padding
from extract.i3d_fold import Folded, in_pairs
from extract.i3d_layers import Place, scaled

_BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16}


def can_pack() -> bool:
    """Whether PyTorch has oneDNN and its convolution with prepared weights."""
    there: bool = torch._C._has_mkldnn
    return there and hasattr(torch.ops.mkldnn, "_convolution_pointwise")


class PackedConv:
    """Convolution and ReLU in one, by oneDNN, on weights that it lays out for the first map it sees."""

    def __init__(self, weights: Folded, place: Place, stride: Triple = (1, 1, 1), padded: bool = True) -> None:
        self._weight, self._bias = (place.put(part) for part in weights)
        self._stride = list(stride)
        self._pads = [size // 2 if padded else 0 for size in self._weight.shape[2:]]
        self._packed = False

    def __call__(self, x: Tensor) -> Tensor:
        """Map (B, n_in, F, H, W) to (B, n_out, ...)."""
        if not self._packed:
            self._pack(x)
        out: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self._weight, self._bias, self._pads, self._stride, [1, 1, 1], 1, "relu", [], ""
        )
        return out

    def _pack(self, x: Tensor) -> None:
        reorder: Any = torch._C._nn.mkldnn_reorder_conv3d_weight  # its stub lacks the last argument
        dense = torch.ops.aten.to_mkldnn(self._weight)
        self._weight = reorder(dense, self._pads, self._stride, [1, 1, 1], 1, list(x.shape))
        self._packed = True


class PairedFirst:
    """The first convolution on pixels that lie in pairs, from a padded buffer that each clip is written into.

    A pair of pixels as 2 C channels needs no copy where channels are last, makes stride 2 along W stride 1, and gives
    the matrix product 6 or 4 channels to work on instead of 3 or 2. The eighth column of the kernel is zero.
    """

    def __init__(self, weights: Folded, place: Place) -> None:
        weight, bias = weights
        self._conv = PackedConv((in_pairs(weight), bias), place, (2, 2, 1), padded=False)
        self._dtype = place.dtype
        self._padded = self._inner = torch.empty(0)
        self._shape: tuple[int, ...] = ()

    def __call__(self, clips: Tensor) -> Tensor:
        """Map one clip (1, C, F, H, W) to (1, 64, ceil(F / 2), ...)."""
        if clips.shape[1:] != self._shape:
            self._prepare(clips.shape[1:])
        scaled(clips[0].permute(1, 2, 3, 0), self._inner)
        return self._conv(self._padded)

    def _prepare(self, shape: tuple[int, ...]) -> None:
        channels, *sizes = shape
        pads = same_padding(sizes, (7, 7, 7), (2, 2, 2))
        frames, height, width = (before + size + after for size, (before, after) in zip(sizes, pads, strict=True))
        buffer = torch.zeros(frames, height, width + 1, channels, dtype=self._dtype)  # an even width
        part = tuple(slice(before, before + size) for size, (before, _) in zip(sizes, pads, strict=True))
        self._inner = buffer[part]
        self._padded = buffer.view(frames, height, (width + 1) // 2, 2 * channels).permute(3, 0, 1, 2)[None]
        self._shape = tuple(shape)


class BitPool:
    """`Pool` on one axis after another, by comparing bits: IEEE numbers from 0 up are ordered as their bits are."""

    def __init__(self, kernel: Triple, stride: Triple) -> None:
        self._kernel, self._stride = kernel, stride

    def __call__(self, x: Tensor) -> Tensor:
        """Map (B, C, F, H, W) to (B, C, ceil(F / stride), ...)."""
        bits = x.permute(0, 2, 3, 4, 1).view(_BITS[x.dtype])  # (B, F, H, W, C)
        for axis in (3, 2, 1):
            bits = _pooled(bits, axis, self._kernel[axis - 1], self._stride[axis - 1])
        return bits.view(x.dtype).permute(0, 4, 1, 2, 3)


def _pooled(x: Tensor, axis: int, kernel: int, stride: int) -> Tensor:
    if kernel == 1 and stride == 1:
        return x
    size = x.shape[axis]
    ((before, _),) = same_padding([size], (kernel,), (stride,))  # type: ignore[arg-type]
    start = _every(x, axis, 0, stride)  # the sample at `before` in each window: the one that always exists
    n = start.shape[axis]
    out: Tensor | None = None
    for shift in (j - before for j in range(kernel) if j != before):
        low = -(shift // stride)
        low, high = max(low, 0), min((size - 1 - shift) // stride + 1, n)
        out = _raise(start, out, _every(x, axis, low * stride + shift, stride), axis, low, high)
    return start if out is None else out


def _every(x: Tensor, axis: int, first: int, stride: int) -> Tensor:
    return x[(slice(None),) * axis + (slice(first, None, stride),)]


def _raise(start: Tensor, out: Tensor | None, other: Tensor, axis: int, low: int, high: int) -> Tensor:
    """Return the maximum so far (`start` where `out` is None) and of `other`, which covers [low, high) of `axis`."""
    if high <= low:
        return start.clone() if out is None else out
    other = other.narrow(axis, 0, high - low)
    if out is not None:
        torch.maximum(out.narrow(axis, low, high - low), other, out=out.narrow(axis, low, high - low))
        return out
    n = start.shape[axis]
    out = torch.empty_like(start, memory_format=torch.contiguous_format)
    torch.maximum(start.narrow(axis, low, high - low), other, out=out.narrow(axis, low, high - low))
    for first, last in ((0, low), (high, n)):
        if first < last:
            out.narrow(axis, first, last - first).copy_(start.narrow(axis, first, last - first))
    return out
