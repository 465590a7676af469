"""STPN: Weakly Supervised Action Localization by Sparse Temporal Pooling Network (Nguyen et al., CVPR 2018).

An attention module weighs snippets regardless of class; their weighted average is classified; an l1 penalty keeps the
attention sparse. Where the paper is silent (hidden width, beta, initialisation) the values are those of the best
public re-implementation, which reproduces the published numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch  # noqa: TID253
from pydantic import Field
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from tal.methods._base import Batch, Method
from tal.methods._blocks import Attention, Precision, dense, multi_label_cross_entropy, working_dtype
from tal.settings import Section
from tal.types import Activations

_EPSILON = 1e-6  # keeps "normalized" finite where all attention vanishes


class Config(Section):
    """Hyper-parameters of STPN.

    Attributes:
        hidden: Width of the attention's hidden layer (not in the paper).
        attention: Learn attention; without it snippets are averaged plainly and there is no sparsity loss (figure 5).
        beta: Weight of the sparsity loss in eq. 2, a sum over snippets: sampling twice as many doubles it (not in the
            paper).
        pool: What eq. 1's weighted sum is divided by: ``mean`` T (section 3.1's words), ``sum`` nothing (eq. 1 as
            printed), ``normalized`` the attention's own sum.
        precision: Numbers that the attention's products take in training: ``fp32``, ``bf16`` (sums and weights stay
            float32), or ``auto`` for bf16 where the CPU multiplies it faster (not in the paper).
    """

    hidden: int = Field(256, ge=1)
    attention: bool = True
    beta: float = Field(1e-4, ge=0)
    pool: Literal["mean", "sum", "normalized"] = "mean"
    precision: Precision = "auto"


class Network(Method):
    """One stream's network (figure 2)."""

    def __init__(self, config: Config, n_channels: int, n_classes: int) -> None:
        super().__init__(config, n_channels, n_classes)
        self.beta = config.beta
        self.precision = config.precision
        self.pool_rule = config.pool if config.attention else "mean"
        self.attention = Attention(n_channels, config.hidden) if config.attention else None
        self.classifier = dense(n_channels, n_classes)

    def attend(self, features: Tensor, precision: Precision = "fp32") -> Tensor:
        """Return the attention lambda of eq. 1, (B, T), for features (B, T, D)."""
        if self.attention is None:
            return features.new_ones(features.shape[:-1])
        weights: Tensor = self.attention(features, working_dtype(precision, features))
        return weights

    def pool(self, attention: Tensor, features: Tensor) -> Tensor:
        """Return the video-level representation of eq. 1, (B, D), for attention (B, T) and features (B, T, D)."""
        weighted = torch.bmm(attention.unsqueeze(1), features).squeeze(1)
        if self.pool_rule == "sum":
            return weighted
        if self.pool_rule == "mean":
            return weighted / features.shape[1]
        return weighted / attention.sum(dim=1, keepdim=True).clamp_min(_EPSILON)

    def objectives(self, batch: Batch) -> Iterator[dict[str, Tensor]]:
        """Yield the losses of eq. 2, once."""
        attention = self.attend(batch.features, self.precision)  # (B, T)
        logits = self.classifier(self.pool(attention, batch.features))  # (B, C)
        losses = {"class": multi_label_cross_entropy(logits, batch.labels)}
        if self.attention is not None:
            losses["sparsity"] = self.beta * attention.sum(dim=1).mean()
        yield losses

    @torch.inference_mode()
    def activate(self, features: Tensor) -> Activations:
        """Return T-CAM (eq. 4), weighted T-CAM (eqs. 5 and 6) as the signal, attention and class scores."""
        video = features.unsqueeze(0)
        attention = self.attend(video)
        scores = torch.sigmoid(self.classifier(self.pool(attention, video)))[0]
        cas = functional.linear(features, self.classifier.weight)  # without the bias, as in eq. 4
        signal = attention[0].unsqueeze(1) * torch.sigmoid(cas)
        return Activations(*(value.float().cpu().numpy() for value in (cas, scores, signal, attention[0])))
