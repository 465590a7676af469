"""From video to features, and what changes speed alone."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from pydantic import Field, model_validator

from tal.settings.base import Rate, Section, Side


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
        flow_images: Folder with flow as images, ``<video>/flow_x_00000.jpg``, that are read in place of computing flow;
            what `flow` says is not used then. Empty: flow is computed.
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
    flow_images: str = ""
    backbone: str = "i3d"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "fp32"
    weights: str = "default"
    calibration_videos: int = Field(4, ge=1, le=64)
    max_gap_s: float = Field(2.0, ge=0)

    @property
    def reads_flow(self) -> bool:
        """Whether the flow stream comes from images."""
        return bool(self.flow_images) and "flow" in self.streams

    @model_validator(mode="after")
    def _crop_fits(self) -> ExtractSettings:
        name, px = ("size", min(self.size)) if self.size else ("short_side", self.short_side)
        if self.crop > px:
            raise ValueError(f"crop ({self.crop} px) is larger than {name} ({px} px)")
        if self.crops == "ten" and not self.crop:
            raise ValueError("crops 'ten' need a size; set crop, such as 224")
        return self


class RuntimeSettings(Section):
    """What changes speed and not results; never part of a cache key.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        workers: Threads for optical flow; 0 for all cores.
        batch: Snippets per pass through I3D.
        isolate: ``all`` extracts in a process of its own that is watched and started again when a video takes it down,
            ``suspects`` only what was in work when processes died, ``none`` nothing. ``auto``: the commands isolate
            ``all``, the Python API ``suspects``.
        save_flow: Folder into which `tal extract` also writes flow as images; empty for nowhere.
        checkpoint_every: Updates between training checkpoints.
        stage_gb: Most room that local copies of remote files take, GB (10^9 bytes); what was used longest ago goes.
        retries: How often a store on the network, or a mounted folder that does not answer, is asked again before
            something counts as failed; the waits between grow from about 1 s to 30 s.
        stall_s: How long a call of a store may go without a byte, s, before it counts as one that failed.
    """

    device: str = "auto"
    workers: int = Field(0, ge=0)
    batch: int = Field(4, ge=1)
    isolate: Literal["auto", "all", "suspects", "none"] = "auto"
    save_flow: str = ""
    checkpoint_every: int = Field(200, ge=1)
    stage_gb: float = Field(20.0, gt=0)
    retries: int = Field(5, ge=0, le=100)
    stall_s: float = Field(120.0, gt=0)
