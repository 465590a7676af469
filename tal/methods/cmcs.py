"""CMCS: Completeness Modeling and Context Separation for weakly supervised localization (Liu et al., CVPR 2019).

Several branches classify every snippet; a diversity loss drives them to different parts of an action, their average
finds the whole. Clips without motion, strung together, are pseudo videos of a background class, so that context that
comes with an action is told from it. Where the paper is silent (hidden layers, dropout, multi-label videos, how
motionless clips are chosen) this follows the authors' code; `norm` alone is a choice between the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
import torch  # noqa: TID253
from pydantic import Field
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from tal.methods import _cmcs_losses as losses
from tal.methods._base import Batch, LabelledVideo, Method, Sample
from tal.methods._cmcs_negatives import Rule, motionless
from tal.settings import Section
from tal.types import Activations, FloatArray


class Config(Section):
    """Hyper-parameters of CMCS.

    Attributes:
        branches: Number of classification branches K; 1 has no use for diversity and norms and leaves them out.
        filters: Width F of the embedding; the layers behind it are half as wide (code).
        dropout: Share of feature channels left out of a whole video at once (code).
        attention: Weigh snippets by temporal attention (eq. 8); without it each class's largest score is the video's.
        diversity: Weight alpha of the diversity loss in eq. 11; 0 leaves it out.
        norm_weight: Weight beta of the norm regularization in eq. 11; 0 leaves it out.
        norm: What is regularized: ``code`` the deviation of branches' mean absolute scores from the branches' mean,
            ``paper1`` and ``paper2`` eq. 7's deviation from the l1 or l2 norm of the average, which grow with T.
        hard_negatives: Where pseudo videos come from: ``motion`` (section 3.1), for shards without it the proxy;
            ``proxy`` the distance between consecutive features; ``none`` has neither pseudo videos nor a background
            class.
        ratio: Share rho of snippets with the least motion that may be taken, in (0, 1).
        window_s: Length of the median filter over that choice, and of the shortest stretch that is kept, seconds
            (code); 0 takes the choice as it is, like the paper's text.
        least_share: Videos of which a smaller share is left give no pseudo video (code).
        most_share: Nor do those of which a larger share is left (code).
        per_label: Take a video with n labels n times, once with each and with weight 1/n (code); otherwise once with
            the labels as target distribution, which is the same loss over an epoch.
    """

    branches: int = Field(4, ge=1, le=64)
    filters: int = Field(32, ge=2)
    dropout: float = Field(0.5, ge=0, lt=1)
    attention: bool = True
    diversity: float = Field(0.2, ge=0)
    norm_weight: float = Field(0.2, ge=0)
    norm: Literal["code", "paper1", "paper2"] = "code"
    hard_negatives: Literal["motion", "proxy", "none"] = "motion"
    ratio: float = Field(0.25, gt=0, lt=1)
    window_s: float = Field(2.0, ge=0)
    least_share: float = Field(0.05, ge=0, le=1)
    most_share: float = Field(0.3, ge=0, le=1)
    per_label: bool = True


class Network(Method):
    """One model of figure 2.

    Videos lie side by side, (N, D) with N the sum of their T; scores are (K, S, N), S classes with the background last.
    """

    WHOLE = True

    def __init__(self, config: Config, n_channels: int, n_classes: int) -> None:
        super().__init__(config, n_channels, n_classes)
        self.config = config
        self.n_scores = n_classes + (config.hard_negatives != "none")
        width = config.filters // 2
        self.embedding = nn.Linear(n_channels, config.filters)
        self.branches = nn.Linear(3 * config.filters, config.branches * width)  # a convolution of 3 snippets each
        self.heads = Heads(config.branches, width, self.n_scores)
        self.attention = TemporalAttention(config.filters, width) if config.attention else None

    def embed(self, features: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return eq. 1, (N, F); in training each video goes without channels of its own.

        Leaving out channels of the weights instead of the features spares a copy of the batch.
        """
        weight, bias, rate = self.embedding.weight, self.embedding.bias, self.config.dropout
        if not self.training or not rate:
            return functional.relu(functional.linear(features, weight, bias))
        kept = torch.rand(len(lengths), self.n_channels, device=features.device).ge(rate).to(features) / (1 - rate)
        videos = zip(torch.split(features, list(lengths)), kept.unbind(), strict=True)
        return functional.relu(torch.cat([functional.linear(video, weight * k, bias) for video, k in videos]))

    def forward(self, features: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        """Return raw branch scores (eq. 2), (K, S, N), and attention (eq. 8), (N,), of videos side by side."""
        embedded = self.embed(features, lengths)
        hidden = functional.relu(self.branches(neighbourhoods(embedded, lengths)))
        return self.heads(hidden), None if self.attention is None else self.attention(embedded, lengths)

    def objectives(self, batch: Batch) -> Iterator[dict[str, Tensor]]:
        """Yield eq. 11, once: each term summed over the videos, as the authors accumulate it."""
        features, lengths = batch.packed()
        scores, attention = self(features, lengths)
        weight = batch.aux["weight"] if "weight" in batch.aux else batch.labels.new_ones(len(batch.labels))
        terms = {"class": losses.cross_entropy(self.pool(scores.mean(dim=0), attention, lengths), self.target(batch))}
        if self.config.branches > 1 and self.config.diversity:
            terms["diversity"] = self.config.diversity * losses.diversity(scores, lengths)
        if self.config.branches > 1 and self.config.norm_weight:
            terms["norm"] = self.config.norm_weight * losses.norm_deviation(scores, lengths, self.config.norm)
        yield {name: torch.dot(weight, each) for name, each in terms.items()}

    def pool(self, average: Tensor, attention: Tensor | None, lengths: Sequence[int]) -> Tensor:
        """Return the raw video-level scores of eq. 9, (B, S), for the branches' average, (S, N)."""
        videos = torch.split(average, list(lengths), dim=1)
        if attention is None:
            return torch.stack([video.max(dim=1).values for video in videos])
        return torch.stack([video @ a for video, a in zip(videos, torch.split(attention, list(lengths)), strict=True)])

    def target(self, batch: Batch) -> Tensor:
        """Return what each video's class distribution should be, (B, S); no label means background."""
        labels = batch.labels
        share = labels / labels.sum(dim=1, keepdim=True).clamp_min(1)
        if self.n_scores == self.n_classes:
            return share
        return torch.cat([share, 1 - share.sum(dim=1, keepdim=True)], dim=1)

    def prepare(self, videos: Iterable[LabelledVideo]) -> Sequence[Sample]:
        """Return each video with each of its labels, and the pseudo videos of section 3.1."""
        config = self.config
        rule = Rule(config.ratio, config.window_s, config.least_share, config.most_share)
        samples = []
        for index, video in enumerate(videos):
            samples += _labelled(index, video.labels, config.per_label)
            if config.hard_negatives != "none":
                snippets = motionless(video, rule, use_motion=config.hard_negatives == "motion")
                if len(snippets):
                    samples.append(Sample(index, np.zeros_like(video.labels), snippets))
        return samples

    @torch.inference_mode()
    def activate(self, features: Tensor) -> Activations:
        """Return raw average scores (eq. 5), video scores (eq. 9), average CAS (eq. 6) and attention (eq. 8).

        The background is left out; what CAS and scores lack to 1 is its share.
        """
        lengths, n = (len(features),), self.n_classes
        scores, attention = self(features, lengths)
        average = scores.mean(dim=0)  # (S, T)
        video = torch.softmax(self.pool(average, attention, lengths), dim=1)[0, :n]
        weights = average.new_ones(len(features)) if attention is None else attention
        found = average[:n].T, video, torch.softmax(average, dim=0)[:n].T, weights
        return Activations(*(value.contiguous().float().cpu().numpy() for value in found))


class Heads(nn.Module):
    """One fully connected layer per branch.

    Args:
        n_branches: Branches K.
        width: Inputs H of each.
        n_scores: Outputs S of each.
    """

    def __init__(self, n_branches: int, width: int, n_scores: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_branches, n_scores, width))
        self.bias = nn.Parameter(torch.empty(n_branches, n_scores, 1))
        for values in (self.weight, self.bias):  # as nn.Linear does
            nn.init.uniform_(values, -(width**-0.5), width**-0.5)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map hidden values (N, K * H) to scores (K, S, N): time comes last, for sums over it."""
        n_branches, _, width = self.weight.shape
        return torch.baddbmm(self.bias, self.weight, hidden.view(-1, n_branches, width).permute(1, 2, 0))


class TemporalAttention(nn.Module):
    """Class-agnostic weights that add up to 1 over a video (eq. 8, with the hidden layer of the code).

    The last layer has no bias: the softmax over time would cancel it.
    """

    def __init__(self, n_channels: int, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(n_channels, hidden)
        self.output = nn.Linear(hidden, 1, bias=False)

    def forward(self, embedded: Tensor, lengths: Sequence[int]) -> Tensor:
        """Map embedded snippets of videos side by side, (N, F), to their weights, (N,)."""
        logits = self.output(functional.relu(self.hidden(embedded))).squeeze(1)
        return torch.cat([torch.softmax(video, dim=0) for video in torch.split(logits, list(lengths))])


def neighbourhoods(snippets: Tensor, lengths: Sequence[int]) -> Tensor:
    """Put each snippet between the one before and the one after it in its own video, zeros at either end.

    Args:
        snippets: Snippets of videos side by side, (N, F).
        lengths: How many each video has.

    Returns:
        (N, 3 F), what a convolution of 3 snippets sees.
    """
    ends = torch.tensor(lengths, device=snippets.device).cumsum(0)
    before, after = snippets.roll(1, dims=0), snippets.roll(-1, dims=0)
    before = before.index_fill(0, torch.cat([ends.new_zeros(1), ends[:-1]]), 0)
    return torch.cat([before, snippets, after.index_fill(0, ends - 1, 0)], dim=1)


def _labelled(index: int, labels: FloatArray, per_label: bool) -> list[Sample]:
    """Return a video once, or once with each of its labels."""
    chosen = np.flatnonzero(labels)
    if not per_label or len(chosen) < 2:
        return [Sample(index, labels)]
    rows = np.eye(len(labels), dtype=np.float32)[chosen]
    return [Sample(index, row, weight=1 / len(chosen)) for row in rows]
