"""What proved itself, in one network: cross-fitted pseudo labels on early-fused, whitened features. Not a paper's.

Two stages, one learned from the other in the same run:

1. *Experts*, linear and one set per stream, predict a video's label from each of its snippets by itself. Snippets that
   all classes' videos share get nobody's label; parts of an action that top-k pooling would neglect, since others are
   stronger, count as much as its climax. The streams' word is combined as a geometric mean that trusts flow most:
   context that looks like the class but does not move like it is not believed.
2. *Judges*, linear on all streams, tell the labels from a background class. They learn from seeds first, the snippets
   that the experts are most and least sure of (seed growing: ASSG, section 3.2), then from what the judges themselves
   say: expectation and maximisation, in which a moving average of the weights, the teacher, says it. Judges are less
   sure of an action than of the background in videos they have not seen, so that each round would give the background
   more; from a floor on, the labels' odds are lifted.

Whoever labels a video never learned from it: videos are dealt into folds, and the experts and judges of a fold learn
from the others. Without that, linear classifiers of a few hundred videos know each by heart and call all of it the
action. New videos are localized by the mean of all folds' teachers. The background class never leaves this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch  # noqa: TID253
from pydantic import Field
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from tal.errors import ConfigError
from tal.methods._base import Batch, LabelledVideo, Method
from tal.methods._best_parts import (
    Front,
    Judges,
    cross_entropy,
    restricted,
    seeds,
    spread_snippets,
    taught,
    unseen,
)
from tal.settings import Section
from tal.types import Activations

_LEAST = 1e-12  # keeps logarithms finite
_PACE = 0.2  # of the lift, in log odds per log share that is missing


class Config(Section):
    """Hyper-parameters.

    Attributes:
        streams: Equal parts that features consist of; 0 for as many as ``train.fusion`` puts side by side.
        trust: Weight of the last stream (flow) in the experts' combined word, in [0, 1]; the others share the rest.
        compress: Unit of the logarithm as a share of a dimension's mean; 0 for features as they are.
        whiten: Shrinkage of the whitening; 0 for plain standardising.
        components: Principal components kept of each stream, where it is whitened.
        folds: Into how many folds videos are dealt; 1 has everybody label what they learned from.
        seed_high: Evidence above this share of a video's best is a seed of the label.
        seed_low: Evidence below it is a seed of the background.
        top: A video's best snippets are its strongest T / `top`.
        grow_at: Share of the run after which judges learn from each other rather than from seeds; 1 for never.
        floor: While judges learn from each other, labels get at least this share of what they got at the end of the
            seeds; 0 lets the background take over in the end.
        ema: Decay of the moving averages per update; 0 for the weights themselves.
        dropout: Of what experts and judges see.
    """

    streams: int = Field(0, ge=0)
    trust: float = Field(0.9, ge=0, le=1)
    compress: float = Field(0.05, ge=0)
    whiten: float = Field(0.1, ge=0)
    components: int = Field(256, ge=1)
    folds: int = Field(4, ge=1)
    seed_high: float = Field(0.575, ge=0, le=1)
    seed_low: float = Field(0.1, ge=0, le=1)
    top: int = Field(8, ge=1)
    grow_at: float = Field(0.25, ge=0, le=1)
    floor: float = Field(0.5, ge=0, le=1)
    ema: float = Field(0.98, ge=0, lt=1)
    dropout: float = Field(0.3, ge=0, lt=1)


class Network(Method):
    """One network on the streams side by side.

    Raises:
        ConfigError: If the features do not consist of ``method.streams`` equal parts.
    """

    WHOLE = True
    updates: Tensor
    share: Tensor
    lift: Tensor

    def __init__(self, config: Config, n_channels: int, n_classes: int) -> None:
        super().__init__(config, n_channels, n_classes)
        n_streams = config.streams or 1
        if n_channels % n_streams:
            raise ConfigError(f"features of {n_channels} channels are not {n_streams} streams; set method.streams")
        c = self.config = config
        self.front = Front(n_channels, n_streams, c.compress, c.whiten, c.components)
        per_stream = self.front.n_out // n_streams
        self.experts = torch.nn.ModuleList(Judges(per_stream, n_classes, c.folds) for _ in range(n_streams))
        self.judges = Judges(self.front.n_out, n_classes + 1, c.folds)
        self.teacher = Judges(self.front.n_out, n_classes + 1, c.folds, learning=False)
        for name in ("updates", "share", "lift"):
            self.register_buffer(name, torch.zeros(()))

    @classmethod
    def for_streams(cls, config: Section, n_streams: int) -> Section:
        """Set how many streams there are, unless the settings do."""
        unset = isinstance(config, Config) and not config.streams
        return config.model_copy(update={"streams": n_streams}) if unset else config

    def prepare(self, videos: Iterable[LabelledVideo]) -> None:
        """Measure what the logarithm and the whitening need."""
        snippets = spread_snippets(video.features for video in videos)
        if snippets is not None:
            self.front.measure(snippets.to(self.front.mean.device))

    @torch.no_grad()
    def follow(self) -> None:
        """Move the teacher towards the judges; early on by more, so that nothing of the start is left."""
        self.updates += 1
        step = max(1 - self.config.ema, 9 / (9 + float(self.updates)))
        self.teacher.weight.lerp_(self.judges.weight, step)
        self.teacher.bias.lerp_(self.judges.bias, step)

    def evidence(self, logits: list[Tensor], fold: Tensor) -> Tensor:
        """Return by how much what experts who never saw the video say exceeds chance, 1 / C, at least 0, (N, C).

        It is the geometric mean of the streams' probabilities.

        Args:
            logits: Per stream, (N, F, C).
            fold: Of each snippet, (N,).
        """
        trust = self.config.trust if len(logits) > 1 else 1.0
        rest = (1 - trust) / max(1, len(logits) - 1)
        logs = [unseen(one, fold).log_softmax(dim=1) for one in logits]
        together = torch.exp(sum(rest * one for one in logs[:-1]) + trust * logs[-1])
        return (together - 1 / self.n_classes).clamp_min(0)

    @torch.no_grad()
    def targets(self, features: Tensor, batch: Batch, fold: Tensor, labels: Tensor) -> Tensor:
        """Return what snippets (N, D) are held for, (N, C + 1), rows of zeros where nothing can be said.

        Args:
            features: As they leave the front.
            batch: Labels of the videos and how much of the run is done.
            fold: Of each snippet, (N,).
            labels: Of each snippet's video, (N, C).
        """
        logits = unseen(self.teacher(features), fold)
        if batch.done >= self.config.grow_at:
            return self.grown(logits, labels)
        given = 1 - restricted(logits.softmax(dim=1), labels)[:, -1].mean()
        if self.training:
            self.share.lerp_(given, max(0.1, 1 / max(1.0, float(self.updates))))
        return self.sown(features, batch, fold)

    def grown(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the teacher's word, (N, C + 1), lifted once labels get less than the floor.

        Args:
            logits: Of the teachers who never saw the videos, (N, C + 1).
            labels: Of each snippet's video, (N, C).
        """
        lifted = torch.cat([logits[:, :-1] + self.lift, logits[:, -1:]], dim=1)
        target = restricted(lifted.softmax(dim=1), labels)
        given = (1 - target[:, -1].mean()).clamp_min(1e-4)
        if self.training:
            self.lift.add_(_PACE * torch.log(self.config.floor * self.share / given)).clamp_(min=0)
        return target

    def sown(self, features: Tensor, batch: Batch, fold: Tensor) -> Tensor:
        """Return seeds, (N, C + 1), from what the experts say about features (N, D) of snippets in folds (N,)."""
        parts = features.chunk(len(self.experts), dim=1)
        logits = [expert(part) for expert, part in zip(self.experts, parts, strict=True)]
        c, (_, lengths) = self.config, batch.packed()
        return seeds(self.evidence(logits, fold), batch.labels, lengths, c.seed_low, c.seed_high, c.top)

    def expert_loss(self, features: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
        """Return the cross-entropy of every snippet with its video's labels, the streams' mean.

        Args:
            features: (N, D).
            labels: (N, C); several share one unit.
            weight: Of each snippet for each fold's expert, (N, F).
        """
        shared = (labels / labels.sum(dim=1, keepdim=True).clamp_min(1)).unsqueeze(1)
        parts = features.chunk(len(self.experts), dim=1)
        losses = [cross_entropy(e(part), shared, weight) for e, part in zip(self.experts, parts, strict=True)]
        return torch.stack(losses).mean()

    def objectives(self, batch: Batch) -> Iterator[dict[str, Tensor]]:
        """Yield the losses of judges and experts, once; of experts while anybody listens to them."""
        if self.training:
            self.follow()
        raw, lengths = batch.packed()
        count = torch.tensor(lengths, device=raw.device)
        fold = (_places(batch) % self.config.folds).repeat_interleave(count)  # (N,)
        labels = batch.labels.repeat_interleave(count, dim=0)  # (N, C)
        features = self.front(raw)
        target, learns = self.targets(features, batch, fold, labels), taught(fold, self.config.folds)
        seen = functional.dropout(features, self.config.dropout, self.training)
        weight = learns * target.sum(dim=1, keepdim=True)
        losses = {"judges": cross_entropy(self.judges(seen), target.unsqueeze(1), weight)}
        if batch.done < self.config.grow_at:
            losses["experts"] = self.expert_loss(seen, labels, learns / count.repeat_interleave(count).unsqueeze(1))
        yield losses

    @torch.inference_mode()
    def activate(self, features: Tensor) -> Activations:
        """Return log odds against the background, probabilities, and 1 minus the background's: the folds' mean.

        The score of a class is the mean of its strongest T / `top` probabilities.
        """
        posterior = self.teacher(self.front(features)).softmax(dim=2).mean(dim=1)
        logs, signal = posterior.clamp_min(_LEAST).log(), posterior[:, :-1]
        scores = signal.topk(max(1, len(signal) // self.config.top), dim=0).values.mean(dim=0)
        attention = signal.sum(dim=1).clamp(0, 1)
        values = (logs[:, :-1] - logs[:, -1:], scores.clamp(0, 1), signal, attention)
        return Activations(*(value.float().cpu().numpy() for value in values))


def _places(batch: Batch) -> Tensor:
    """Return which videos the samples come from, (B,)."""
    here = torch.arange(len(batch.labels), device=batch.labels.device)
    return batch.aux.get("video", here)
