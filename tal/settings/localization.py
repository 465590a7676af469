"""From activations to detections."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tal.settings.base import Section


class LocalizeSettings(Section):
    """From activations to detections.

    Attributes:
        class_threshold: Classes whose video-level score is below are rejected, in [0, 1].
        class_source: ``stream`` rejects per stream, ``mean`` on the average score of the streams.
        top_classes: Keep at most so many classes per video; 0 for all that pass.
        alpha: Weight of the RGB stream where streams are averaged (STPN, eq. 7).
        normalise: Scale the signal of each class over time to [0, 1] first.
        scale: Sub-samples per snippet in the linear interpolation (STPN: 24).
        rule: What thresholds are multiples of: 1, or the signal's mean or maximum over time.
        thresholds: One or several; the segments of all are pooled before suppression.
        score: ``attention_cas`` is STPN's eq. 7; ``signal`` its mean; ``contrast`` inner minus outer mean.
        context: Length of the outer context on each side, as a share of the segment (``contrast``).
        gamma: Weight of the video-level class score added to a segment's score (``contrast``).
        nms: Segments of a class that overlap a better one by more than this tIoU are suppressed; 1 keeps all.
        min_duration_s: Shorter segments are dropped, seconds.
        max_detections: Keep at most so many per video, the best; 0 for all.
    """

    class_threshold: float = Field(0.1, ge=0, le=1)
    class_source: Literal["stream", "mean"] = "stream"
    top_classes: int = Field(0, ge=0)
    alpha: float = Field(0.5, ge=0, le=1)
    normalise: bool = False
    scale: int = Field(24, ge=1, le=1000)
    rule: Literal["fixed", "mean", "max"] = "fixed"
    thresholds: tuple[float, ...] = Field((0.05,), min_length=1)
    score: Literal["attention_cas", "signal", "contrast"] = "attention_cas"
    context: float = Field(0.25, ge=0, le=10)
    gamma: float = Field(0.0, ge=0)
    nms: float = Field(0.5, ge=0, le=1)
    min_duration_s: float = Field(0.0, ge=0)
    max_detections: int = Field(0, ge=0)
