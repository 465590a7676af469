"""ASSG: Adversarial Seeded Sequence Growing for Weakly Supervised Temporal Action Localization (ACM MM 2019).

Peaks of another network's class activation sequence (``train.guide``) are seeds. A small network (SSG) learns heatmaps
from them; where the heatmaps are sure, seeds grow into their neighbours, and what has grown teaches the next update.
A classifier without weights of its own pools the same heatmaps into video classes after the surest snippets were
erased, and so drives the heatmaps towards what they do not know yet. The two take turns (algorithm 1).

There is no public code. Where the paper is silent or garbled:

- Eq. 4 has positive terms alone, so the heatmap is a softmax over background and classes (``joint``), or the two-way
  softmax of each class against the background (``pairwise``).
- The "pair of opposite ReLUs" (section 3.3): background reads ReLU(-F), the classes read ReLU(F), where F is the last
  hidden layer before its nonlinearity.
- Eq. 3's exponent adds up 512 channels, which turns the softmax over time into a maximum; here it is their mean times
  `Config.temperature`.
- The classifier pools heatmaps, "the activation distribution" (section 3.3); what it pools is divided by its sum over
  the classes before eq. 5, which has no term for absent classes. An erased snippet has no features: it counts as 0 in
  the heatmap and in eq. 3's exponent.
- A video's class scores are the same shares, with nothing erased.
- A growing threshold of 0.99 (section 4.2) is above what a softmax over all classes reaches in the updates of the
  shipped schedule, so little grows; it is 0.9, of which figure 4a says that it matters little.
- Growth begins anew with the seeds at every update and goes on until nothing changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import torch  # noqa: TID253
from pydantic import Field
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from tal.errors import ConfigError
from tal.methods._assg_seeds import Background, SeedRule, Seeds, collate, find_seeds, grow
from tal.methods._base import Batch, LabelledVideo, Method, Sample
from tal.methods._blocks import dense
from tal.settings import Section
from tal.types import Activations

_EPSILON = 1e-6  # of a probability whose logarithm is taken


class Config(Section):
    """Hyper-parameters of ASSG.

    Attributes:
        hidden: Filters of both hidden layers (section 3.2.2).
        stage: Which row of table 2: ``assg`` all, ``ssg`` without the classifier, ``cas`` from seeds that do not grow
            either. (The table's "reported CAS" is the guide itself.)
        opposite: Let background read the negative part of the last hidden layer, and the classes the positive one
            (section 3.3); without it both read the positive part.
        seed_threshold: A class's seeds are where the guide's signal is above this share of its peak in the video
            (section 3.2.1: "relatively high").
        bg_seeds: Where background has its seeds: where the guide's attention is low, at shot changes (section 3.2.1),
            or both; never where a class of the video is active.
        bg_share: How many of a video's snippets count as low attention.
        bg_quiet: A class of the video is active above this share of its peak.
        theta_grow_fg: Least probability at which a class grows into a snippet (theta_g, eq. 1).
        theta_grow_bg: The same of background.
        rings: How far growth goes in one update, in snippets; 0 until it stops by itself.
        normalisation: ``joint`` softmax over background and classes, or ``pairwise``, each class against background,
            so that classes that occur together do not rival.
        balance: Average the seed loss over classes and over background separately (Huang et al., 2018), not over all
            that have grown (eq. 4).
        theta_adv: Snippets of higher probability are hidden from the classifier (theta_a, section 4.2).
        pool: How the classifier aggregates (table 1): ``sap`` by self-adaptive weights, ``gap`` mean, ``gmp`` maximum.
        temperature: What the mean feature is multiplied by in eq. 3.
    """

    hidden: int = Field(512, ge=1)
    stage: Literal["cas", "ssg", "assg"] = "assg"
    opposite: bool = True
    seed_threshold: float = Field(0.5, ge=0, lt=1)
    bg_seeds: Background = "low_attention"
    bg_share: float = Field(0.2, ge=0, le=1)
    bg_quiet: float = Field(0.1, gt=0)
    theta_grow_fg: float = Field(0.9, gt=0, le=1)
    theta_grow_bg: float = Field(0.9, gt=0, le=1)
    rings: int = Field(0, ge=0)
    normalisation: Literal["joint", "pairwise"] = "joint"
    balance: bool = False
    theta_adv: float = Field(0.4, gt=0, le=1)
    pool: Literal["sap", "gap", "gmp"] = "sap"
    temperature: float = Field(2.0, ge=0)


class Network(Method):
    """One stream's network (figure 2)."""

    GUIDE = "needed"

    def __init__(self, config: Config, n_channels: int, n_classes: int) -> None:
        super().__init__(config, n_channels, n_classes)
        self.config = config
        self.first = dense(n_channels, config.hidden)
        self.second = dense(config.hidden, config.hidden)
        self.foreground = dense(config.hidden, n_classes)
        self.background = dense(config.hidden, 1)
        self.seeds: list[Seeds] = []

    def prepare(self, videos: Iterable[LabelledVideo]) -> Sequence[Sample] | None:
        """Keep the seeds of every training video.

        Raises:
            ConfigError: If there is no guide to take them from.
        """
        config = self.config
        rule = SeedRule(config.seed_threshold, config.bg_seeds, config.bg_share, config.bg_quiet)
        self.seeds = []
        for video in videos:
            if video.guide is None:
                raise ConfigError("assg takes its seeds from another model; set train.guide, such as stpn")
            self.seeds.append(find_seeds(video.features, video.labels, video.guide, rule))
        return None

    def heatmaps(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map features (..., T, D) to logits of background and classes, (..., T, 1 + C), and mean features, (..., T).

        The latter are the means over channels of the foreground's features, eq. 3's exponent.
        """
        last = self.second(functional.relu(self.first(features)))  # F of section 3.3
        positive = functional.relu(last)
        negative = functional.relu(-last) if self.config.opposite else positive
        logits = torch.cat([self.background(negative), self.foreground(positive)], dim=-1)
        return logits, positive.mean(dim=-1)

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """Return the logarithm of the heatmap H, (..., T, 1 + C)."""
        if self.config.normalisation == "joint":
            return functional.log_softmax(logits, dim=-1)
        background, classes = logits[..., :1], logits[..., 1:]
        rival = classes.amax(dim=-1, keepdim=True)  # background is sure where it beats every class
        return functional.logsigmoid(torch.cat([background - rival, classes - background], dim=-1))

    def willing(self, log_heat: Tensor) -> Tensor:
        """Return where eq. 1 lets a column grow, bool (..., T, 1 + C): sure enough, and surer than its rivals."""
        config = self.config
        theta = log_heat.new_full(log_heat.shape[-1:], math.log(config.theta_grow_fg))
        theta[0] = math.log(config.theta_grow_bg)
        rival = log_heat.amax(dim=-1, keepdim=True) if config.normalisation == "joint" else math.log(0.5)
        return (log_heat >= theta) & (log_heat >= rival)

    def supervise(self, log_heat: Tensor, batch: Batch) -> Tensor:
        """Return what has grown from the batch's seeds, bool (B, T, 1 + C)."""
        videos = [self.seeds[int(video)] for video in batch.aux["video"].tolist()]
        seeds = collate(videos, batch.aux["snippet"], log_heat.shape[-1]).to(log_heat.device)
        if self.config.stage == "cas":
            return seeds
        # a class that has no seed cannot grow: no need to ask for the video's labels
        return grow(seeds, self.willing(log_heat.detach()), self.config.rings)

    def aggregate(self, heat: Tensor, energy: Tensor) -> Tensor:
        """Pool heatmaps over time by eqs. 2 and 3, or by their mean or maximum.

        Args:
            heat: (..., T, C).
            energy: Mean features, (..., T, C) or (..., T, 1).

        Returns:
            (..., C).
        """
        if self.config.pool == "gap":
            return heat.mean(dim=-2)
        if self.config.pool == "gmp":
            return heat.amax(dim=-2)
        weights = torch.softmax(self.config.temperature * energy, dim=-2)
        return (weights * heat).sum(dim=-2)

    def objectives(self, batch: Batch) -> Iterator[dict[str, Tensor]]:
        """Yield the seed loss, and after its update the classifier's (algorithm 1)."""
        log_heat = self.log_probabilities(self.heatmaps(batch.features)[0])
        yield {"seed": seed_loss(log_heat, self.supervise(log_heat, batch), self.config.balance)}
        if self.config.stage == "assg":
            yield {"class": self.classify(batch)}

    def classify(self, batch: Batch) -> Tensor:
        """Return the class loss (eq. 5) after each class's surest snippets were erased."""
        logits, energy = self.heatmaps(batch.features)
        heat = self.log_probabilities(logits)[..., 1:].exp()  # (B, T, C)
        kept = (heat.detach() <= self.config.theta_adv) | (batch.labels == 0).unsqueeze(1)
        pooled = self.aggregate(heat * kept, energy.unsqueeze(-1) * kept)
        return class_loss(pooled, batch.labels)

    @torch.inference_mode()
    def activate(self, features: Tensor) -> Activations:
        """Return class logits, the heatmap as the signal, and class scores that add up to 1.

        The scores pool the heatmap, of which nothing is erased, as the classifier does; attention is eq. 3 before it
        is normalised, with 1 for the strongest snippet.
        """
        logits, energy = self.heatmaps(features)
        heat = self.log_probabilities(logits)[:, 1:].exp()
        pooled = self.aggregate(heat, energy.unsqueeze(-1))
        scores = pooled / pooled.sum().clamp_min(_EPSILON)
        attention = torch.exp(self.config.temperature * (energy - energy.max()))
        return Activations(*(value.float().cpu().numpy() for value in (logits[:, 1:], scores, heat, attention)))


def seed_loss(log_heat: Tensor, grown: Tensor, balance: bool = False) -> Tensor:
    """Average the negative logarithm of the heatmap where it is labelled (eq. 4).

    Args:
        log_heat: Logarithm of the heatmap, (B, T, 1 + C).
        grown: The labels, bool (B, T, 1 + C).
        balance: Average over classes and over background, and add both.

    Returns:
        A scalar; 0 where nothing is labelled.
    """
    parts = [grown[..., :1], grown[..., 1:]] if balance else [grown]
    logs = [log_heat[..., :1], log_heat[..., 1:]] if balance else [log_heat]
    return sum(
        (-(log * part).sum() / part.sum().clamp_min(1) for log, part in zip(logs, parts, strict=True)),
        start=log_heat.new_zeros(()),
    )


def class_loss(pooled: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of eq. 5, averaged over videos; several labels of a video share its weight.

    Args:
        pooled: What the classifier found of each class, not negative, (B, C).
        labels: Multi-hot labels, (B, C).
    """
    pooled = pooled.clamp_min(_EPSILON)
    share = labels / labels.sum(dim=1, keepdim=True).clamp_min(1)
    return -(share * torch.log(pooled / pooled.sum(dim=1, keepdim=True))).sum(dim=1).mean()
