"""From activations to detections."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tal.settings.base import Section


class LocalizeSettings(Section):
    """From activations to detections.

    Attributes:
        class_threshold: Classes whose video-level score is below are rejected, in [0, 1].
        class_source: ``stream`` rejects per stream, ``mean`` on the fused score of the streams.
        top_classes: Keep at most so many classes per video; 0 for all that pass.
        streams: ``each`` network proposes segments from its own signal (STPN, CPMN, ASSG), or the ``fused`` signal
            does (CMCS).
        fuse: How class scores and signals of streams are averaged, with the weights of `alpha`: ``mean``, or
            ``geometric``, which is the softmax of averaged logits where classes and an unnamed background add up to 1
            (CMCS).
        alpha: Weight of the RGB stream where streams are averaged (STPN, eq. 7).
        normalise: Scale the signal of each class over time to [0, 1] first: ``no``, ``minmax`` from its least to its
            largest value (CMCS, CPMN eq. 3), ``positive`` the same of max(least, 0) and max(largest, 0), which leaves
            the negative negative (ECM).
        scale: Sub-samples per snippet in the linear interpolation (STPN: 24).
        rule: What thresholds are multiples of: 1, or the signal's mean or maximum over time.
        thresholds: One or several; the segments of all are pooled before suppression.
        dilation: How far what passed a threshold is widened on either side before it is grouped, snippets (CMCS).
        score: ``attention_cas`` is STPN's eq. 7; ``signal`` the mean of the proposing signal; ``fused`` the mean of the
            fused signal (ASSG, eq. 6); ``product`` that times the fused class score (CPMN, eqs. 7 and 8); ``contrast``
            inner minus outer mean of the proposing signal (CMCS, ECM).
        context: Length of the outer context on each side, as a share of the segment (``contrast``).
        zeroed: Whether what lies below the threshold counts as 0 in inner and outer means (``contrast``, ECM).
        gamma: Weight of the video-level class score added to a segment's score (``contrast``).
        suppression: ``hard`` drops overlapping segments, ``soft`` lowers their scores (Bodla et al., 2017, eq. 3).
        nms: Segments of a class that overlap a better one by more than this tIoU are suppressed; 1 keeps all. Soft:
            the sigma of the Gaussian.
        plus_one: Add 1 s to lengths and overlaps in suppression, as some public codes do; for comparisons alone.
        min_duration_s: Shorter segments are dropped, seconds.
        max_detections: Keep at most so many per video, the best; 0 for all.
    """

    class_threshold: float = Field(0.1, ge=0, le=1)
    class_source: Literal["stream", "mean"] = "stream"
    top_classes: int = Field(0, ge=0)
    streams: Literal["each", "fused"] = "each"
    fuse: Literal["mean", "geometric"] = "mean"
    alpha: float = Field(0.5, ge=0, le=1)
    normalise: Literal["no", "minmax", "positive"] = "no"
    scale: int = Field(24, ge=1, le=1000)
    rule: Literal["fixed", "mean", "max"] = "fixed"
    thresholds: tuple[float, ...] = Field((0.05,), min_length=1)
    dilation: float = Field(0.0, ge=0, le=100)
    score: Literal["attention_cas", "signal", "fused", "product", "contrast"] = "attention_cas"
    context: float = Field(0.25, ge=0, le=10)
    zeroed: bool = False
    gamma: float = Field(0.0, ge=0)
    suppression: Literal["hard", "soft"] = "hard"
    nms: float = Field(0.5, ge=0, le=1)
    plus_one: bool = False
    min_duration_s: float = Field(0.0, ge=0)
    max_detections: int = Field(0, ge=0)
