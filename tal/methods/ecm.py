"""ECM: Equivalent Classification Mapping for Weakly Supervised Temporal Action Localization (Zhao et al., TPAMI 2022).

One classifier serves two streams. The pre-classification stream classifies snippets and pools the scores; the
post-classification stream pools snippets, with weights made of these scores, and classifies the result. Both shall say
the same of a video (section 3.3), and what the weights leave out shall not contain the action (section 3.4).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch  # noqa: TID253
from pydantic import Field
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from tal.methods._base import Batch, Method
from tal.methods._blocks import Precision, working_dtype
from tal.methods._ecm_classifier import Classifier
from tal.methods._ecm_parts import absence_loss, label_cross_entropy, mixtures, positive_minmax, top_k_means, twins
from tal.settings import Section
from tal.types import Activations


class Config(Section):
    """Hyper-parameters of ECM.

    Attributes:
        hidden: Width of the classifier's two hidden layers; 0 for the features' own dimension (figure 2: 2048 of 2048).
        dropout: Share of the last hidden values dropped in training, in steps of 1/256 (public code).
        top_k: Share of snippets whose scores the pre-classification stream averages, per class (section 4.1).
        streams: ``both``, or one of the paper's baselines, ``pre`` or ``post`` (table 4), which know neither of the
            consistency losses; the weights of ``post`` are made of its own classifier's scores.
        share_classifier: Whether both streams have one classifier (table 4).
        weights: Whether each class has weights of its own or all have the same (section 4.3).
        agg: What the weighted sums of eqs. 1 and 2 are divided by: ``sum`` nothing, ``mean`` the number of snippets.
        bg_agg: What the absence score of a class is made of: ``paper`` of eq. 2; ``official`` of snippets weighted by
            the background weights of the classes present and then, once more, by each class's action weights.
        c2c: Weight alpha of the classification consistency, eq. 3, taken of logits as in the public code; 0 for none.
        a2c: Weight beta of the aggregation consistency, eq. 4; 0 for none.
        infer: Whose class activation sequence and scores count when the classifier is not shared (table 5): ``pre``,
            ``post``, their ``weighted`` sum, or ``merge``, the larger of both after normalisation, so that a threshold
            finds the union of what it finds in each. One stream alone speaks for itself.
        pre_share: Weight lambda of the pre-classification stream in ``weighted``.
        precision: Numbers that the matrix products of training take: ``fp32``, ``bf16`` (weights and all that is
            pooled stay float32), or ``auto`` for bf16 on CPUs that compute in it. Inference takes fp32.
    """

    hidden: int = Field(0, ge=0)
    dropout: float = Field(0.5, ge=0, lt=1)
    top_k: float = Field(0.125, gt=0, le=1)
    streams: Literal["pre", "post", "both"] = "both"
    share_classifier: bool = True
    weights: Literal["class_specific", "class_agnostic"] = "class_specific"
    agg: Literal["sum", "mean"] = "sum"
    bg_agg: Literal["official", "paper"] = "official"
    c2c: float = Field(0.05, ge=0)
    a2c: float = Field(5.0, ge=0)
    infer: Literal["pre", "post", "merge", "weighted"] = "pre"
    pre_share: float = Field(0.5, ge=0, le=1)
    precision: Precision = "auto"


class Network(Method):
    """Both streams (figure 2)."""

    WHOLE = True

    def __init__(self, config: Config, n_channels: int, n_classes: int) -> None:
        super().__init__(config, n_channels, n_classes)
        self.config = config
        hidden = config.hidden or n_channels
        self.classifier = Classifier(n_channels, hidden, n_classes, config.dropout)
        shared = config.share_classifier or config.streams != "both"
        self.own_post = None if shared else Classifier(n_channels, hidden, n_classes, config.dropout)
        n_weights = n_classes if config.weights == "class_specific" else 1
        self.transition = None if config.streams == "pre" else nn.Linear(n_classes, n_weights)

    @property
    def post_classifier(self) -> Classifier:
        """The classifier of the post-classification stream."""
        return self.classifier if self.own_post is None else self.own_post

    def objectives(self, batch: Batch) -> Iterator[dict[str, Tensor]]:
        """Yield the losses of eq. 5, once."""
        features, lengths = batch.packed()
        dtype = working_dtype(self.config.precision, features)
        cas = self.classifier(features, lengths, dtype)  # (N, C)
        losses, pre, post = {}, None, None
        if self.config.streams != "post":
            pre = top_k_means(cas, lengths, self.config.top_k)  # (B, C)
            losses["class_pre"] = label_cross_entropy(pre, batch.labels)
        if self.config.streams != "pre":
            post, absent = self._aggregate(features, lengths, self.weigh(cas), batch.labels, dtype)
            losses["class_post"] = label_cross_entropy(post, batch.labels)
            if absent is not None:
                losses["a2c"] = self.config.a2c * absence_loss(post, absent, batch.labels)
        if pre is not None and post is not None and self.config.c2c:
            losses["c2c"] = self.config.c2c * functional.mse_loss(pre, post)
        yield losses

    def weigh(self, cas: Tensor) -> Tensor:
        """Return the action weights W^a of figure 4, (N, C), or (N, 1) for all classes, for the CAS (N, C)."""
        if self.transition is None:
            return cas.new_ones(len(cas), 1)
        return torch.sigmoid(self.transition(cas))

    def _aggregate(
        self, features: Tensor, lengths: tuple[int, ...], weights: Tensor, labels: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor | None]:
        """Return the scores of the post-classification stream and, if they are wanted, of absence, (B, C) each."""
        config = self.config
        rule = config.bg_agg if config.a2c and config.streams == "both" else None
        items, counts = mixtures(features, lengths, weights, labels, rule, mean=config.agg == "mean")
        scores = self.post_classifier.of_items(items, weights.shape[1], dtype)
        each = torch.split(scores, counts)  # (1 + ..., C) per video
        post = torch.stack([one[0] for one in each])
        if rule is None:
            return post, None
        return post, torch.stack([twins(one[1:], present) for one, present in zip(each, labels, strict=True)])

    @torch.inference_mode()
    def activate(self, features: Tensor) -> Activations:
        """Return the CAS as the signal, softmax scores, and as attention the classes' weights, averaged by score."""
        cas, post_cas, weights, pre, post = self._speak(features)
        infer = self.config.infer if self.config.streams == "both" else self.config.streams
        share = {"pre": 1.0, "post": 0.0, "merge": 0.5, "weighted": self.config.pre_share}[infer]
        scores = share * torch.softmax(pre, 0) + (1 - share) * torch.softmax(post, 0)
        found = share * cas + (1 - share) * post_cas
        signal = torch.maximum(positive_minmax(cas), positive_minmax(post_cas)) if infer == "merge" else found
        attention = (weights * scores).sum(1) / scores.sum() if weights.shape[1] > 1 else weights[:, 0]
        return Activations(*(one.float().cpu().numpy() for one in (found, scores, signal, attention.clamp(0, 1))))

    def _speak(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return what both streams say: CAS, CAS, weights, (T, C or 1), logits, logits, (C,)."""
        lengths = (len(features),)
        cas = self.classifier(features, lengths, features.dtype)
        weights = self.weigh(cas)
        pre = top_k_means(cas, lengths, self.config.top_k)[0]
        if self.transition is None:
            return cas, cas, weights, pre, pre
        post_cas = cas if self.own_post is None else self.own_post(features, lengths, features.dtype)
        post, _ = self._aggregate(features, lengths, weights, cas.new_zeros(1, self.n_classes), features.dtype)
        return cas, post_cas, weights, pre, post[0]
