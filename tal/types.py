"""The values that flow through the pipeline, and the field's words for them.

Glossary:
    snippet: A fixed number of consecutive frames (16) that gives one feature vector (STPN, ASSG: segment; CPMN: unit).
    stream: ``rgb`` or ``flow``, one modality of the two-stream network.
    CAS: Class activation sequence, one raw score per snippet and class (STPN: T-CAM; CPMN: T-CAS; ASSG: heatmap).
    attention: One class-agnostic weight in [0, 1] per snippet.
    signal: What a method offers for thresholding, per snippet and class (STPN: weighted T-CAM).
    segment: A time interval in seconds; nothing else is called so.
    detection: A labelled, scored segment.
    tIoU: Temporal intersection over union of two segments.

Axes: B batch, T snippets, D channels, C classes, F frames, H and W pixels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
ByteArray = NDArray[np.uint8]
STREAMS = ("rgb", "flow")
_RATE = re.compile(r"[0-9]{1,400}(?:/0*[1-9][0-9]{0,399})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Segment:
    """A time interval in seconds of the container's presentation time."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds; zero for an empty segment."""
        return max(0.0, self.end_s - self.start_s)

    def tiou(self, other: Segment) -> float:
        """Return the temporal intersection over union with `other`, in [0, 1]."""
        shared = max(0.0, min(self.end_s, other.end_s) - max(self.start_s, other.start_s))
        union = self.duration_s + other.duration_s - shared
        return shared / union if union > 0 else 0.0


@dataclass(frozen=True, slots=True)
class SnippetGrid:
    """Where a video's snippets lie in time: the only index-to-seconds conversion of the project.

    Snippet i covers the resampled frames [offset + i * stride, offset + i * stride + length). Between snippets, a
    continuous position p in [0, n_snippets] runs along the time line; snippet i owns the cell [i, i + 1].

    Attributes:
        n_snippets: Number of snippets T.
        fps: Rate of the resampled frames, frames per second.
        length: Frames of one snippet.
        stride: Frames between the starts of two snippets.
        offset: Index of the first resampled frame; its presentation time is offset / fps seconds.
        convention: ``centre`` puts a cell around the middle of its snippet's frames; ``start`` begins it with the
            snippet's first frame. They differ only where stride and length do.
    """

    n_snippets: int
    fps: Fraction = Fraction(25)
    length: int = 16
    stride: int = 16
    offset: int = 0
    convention: Literal["centre", "start"] = "centre"

    def __post_init__(self) -> None:
        if self.fps <= 0 or self.length < 1 or self.stride < 1 or self.n_snippets < 0:
            raise ValueError(f"not a grid: {self}")

    def time_s(self, position: float) -> float:
        """Return the presentation time in seconds of a continuous snippet position."""
        lead = (self.length - self.stride) / 2 if self.convention == "centre" else 0.0
        return float((self.offset + lead + position * self.stride) / float(self.fps))

    def segment(self, first: float, last: float) -> Segment:
        """Return the segment between two continuous positions, e.g. (a, b + 1) for snippets a to b."""
        return Segment(self.time_s(first), self.time_s(last))

    def to_dict(self) -> dict[str, Any]:
        """Return the grid as JSON-ready values."""
        return {
            "n_snippets": self.n_snippets,
            "fps": str(self.fps),
            "length": self.length,
            "stride": self.stride,
            "offset": self.offset,
            "convention": self.convention,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SnippetGrid:
        """Read what `to_dict` wrote, which a stranger may have written.

        Raises:
            TypeError: If a value is missing, unknown or of another type.
            ValueError: If they make no grid.
        """
        counts = [values[name] for name in ("n_snippets", "length", "stride", "offset") if name in values]
        if not isinstance(values["fps"], str) or not all(type(n) is int and abs(n) < 1 << 53 for n in counts):
            raise TypeError("a grid's numbers are no whole numbers, or its rate is no text")
        if not _RATE.fullmatch(values["fps"]) or values.get("convention", "centre") not in ("centre", "start"):
            raise ValueError("a grid's rate is no fraction, or its convention is not known")
        fps = Fraction(values["fps"])
        if not Fraction(1, 10**12) < fps < 10**12:
            raise ValueError("a grid's rate is none")
        return cls(**{**values, "fps": fps})


@dataclass(frozen=True)
class Features:
    """One video's snippet features.

    Attributes:
        streams: Stream name to float32 (T, D).
        grid: Where the snippets lie in time.
        motion: Mean flow magnitude per snippet, px per frame, (T,); None without a flow stream.
        duration_s: Presentation time at which the video ends, seconds.
        provenance: How the features were made: decoder, flow backend and preset, weights, video digest, settings.
    """

    streams: Mapping[str, FloatArray]
    grid: SnippetGrid
    duration_s: float
    motion: FloatArray | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values in self.streams.items():
            if name not in STREAMS or values.ndim != 2 or len(values) != self.grid.n_snippets:
                raise ValueError(f"stream {name!r} has shape {values.shape}, the grid {self.grid.n_snippets} snippets")


@dataclass(frozen=True)
class Activations:
    """What a trained method says about one video, over C foreground classes.

    Attributes:
        cas: Raw class activation sequence, float32 (T, C).
        scores: Video-level class scores in [0, 1], (C,).
        signal: What is thresholded into segments, (T, C).
        attention: Class-agnostic weights in [0, 1], (T,); ones where a method has none.
    """

    cas: FloatArray
    scores: FloatArray
    signal: FloatArray
    attention: FloatArray

    def __post_init__(self) -> None:
        t, c = self.cas.shape
        if self.scores.shape != (c,) or self.signal.shape != (t, c) or self.attention.shape != (t,):
            raise ValueError("cas (T, C), scores (C,), signal (T, C) and attention (T,) do not fit together")


@dataclass(frozen=True, slots=True)
class Detection:
    """An action found in a video."""

    label: str
    segment: Segment
    score: float
