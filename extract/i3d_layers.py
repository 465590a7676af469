"""I3D's layers for inference as every device has them; `extract.i3d_onednn` has the CPU's.

A layer maps channels-last maps (B, C, F, H, W) to such maps. Weights have BatchNorm folded in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from extract.i3d import Triple, same_padding
from extract.i3d_fold import INPUT_SCALE, Folded

Layer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Place:
    """Where and in which numbers a network computes."""

    device: str
    dtype: torch.dtype

    def put(self, x: Tensor) -> Tensor:
        """Return a tensor there; 5 axes come channels-last."""
        layout = torch.channels_last_3d if x.ndim == 5 and self.device != "mps" else torch.contiguous_format
        return x.to(self.device, self.dtype, memory_format=layout)


class Conv:
    """Convolution with stride 1, zero padding on both sides, ReLU; computed by PyTorch's own `conv3d`."""

    def __init__(self, weights: Folded, place: Place) -> None:
        self._weight, self._bias = (place.put(part) for part in weights)
        self._pads = [size // 2 for size in self._weight.shape[2:]]

    def __call__(self, x: Tensor) -> Tensor:
        """Map (B, n_in, F, H, W) to (B, n_out, F, H, W)."""
        return functional.conv3d(x, self._weight, self._bias, padding=self._pads).relu_()


class First:
    """The first convolution (7, 7, 7) with stride 2 and uneven padding, on clips in [-1, 1] or uint8."""

    def __init__(self, weights: Folded, place: Place) -> None:
        self._weight, self._bias = (place.put(part) for part in weights)
        self._place = place

    def __call__(self, clips: Tensor) -> Tensor:
        """Map (B, C, F, H, W) to (B, 64, ceil(F / 2), ...)."""
        pads = same_padding(clips.shape[2:], (7, 7, 7), (2, 2, 2))
        x = self._place.put(scaled(clips.to(self._place.device)))
        x = functional.pad(x, [amount for pad in reversed(pads) for amount in pad])
        return functional.conv3d(x, self._weight, self._bias, stride=2).relu_()


class Pool:
    """Max pooling with SAME padding, of maps that are never negative."""

    def __init__(self, kernel: Triple, stride: Triple) -> None:
        self._kernel, self._stride = kernel, stride

    def __call__(self, x: Tensor) -> Tensor:
        """Map (B, C, F, H, W) to (B, C, ceil(F / stride), ...)."""
        before = [pad[0] for pad in same_padding(x.shape[2:], self._kernel, self._stride)]
        return functional.max_pool3d(x, self._kernel, self._stride, before, ceil_mode=True)


def scaled(clips: Tensor, out: Tensor | None = None) -> Tensor:
    """Return clips as the first layer reads them, [-127.5, 127.5]: float ones are in [-1, 1], uint8 ones RGB."""
    if clips.dtype == torch.uint8:
        return torch.sub(clips, INPUT_SCALE, out=out)
    return torch.mul(clips, INPUT_SCALE, out=out)
