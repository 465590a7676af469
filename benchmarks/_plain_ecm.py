"""ECM written down as the paper describes it, with PyTorch's own layers: what `tal.methods.ecm` is timed against."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class PlainEcm(nn.Module):
    """Shared classifier, transition, three folds, background twins of the public code (D channels, C classes)."""

    def __init__(self, n_channels: int, n_classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.first = nn.Conv1d(n_channels, n_channels, 3, padding=1)
        self.second = nn.Conv1d(n_channels, n_channels, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Conv1d(n_channels, n_classes, 1, bias=False)
        self.transition = nn.Conv1d(n_classes, n_classes, 1)

    def hidden(self, features: Tensor) -> Tensor:
        """Map (B, D, T) to the last hidden layer, (B, D, T)."""
        first = functional.leaky_relu(self.first(features))
        return self.dropout(functional.leaky_relu(self.second(first)))

    def of_mixture(self, weights: Tensor, features: Tensor) -> Tensor:
        """Return each class's score, (B, C), of the sums of features (B, D, T) with its weights (B, C, T)."""
        folds = [weights[..., i::3] @ features[..., i::3].transpose(1, 2) for i in range(3)]  # (B, C, D)
        b, c, d = folds[0].shape
        hidden = self.hidden(torch.stack(folds, 3).reshape(b * c, d, 3)).reshape(b, c, d, 3)
        return torch.einsum("bcdi,cd->bci", hidden, self.output.weight[..., 0]).mean(2)

    def absent(self, weights: Tensor, features: Tensor, labels: Tensor) -> Tensor:
        """Return one video's absence scores, (C,)."""
        present = labels.nonzero()[:, 0]
        scores = [self.of_mixture(weights[None], (features * (1 - weights[c]))[None])[0] for c in present]
        mean = torch.stack(scores).mean(0)
        mean[present] = torch.stack([one[c] for one, c in zip(scores, present, strict=True)])
        return mean

    def loss(self, features: Tensor, labels: Tensor, top_k: float = 0.125) -> Tensor:
        """Return eq. 5 for features (B, D, T) and labels (B, C)."""
        cas = self.output(self.hidden(features))
        pre = cas.topk(int(cas.shape[2] * top_k), dim=2).values.mean(2)
        weights = torch.sigmoid(self.transition(cas))
        post = self.of_mixture(weights, features)
        absent = torch.stack([self.absent(*one) for one in zip(weights, features, labels, strict=True)])
        both = torch.cat([post, absent], 1).softmax(1)
        a2c = torch.stack([_absence(s, y) for s, y in zip(both, labels, strict=True)]).mean()
        share = labels / labels.sum(1, keepdim=True)
        entropy = -(share * (pre.log_softmax(1) + post.log_softmax(1))).sum(1).mean()
        return entropy + 0.05 * functional.mse_loss(pre, post) + 5 * a2c


def _absence(scores: Tensor, labels: Tensor) -> Tensor:
    chosen = scores[torch.cat([labels, labels]).bool()]
    return functional.binary_cross_entropy(chosen, (torch.arange(len(chosen)) < len(chosen) // 2).float())
