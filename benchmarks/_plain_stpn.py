"""STPN written down as the paper describes it, with PyTorch's own layers: what `tal.methods.stpn` is timed against."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class PlainStpn(nn.Module):
    """Attention of two layers, weighted average, linear classifier (D channels, C classes)."""

    def __init__(self, n_channels: int, n_classes: int, hidden: int = 256) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            nn.Linear(n_channels, hidden), nn.ReLU(), nn.Linear(hidden, 1), nn.Sigmoid()
        )  # fmt: skip
        self.classifier = nn.Linear(n_channels, n_classes)

    def loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return eq. 2 for features (B, T, D) and labels (B, C)."""
        weights = self.attention(features)  # (B, T, 1)
        logits = self.classifier((weights * features).mean(dim=1))
        entropy = functional.binary_cross_entropy_with_logits(logits, labels)
        return entropy + 1e-4 * weights.sum(dim=1).mean()


def sampled(videos: list[Tensor], n_snippets: int) -> Tensor:
    """Return stratified samples of videos (T, D) that lie in memory, (B, n_snippets, D)."""
    parts = []
    for video in videos:
        edges = torch.linspace(0, len(video), n_snippets + 1)
        at = (edges[:-1] + torch.rand(n_snippets) * (edges[1:] - edges[:-1])).long().clamp_max(len(video) - 1)
        parts.append(video[at])
    return torch.stack(parts)
