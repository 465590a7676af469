"""Parts of the combined method: what features pass first, linear classifiers of folds, pseudo labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from tal.types import FloatArray

PER_VIDEO = 32  # snippets of a video that the front is measured on, evenly spaced
MOST_SNIPPETS = 20_000  # of all videos; more are thinned out
GAIN = 20.0  # linear judges learn that much faster than the network at the same learning rate
_TINY = 1e-6


class Front(nn.Module):
    """Logarithm of each dimension, then principal components of each stream at equal variance.

    Average-pooled activations are non-negative with heavy tails, and few directions hold most of their variance: a
    logarithm and whitening let linear layers see, and learn at one rate, what else is in them. The logarithm is
    sign(x) log(1 + |x| / u) with a unit u per dimension, so that features of any sign will do.

    Args:
        n_channels: Dimension D of all streams side by side.
        n_streams: Equal parts that D consists of.
        compress: The unit u as a share of the dimension's mean magnitude; 0 for no logarithm.
        shrink: Share of the mean variance that is added to each component's before it is brought to 1; 0 centres and
            scales each dimension by itself instead.
        components: Components kept per stream, at most.
    """

    unit: Tensor
    mean: Tensor
    axes: Tensor

    def __init__(self, n_channels: int, n_streams: int, compress: float, shrink: float, components: int) -> None:
        super().__init__()
        width = n_channels // n_streams
        kept = min(components, width) if shrink else width
        self.compress, self.shrink, self.n_streams = compress, shrink, n_streams
        self.n_out = n_streams * kept
        self.register_buffer("unit", torch.ones(n_channels))
        self.register_buffer("mean", torch.zeros(n_channels))
        self.register_buffer("axes", torch.eye(width)[:, :kept].repeat(n_streams, 1, 1))

    def measure(self, features: Tensor) -> None:
        """Set units, means and axes from features (N, D)."""
        self.unit.copy_(self.compress * features.abs().mean(dim=0).clamp_min(_TINY) if self.compress else self.unit)
        seen = self.logarithm(features)
        self.mean.copy_(seen.mean(dim=0))
        for axes, part in zip(self.axes, (seen - self.mean).chunk(self.n_streams, dim=1), strict=True):
            axes.copy_(whitening(part, self.shrink)[:, : axes.shape[1]])

    def logarithm(self, features: Tensor) -> Tensor:
        """Return the signed logarithm of features (..., D); the features where there is no `compress`."""
        return features.sign() * torch.log1p(features.abs() / self.unit) if self.compress else features

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, D) to components (N, `n_out`), the streams side by side."""
        parts = (self.logarithm(features) - self.mean).chunk(self.n_streams, dim=1)
        return torch.cat([part @ axes for part, axes in zip(parts, self.axes, strict=True)], dim=1)


def whitening(centred: Tensor, shrink: float) -> Tensor:
    """Return the matrix (D, D) whose columns map centred data (N, D) to components of variance near 1, largest first.

    Args:
        centred: Data of mean 0.
        shrink: Share of the mean variance that every component's own is increased by; 0 scales dimensions only.
    """
    if not shrink:
        return torch.diag(1 / (centred.square().mean(dim=0).sqrt() + _TINY))
    variance, axes = torch.linalg.eigh(centred.T.double() @ centred.double() / len(centred))
    variance = variance.clamp_min(0)
    scaled: Tensor = axes / (variance + shrink * variance.mean() + _TINY**2).sqrt()
    return scaled.flip(1).to(centred.dtype)


def spread_snippets(videos: Iterable[FloatArray]) -> Tensor | None:
    """Return evenly spaced snippets of videos (T, D) as (N, D), at most `MOST_SNIPPETS`; None where there are none."""
    kept: list[FloatArray] = []
    for video in videos:
        kept.append(video[np.unique(np.linspace(0, len(video) - 1, PER_VIDEO).round().astype(int))])
        if len(kept) * PER_VIDEO > MOST_SNIPPETS:
            kept = kept[::2]
    return torch.from_numpy(np.concatenate(kept)) if kept else None


class Judges(nn.Module):
    """Linear classifiers of snippets, one per fold; each learns from the videos outside of its fold.

    Args:
        n_channels: Dimension D.
        n_classes: Outputs of each.
        n_folds: How many there are.
        learning: Whether gradients reach the weights; else they are buffers.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, n_channels: int, n_classes: int, n_folds: int, learning: bool = True) -> None:
        super().__init__()
        weight, bias = torch.zeros(n_channels, n_folds * n_classes), torch.zeros(n_folds * n_classes)
        self.n_folds = n_folds
        if learning:
            self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        else:
            self.register_buffer("weight", weight)
            self.register_buffer("bias", bias)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, D) to logits (N, F, classes)."""
        logits = GAIN * torch.addmm(self.bias, features, self.weight)
        return logits.view(len(features), self.n_folds, -1)


def unseen(values: Tensor, fold: Tensor) -> Tensor:
    """Return for each snippet what the judge that never saw its video says, (N, classes), of (N, F, classes).

    Args:
        values: What all judges say.
        fold: Each snippet's fold, (N,).
    """
    return values[torch.arange(len(values), device=values.device), fold]


def taught(fold: Tensor, n_folds: int) -> Tensor:
    """Return which judges learn from which snippets, (N, F), 1 or 0; a lone judge learns from all."""
    if n_folds == 1:
        return torch.ones(len(fold), 1, device=fold.device)
    return 1 - functional.one_hot(fold, n_folds).float()


def cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean over snippets of the cross-entropy with soft targets.

    Args:
        logits: (..., classes).
        target: Distributions of the same shape; zeros count nothing.
        weight: (...), at least one above 0, or the loss is 0.
    """
    each = -(target * logits.log_softmax(dim=-1)).sum(dim=-1)
    return (weight * each).sum() / weight.sum().clamp_min(_TINY)


def seeds(evidence: Tensor, labels: Tensor, lengths: Sequence[int], low: float, high: float, top: int) -> Tensor:
    """Return seeds of the labels and of the background, one-hot (N, C + 1); zeros where evidence is in between.

    Evidence is compared with that of the video's best snippets: the mean of the strongest T / `top`, per label.

    Args:
        evidence: How much a snippet tells of each class, >= 0, (N, C).
        labels: Multi-hot, (B, C).
        lengths: Snippets of each video, (B,).
        low: What is below that share of the best for all labels is background.
        high: What is above it for a label is the label's; of several, the one with the largest share.
        top: One over the share of snippets that are the best.
    """
    result = evidence.new_zeros(len(evidence), evidence.shape[1] + 1)
    for target, video, label in zip(*(torch.split(x, list(lengths)) for x in (result, evidence)), labels, strict=True):
        present = label.nonzero()[:, 0]
        if not len(present):
            target[:, -1] = 1
            continue
        own = video[:, present]
        best = own.topk(max(1, len(own) // top), dim=0).values.mean(dim=0)
        share, which = (own / best.clamp_min(_TINY)).max(dim=1)
        target[share > high, present[which[share > high]]] = 1
        target[share < low, -1] = 1
    return result


def restricted(posterior: Tensor, labels: Tensor) -> Tensor:
    """Return the posterior (N, C + 1) given that only a snippet's labels (N, C) and the background can be."""
    possible = posterior * functional.pad(labels, (0, 1), value=1.0)
    return possible / possible.sum(dim=1, keepdim=True).clamp_min(_TINY)
