"""CMCS written down as its paper describes it, with PyTorch's own layers: what `tal.methods.cmcs` is timed against."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class PlainCmcs(nn.Module):
    """Embedding, K branches with a head each, temporal attention (D channels, S classes with the background)."""

    def __init__(self, n_channels: int, n_scores: int, filters: int = 32, branches: int = 4) -> None:
        super().__init__()
        half = filters // 2
        self.dropout = nn.Dropout1d(0.5)
        self.embedding = nn.Conv1d(n_channels, filters, 1)
        self.bottoms = nn.ModuleList(nn.Conv1d(filters, half, 3, padding=1) for _ in range(branches))
        self.heads = nn.ModuleList(nn.Linear(half, n_scores) for _ in range(branches))
        self.attention = nn.Sequential(nn.Conv1d(filters, half, 1), nn.ReLU(), nn.Conv1d(half, 1, 1))

    def loss(self, video: Tensor, label: int) -> Tensor:
        """Return eq. 11 of one video, (1, D, T), as the public code takes them one by one."""
        shared = functional.relu(self.embedding(self.dropout(video)))
        hidden = [functional.relu(bottom(shared)).transpose(1, 2) for bottom in self.bottoms]
        scores = torch.stack([head(one)[0] for head, one in zip(self.heads, hidden, strict=True)])  # (K, T, S)
        weights = self.attention(shared)[0, 0].softmax(0)
        pooled = weights @ scores.mean(0)
        terms = functional.cross_entropy(pooled[None], torch.tensor([label]))
        return terms + 0.2 * _diversity(scores) + 0.2 * _norms(scores)


def _diversity(scores: Tensor) -> Tensor:
    cas = scores.softmax(dim=2).permute(2, 0, 1)  # (S, K, T)
    unit = cas / (cas.norm(dim=2, keepdim=True) + 1e-6)
    alike = unit @ unit.transpose(1, 2)
    first, second = torch.triu_indices(len(scores), len(scores), 1)
    return alike[:, first, second].mean()


def _norms(scores: Tensor) -> Tensor:
    norms = scores.abs().mean(dim=1)
    return (norms - norms.mean(dim=0)).abs().mean()
