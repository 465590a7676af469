"""Inception-v1 I3D, one network per stream (Carreira and Zisserman, CVPR 2017).

Modules are named so that the state-dict keys are those of the public PyTorch reference (piergiaj/pytorch-i3d). Padding
is TensorFlow's SAME, which depends on the size of the input and may be uneven; BatchNorm has Sonnet's eps of 1e-3.
The network is for inference: the reference's dropout before the logits is left out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from tal.errors import BackendError

CHANNELS = {"rgb": 3, "flow": 2}
N_CLASSES = 400
N_FEATURES = 1024
BN_EPS = 1e-3
_POOL = (2, 7, 7)
_WIDTHS = {  # b0, b1a, b1b, b2a, b2b, b3b: Szegedy et al., CVPR 2015, table 1
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}

Triple = tuple[int, int, int]


def same_padding(sizes: Sequence[int], kernel: Triple, stride: Triple) -> list[tuple[int, int]]:
    """Return TensorFlow's SAME padding (before, after) of each dimension, so that ceil(size / stride) outputs fit."""
    totals = [max(k - (size % s or s), 0) for size, k, s in zip(sizes, kernel, stride, strict=True)]
    return [(total // 2, total - total // 2) for total in totals]


class Unit3D(nn.Module):
    """Convolution with SAME padding, BatchNorm, ReLU."""

    def __init__(self, n_in: int, n_out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.kernel: Triple = (kernel, kernel, kernel)
        self.stride: Triple = (stride, stride, stride)
        self.conv3d = nn.Conv3d(n_in, n_out, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(n_out, eps=BN_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_in, F, H, W) to (B, n_out, ceil(F / stride), ...)."""
        pads = same_padding(x.shape[2:], self.kernel, self.stride)
        if any(before != after for before, after in pads):  # only the first layer can be uneven
            x = functional.pad(x, [amount for pad in reversed(pads) for amount in pad])
            pads = [(0, 0)] * 3
        x = functional.conv3d(x, self.conv3d.weight, stride=self.stride, padding=[before for before, _ in pads])
        return functional.relu(self.bn(x))


class MaxPool3dSame(nn.Module):
    """Max pooling with SAME padding by zeros, for inputs that are never negative.

    After ReLU a zero changes no maximum, so PyTorch's own padding (minus infinity) gives the same values without a
    padded copy; rounding the output size up supplies the uneven last row.
    """

    def __init__(self, kernel: Triple, stride: Triple) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, F, H, W) to (B, C, ceil(F / stride), ...)."""
        before = [pad[0] for pad in same_padding(x.shape[2:], self.kernel, self.stride)]
        return functional.max_pool3d(x, self.kernel, self.stride, before, ceil_mode=True)


class Mixed(nn.Module):
    """Inception block: 1x1, 1x1-3x3, 1x1-3x3 and pool-1x1 side by side."""

    def __init__(self, n_in: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.b0 = Unit3D(n_in, widths[0])
        self.b1a = Unit3D(n_in, widths[1])
        self.b1b = Unit3D(widths[1], widths[2], 3)
        self.b2a = Unit3D(n_in, widths[3])
        self.b2b = Unit3D(widths[3], widths[4], 3)
        self.b3a = MaxPool3dSame((3, 3, 3), (1, 1, 1))
        self.b3b = Unit3D(n_in, widths[5])

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_in, F, H, W) to (B, b0 + b1b + b2b + b3b, F, H, W)."""
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))], dim=1)


class I3D(nn.Module):
    """I3D for one stream.

    Args:
        in_channels: 3 for RGB, 2 for flow.
        n_classes: Classes of the logits; Kinetics-400 by default.
    """

    def __init__(self, in_channels: int, n_classes: int = N_CLASSES) -> None:
        super().__init__()
        layers = list(_trunk(in_channels))
        self.trunk = tuple(name for name, _ in layers)
        for name, layer in layers:
            self.add_module(name, layer)
        self.logits = nn.Sequential(OrderedDict(conv3d=nn.Conv3d(N_FEATURES, n_classes, 1)))

    def features(self, clips: Tensor) -> Tensor:
        """Map clips (B, in_channels, F, H, W), values in [-1, 1], to the average-pooled map (B, 1024, t, h, w).

        16 frames of 224 x 224 px give (B, 1024, 1, 1, 1).
        """
        x = clips
        for name in self.trunk:
            x = self.get_submodule(name)(x)
        return average_pool(x)

    def embed(self, clips: Tensor) -> Tensor:
        """Map clips (B, in_channels, F, H, W) to one feature vector each, (B, 1024)."""
        return self.features(clips).mean(dim=(2, 3, 4))

    def classify(self, features: Tensor) -> Tensor:
        """Map feature vectors (B, 1024) to class logits (B, n_classes)."""
        logits: Tensor = self.logits(features[:, :, None, None, None])
        return logits.flatten(1)

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips (B, in_channels, F, H, W) to a map of logits (B, n_classes, t, h, w)."""
        logits: Tensor = self.logits(self.features(clips))
        return logits


def average_pool(x: Tensor) -> Tensor:
    """Average a map (B, 1024, f, h, w) over windows of (2, 7, 7), which shrink to fit a smaller map."""
    window = [min(side, size) for side, size in zip(_POOL, x.shape[2:], strict=True)]
    return functional.avg_pool3d(x, window, stride=1)


def _trunk(in_channels: int) -> Iterator[tuple[str, nn.Module]]:
    yield "Conv3d_1a_7x7", Unit3D(in_channels, 64, 7, 2)
    yield "MaxPool3d_2a_3x3", MaxPool3dSame((1, 3, 3), (1, 2, 2))
    yield "Conv3d_2b_1x1", Unit3D(64, 64)
    yield "Conv3d_2c_3x3", Unit3D(64, 192, 3)
    yield "MaxPool3d_3a_3x3", MaxPool3dSame((1, 3, 3), (1, 2, 2))
    n_in = 192
    for name, widths in _WIDTHS.items():
        if name == "Mixed_4b":
            yield "MaxPool3d_4a_3x3", MaxPool3dSame((3, 3, 3), (2, 2, 2))
        if name == "Mixed_5b":
            yield "MaxPool3d_5a_2x2", MaxPool3dSame((2, 2, 2), (2, 2, 2))
        yield name, Mixed(n_in, widths)
        n_in = widths[0] + widths[2] + widths[4] + widths[5]


def kinetics_classes() -> tuple[str, ...]:
    """Return the 400 Kinetics class names in the order of the logits (alphabetical), as torchvision spells them.

    Raises:
        BackendError: If torchvision cannot be loaded.
    """
    try:
        from torchvision.models.video import R3D_18_Weights
    except ImportError as error:
        raise BackendError("the names of Kinetics' classes come from torchvision: pip install torchvision") from error
    return tuple(R3D_18_Weights.DEFAULT.meta["categories"])
