"""Layers and losses that methods share."""

from __future__ import annotations

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253


def dense(n_in: int, n_out: int) -> nn.Linear:
    """Return a fully connected layer with Glorot-uniform weights and zero biases (Glorot and Bengio 2010, eq. 16)."""
    layer = nn.Linear(n_in, n_out)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Attention(nn.Module):
    """Class-agnostic attention: FC, ReLU, FC, sigmoid (STPN, section 3.1).

    Args:
        n_channels: Feature dimension D.
        hidden: Width of the hidden layer.
    """

    def __init__(self, n_channels: int, hidden: int) -> None:
        super().__init__()
        self.hidden = dense(n_channels, hidden)
        self.output = dense(hidden, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (..., T, D) to weights in [0, 1], (..., T)."""
        return torch.sigmoid(self.output(functional.relu(self.hidden(features)))).squeeze(-1)


def multi_label_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Average the binary cross-entropy of each class's sigmoid over videos and classes.

    Args:
        logits: Video-level class logits, (B, C).
        labels: Multi-hot labels, (B, C).

    Returns:
        A scalar.
    """
    return functional.binary_cross_entropy_with_logits(logits, labels)
