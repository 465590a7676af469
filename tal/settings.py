"""Every setting of the pipeline, with its unit, its default and where the default comes from.

Settings are frozen; unknown keys are errors. What changes a result stands in the stage's own section and is part of
its cache key; what does not (device, workers, batch size) stands in `RuntimeSettings` and is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator


class Section(BaseModel):
    """A group of settings: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def _fraction(value: Any) -> Fraction:
    try:
        rate = Fraction(str(value)).limit_denominator(1_000_000)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{value!r} is not a rate; write 25, 29.97 or 30000/1001") from error
    if not 0 < rate <= 1000:
        raise ValueError(f"{value!r} is not a rate between 0 and 1000")
    return rate


Rate = Annotated[Fraction, BeforeValidator(_fraction), PlainSerializer(str)]
Side = Annotated[int, Field(ge=32, le=2160)]


class FlowSettings(Section):
    """Optical flow.

    Attributes:
        backend: An engine of `extract.flow`, or ``auto`` for the best that this machine has.
        quality: How many iterations: ``exact`` all, ``default``, or ``fast``; errors in px are in the documentation.
        preset: A convention of `extract.flow.presets` for turning px per frame into network input.
    """

    backend: str = "auto"
    quality: Literal["exact", "default", "fast"] = "default"
    preset: str = "i3d"


class ExtractSettings(Section):
    """From video to features.

    Attributes:
        fps: Frames are resampled to this rate by their timestamps; I3D was trained at 25 fps.
        decoder: A backend of `extract.decoders`, or ``auto``.
        short_side: Frames are scaled so that their shorter side has this many px (DeepMind: 256).
        size: Width and height that all frames are scaled to instead, px, whatever their shape (CMCS: [340, 256]).
        crop: Side of the centre crop in px (DeepMind: 224); 0 keeps the whole frame.
        crops: ``centre``, or ``ten``: the four corners, the centre, and all five mirrored (the flow's x with them);
            features are the mean over the crops, at ten times the cost.
        length: Frames per snippet.
        stride: Frames between snippet starts.
        tail: ``drop`` leaves out frames after the last whole snippet (STPN, CMCS), ``pad`` fills one more snippet with
            the last frame. A video shorter than one snippet is always padded to one.
        streams: Which streams are extracted.
        flow: Optical flow.
        backbone: The network, one of `extract.backbones`. ``i3d`` has both streams; the others know RGB alone.
        precision: In which numbers I3D computes: ``fp32``, ``bf16``, ``fp16``, or ``auto`` for the quickest that the
            device is good at. bf16 is about twice as fast on CPUs that have it and changes features: by 0.3 % with
            well-conditioned weights, by 5 % with calibrated random ones.
        weights: ``default`` (Kinetics-400, fetched once), a file or folder, or ``random:SEED``.
        calibration_videos: How many of the first videos set the BatchNorm statistics of random weights.
        max_gap_s: Where pictures are missing, the last good one is held for at most so long; a video with a longer gap
            fails, seconds. Never changes a shard.
    """

    fps: Rate = Fraction(25)
    decoder: str = "auto"
    short_side: Side = 256
    size: tuple[Side, Side] | None = None
    crop: int = Field(224, ge=0, le=2160)
    crops: Literal["centre", "ten"] = "centre"
    length: int = Field(16, ge=8, le=512)
    stride: int = Field(16, ge=1, le=512)
    tail: Literal["drop", "pad"] = "drop"
    streams: tuple[Literal["rgb", "flow"], ...] = Field(("rgb", "flow"), min_length=1)
    flow: FlowSettings = FlowSettings()
    backbone: str = "i3d"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "fp32"
    weights: str = "default"
    calibration_videos: int = Field(4, ge=1, le=64)
    max_gap_s: float = Field(2.0, ge=0)

    @model_validator(mode="after")
    def _crop_fits(self) -> ExtractSettings:
        name, px = ("size", min(self.size)) if self.size else ("short_side", self.short_side)
        if self.crop > px:
            raise ValueError(f"crop ({self.crop} px) is larger than {name} ({px} px)")
        if self.crops == "ten" and not self.crop:
            raise ValueError("crops 'ten' need a size; set crop, such as 224")
        return self


class TrainSettings(Section):
    """One training run.

    Attributes:
        fusion: ``late`` trains one network per stream, ``early`` one on both concatenated, ``rgb``, ``flow`` one alone.
        seed: Seed of initialisation, order and sampling.
        steps: Optimizer updates per network.
        batch_size: Videos per update.
        lr: Learning rate of Adam.
        weight_decay: Coupled L2 decay of Adam.
        n_snippets: Snippets T sampled from each video (STPN, section 4.2: 400).
        standardise: Bring each feature dimension to mean 0 and deviation 1 over the training snippets first. No paper
            does; features of random weights need it, Kinetics features do not.
        sampling: ``stratified`` draws one snippet per equal stratum, ``uniform`` takes its first.
    """

    fusion: Literal["late", "early", "rgb", "flow"] = "late"
    seed: int = Field(0, ge=0)
    steps: int = Field(8000, ge=1)
    batch_size: int = Field(6, ge=1)
    lr: float = Field(1e-4, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    n_snippets: int = Field(400, ge=1)
    sampling: Literal["stratified", "uniform"] = "stratified"
    standardise: bool = False


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


def tiou_range(value: Any) -> tuple[float, ...]:
    """Read ``0.1:0.7:0.1`` (both ends included), ``0.5`` or a list of thresholds.

    Raises:
        ValueError: If a threshold is outside (0, 1] or the text is no range.
    """
    if isinstance(value, str) and ":" in value:
        start, stop, step = (float(part) for part in value.split(":"))
        if step <= 0 or stop < start:
            raise ValueError(f"{value!r} is not a range; write FIRST:LAST:STEP, e.g. 0.1:0.7:0.1")
        value = np.round(start + step * np.arange(int((stop - start) / step + 1e-6) + 1), 6).tolist()
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    found = tuple(float(v) for v in values)
    if not found or any(not 0 < v <= 1 for v in found):
        raise ValueError(f"tIoU thresholds lie in (0, 1], not {value!r}")
    return found


TIoUs = Annotated[tuple[float, ...], BeforeValidator(tiou_range)]


class EvaluateSettings(Section):
    """How detections are compared with ground truth.

    Attributes:
        protocol: ``activitynet`` or ``thumos14`` (the official MATLAB kit); they give different numbers.
        tiou: Thresholds, as ``0.1:0.7:0.1`` or a list.
        subset: Subset of the ground truth; empty for the one that the detections belong to.
    """

    protocol: Literal["activitynet", "thumos14"] = "activitynet"
    tiou: TIoUs = tiou_range("0.1:0.7:0.1")
    subset: str = ""


class RuntimeSettings(Section):
    """What changes speed and not results; never part of a cache key.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        workers: Threads for optical flow; 0 for all cores.
        batch: Snippets per pass through I3D.
        checkpoint_every: Updates between training checkpoints.
    """

    device: str = "auto"
    workers: int = Field(0, ge=0)
    batch: int = Field(4, ge=1)
    checkpoint_every: int = Field(200, ge=1)


class Settings(Section):
    """All settings of a pipeline.

    Attributes:
        extract: From video to features.
        method: ``name`` and the method's own hyper-parameters, checked by the method.
        train: The training run.
        localize: From activations to detections.
        evaluate: Comparison with ground truth.
        runtime: Speed only.
    """

    extract: ExtractSettings = ExtractSettings()
    method: dict[str, Any] = Field(default_factory=lambda: {"name": "stpn"})
    train: TrainSettings = TrainSettings()
    localize: LocalizeSettings = LocalizeSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    runtime: RuntimeSettings = RuntimeSettings()
