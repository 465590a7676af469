"""CPMN: Cascaded Pyramid Mining Network for Weakly Supervised Temporal Action Localization (Su et al., ACCV 2018).

A first classifier finds the most telling snippets; they are erased from what a second one sees, which must find others
(online adversarial erasing). A pyramid of label maps at several resolutions is the attention that weighs both.

There is no public code. What the paper leaves open is decided in `Config`, or here:

* Eq. 6 lacks the minus sign and the term of the absent classes, without which "every class" is its optimum: the loss is
  the binary cross-entropy. Masks carry no gradient, so that one optimizer trains all modules as if "separately".
* Erased features are zero, which is the training set's mean where ``train.standardise`` is on.
* In training, what any labelled class activates is erased. Without labels each class is mined by itself: what it
  activates is erased, and only its own T-CAS of the next stage is read.
* Windows of the pyramid do not overlap, and the last one is filled up with the video's last snippet. Levels are added
  up before a heatmap is scaled, and it is scaled over the whole video: a window without action has no maximum to be
  stretched to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, cast

import torch  # noqa: TID253
from pydantic import Field
from torch import Tensor, nn  # noqa: TID253

from tal.methods._base import Batch, Method
from tal.methods._blocks import multi_label_cross_entropy
from tal.methods._cpmn_parts import Classifier, Pyramid, cut, minmax, positive_share, resized
from tal.settings import Section
from tal.types import Activations

_LARGEST = 1 << 25  # numbers in the feature maps of the classes that are mined at once


class Config(Section):
    """Hyper-parameters of CPMN.

    Attributes:
        filters: Width of both modules (section 3.3).
        stages: Classifiers of the cascade; 1 is the paper's baseline, 3 its last experiment (section 4.3).
        erase_threshold: Snippets whose scaled T-CAS exceeds it are erased (zeta, section 4.1).
        mask: How a T-CAS is scaled for that, which the paper does not say: ``positive`` what is above zero as a share
            of the maximum over time, ``minmax`` from minimum to maximum as in eq. 3, ``sigmoid``. The cross-entropy
            pushes background far below zero; ``minmax`` with 0.4 then erases all that is not clearly background.
        mined: Classes that are mined in a video of unknown labels, those of the highest scores; 0 for all.
        scores: Class scores of a video (p_class of eq. 8, not defined): ``strongest`` averages the first classifier's
            T-CAS over its strongest snippets and takes the softmax over classes, much like the hard selection of
            UntrimmedNet, whose predicted classes section 3.5 names; ``average`` is that classifier's sigmoid of eq. 1,
            over all snippets.
        strongest: Their share, in (0, 1].
        l2: Weight of the halved squares of the cascade's kernels (lambda of eq. 6, section 4.1).
        pam: Use the pyramid attention module; without it the signal is the T-CAS itself, as in [42].
        levels: Resolutions of the pyramid (section 3.3).
        lateral: Connections between levels: ``fpn`` adds coarser to finer feature maps, ``none`` has none.
        window: Snippets of a window of the pyramid (T_omega, section 4.1).
        pam_label: What the labels are said of: the ``video``, by the average of its windows, or each ``window``.
        resize: Snippets to which a video is interpolated before it is localized (section 4.2: ActivityNet); 0 for none.
    """

    filters: int = Field(512, ge=1)
    stages: Literal[1, 2, 3] = 2
    erase_threshold: float = Field(0.4, ge=0, le=1)
    mask: Literal["positive", "minmax", "sigmoid"] = "positive"
    mined: int = Field(5, ge=0)
    scores: Literal["strongest", "average"] = "strongest"
    strongest: float = Field(0.03, gt=0, le=1)
    l2: float = Field(0.0025, ge=0)
    pam: bool = True
    levels: int = Field(4, ge=1, le=4)
    lateral: Literal["none", "fpn"] = "fpn"
    window: Literal[8, 16, 32, 64, 128, 256] = 64
    pam_label: Literal["video", "window"] = "video"
    resize: int = Field(0, ge=0)


class Network(Method):
    """One stream's network (figure 1)."""

    def __init__(self, config: Config, n_channels: int, n_classes: int) -> None:
        super().__init__(config, n_channels, n_classes)
        self.config = config
        stages = (Classifier(n_channels, config.filters, n_classes) for _ in range(config.stages))
        self.stages = nn.ModuleList(stages)
        lateral = config.lateral == "fpn"
        self.pyramid = Pyramid(n_channels, config.filters, n_classes, config.levels, lateral) if config.pam else None

    @property
    def cascade(self) -> list[Classifier]:
        """The classifiers in their order."""
        return cast("list[Classifier]", list(self.stages))

    def objectives(self, batch: Batch) -> Iterator[dict[str, Tensor]]:
        """Yield the cross-entropy of every classifier and of the pyramid, and the l2 term of eq. 6, once."""
        losses = {f"stage {number}": loss for number, loss in enumerate(self.cascade_losses(batch), start=1)}
        if self.pyramid is not None:
            losses["pyramid"] = self.pyramid_loss(self.pyramid, batch)
        if self.config.l2:
            losses["l2"] = self.config.l2 * self.penalty()
        yield losses

    def cascade_losses(self, batch: Batch) -> Iterator[Tensor]:
        """Yield each classifier's cross-entropy; each sees what those before it left (algorithm 1)."""
        features = batch.features
        for stage in self.cascade:
            maps = stage.maps(features)
            yield multi_label_cross_entropy(stage.logits(maps), batch.labels)
            if stage is not self.stages[-1]:
                features = features * self.unmarked(stage.cas(maps), batch.labels).unsqueeze(2)

    @torch.no_grad()
    def unmarked(self, cas: Tensor, labels: Tensor) -> Tensor:
        """Return 0 where a labelled class's T-CAS (B, T, C) passes the threshold, else 1, (B, T), without gradient."""
        marked = self.marked(cas) & (labels > 0).unsqueeze(1)
        return (~marked.any(dim=2)).to(cas.dtype)

    def marked(self, cas: Tensor) -> Tensor:
        """Return where a T-CAS (B, T, C) passes the threshold zeta on the scale of ``mask``, (B, T, C)."""
        if self.config.mask == "minmax":
            return minmax(cas, 0.0) > self.config.erase_threshold
        scaled = positive_share(cas) if self.config.mask == "positive" else torch.sigmoid(cas)
        return scaled > self.config.erase_threshold

    def penalty(self) -> Tensor:
        """Return half the sum of squares of the cascade's kernels, without its biases (eq. 6)."""
        kernels = [values for name, values in self.stages.named_parameters() if name.endswith("weight")]
        return torch.stack([kernel.square().sum() for kernel in kernels]).sum() / 2

    def pyramid_loss(self, pyramid: Pyramid, batch: Batch) -> Tensor:
        """Return the pyramid's cross-entropy: of each window, or of each video's average over its windows."""
        if self.config.pam_label == "video":  # windows do not matter for the average
            whole = cut(batch.features, pyramid.stride).flatten(1, 2)
            return multi_label_cross_entropy(pyramid.logits(whole), batch.labels)
        windows = cut(batch.features, self.config.window)
        labels = batch.labels.repeat_interleave(windows.shape[1], dim=0)
        return multi_label_cross_entropy(pyramid.logits(windows.flatten(0, 1)), labels)

    @torch.inference_mode()
    def activate(self, features: Tensor) -> Activations:
        """Return the cascade's T-CAS, class scores, and the attention-based T-CAS Phi (eqs. 4 and 5) as the signal."""
        n = len(features)
        cas, scores, signal = self.localized(resized(features, self.config.resize) if self.config.resize else features)
        if self.config.resize:
            cas, signal = resized(cas, n), resized(signal, n)
        attention = features.new_ones(n)
        return Activations(*(values.float().cpu().numpy() for values in (cas, scores, signal, attention)))

    def localized(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return M(Cas), (T, C), class scores, (C,), and the signal, (T, C), of a video (T, D)."""
        first = self.cascade[0]
        maps = first.maps(features.unsqueeze(0))
        cas = first.cas(maps)[0]
        scores = self.class_scores(cas, first.logits(maps)[0])
        cas = self.mine(features, cas, scores)
        signal = cas if self.pyramid is None else torch.sigmoid(cas) * self.heatmaps(self.pyramid, features)
        return cas, scores, signal

    def class_scores(self, cas: Tensor, logits: Tensor) -> Tensor:
        """Return class scores in [0, 1], (C,), for the first classifier's T-CAS (T, C) and logits (C,)."""
        if self.config.scores == "average":
            return torch.sigmoid(logits)
        k = max(1, round(self.config.strongest * len(cas)))
        return torch.softmax(cas.topk(k, dim=0).values.mean(dim=0), dim=0)

    def mine(self, features: Tensor, cas: Tensor, scores: Tensor) -> Tensor:
        """Return M(Cas), the largest T-CAS of all stages, (T, C).

        Args:
            features: One video, (T, D).
            cas: The first stage's T-CAS, (T, C); it stays as it is for classes that are not mined.
            scores: Class scores, (C,).
        """
        found = cas.clone()
        taps = [stage.first.taps(features) for stage in self.cascade[1:]]
        chosen = scores.argsort(descending=True, stable=True)[: self.config.mined or None]
        at_once = max(1, _LARGEST // (3 * self.config.filters * len(features)))
        for classes in torch.split(chosen, at_once) if taps else ():
            found[:, classes] = self.mine_together(taps, classes, cas[:, classes])
        return found

    def mine_together(self, taps: list[Tensor], classes: Tensor, own: Tensor) -> Tensor:
        """Return M(Cas), (T, N), of N classes that are mined side by side, each with its own erasures.

        Args:
            taps: Of the later stages' first convolutions, (3, K, T) each.
            classes: Their indices, (N,).
            own: The first stage's T-CAS, (T, N).
        """
        keep, largest = torch.ones_like(own.T), own
        for stage, products in zip(self.cascade[1:], taps, strict=True):
            keep = keep * ~self.marked(own.unsqueeze(0))[0].T  # (N, T)
            maps = stage.last_maps(stage.first.add_up(products, keep))  # (N, K, T)
            own = torch.einsum("nkt,nk->tn", maps, stage.output.weight[classes])
            largest = torch.maximum(largest, own)
        return largest

    def heatmaps(self, pyramid: Pyramid, features: Tensor) -> Tensor:
        """Return the pyramidal attention H (eq. 3) of one video (T, D), (T, C); 1 where nothing stands out."""
        windows = cut(features.unsqueeze(0), self.config.window)[0]
        maps = pyramid(windows).flatten(0, 1)[: len(features)]
        return minmax(maps.unsqueeze(0), 1.0)[0]
