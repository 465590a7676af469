"""Layers and losses that methods share."""

from __future__ import annotations

from typing import Literal

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from tal.devices import cpu_multiplies_bf16


def dense(n_in: int, n_out: int) -> nn.Linear:
    """Return a fully connected layer with Glorot-uniform weights and zero biases (Glorot and Bengio 2010, eq. 16)."""
    layer = nn.Linear(n_in, n_out)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


Precision = Literal["auto", "fp32", "bf16"]


def working_dtype(precision: Precision, features: Tensor) -> torch.dtype:
    """Return the numbers that matrix products of a training take; weights and sums stay in the features' own.

    ``auto`` is bf16 where the CPU multiplies it faster (AVX-512 BF16, AMX), else what the features are.
    """
    if features.dtype != torch.float32 or precision == "fp32":
        return features.dtype
    if precision == "bf16" or (features.device.type == "cpu" and cpu_multiplies_bf16()):
        return torch.bfloat16
    return torch.float32


def linear_in(dtype: torch.dtype, layer: nn.Linear, features: Tensor) -> Tensor:
    """Apply a layer with products of numbers of `dtype`, (..., D) to (..., D') in the features' own."""
    if dtype == features.dtype:
        found: Tensor = layer(features)
        return found
    return functional.linear(features.to(dtype), layer.weight.to(dtype)).to(features.dtype) + layer.bias


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

    def forward(self, features: Tensor, dtype: torch.dtype) -> Tensor:
        """Map features (..., T, D) to weights in [0, 1], (..., T); the larger product takes numbers of `dtype`."""
        hidden = functional.relu(linear_in(dtype, self.hidden, features))
        return torch.sigmoid(self.output(hidden)).squeeze(-1)


def multi_label_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Average the binary cross-entropy of each class's sigmoid over videos and classes.

    Args:
        logits: Video-level class logits, (B, C).
        labels: Multi-hot labels, (B, C).

    Returns:
        A scalar.
    """
    return functional.binary_cross_entropy_with_logits(logits, labels)
