"""What there is to see of one video: detections, truth, curves and marks on one time axis.

Reports, plots, the terminal and notebooks all draw this; `tal.pipeline.timelines` gathers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tal.annotations import Instance
from tal.types import Detection, FloatArray, Segment

Kind = Literal["shot", "gap", "damage", "ambiguous"]


@dataclass(frozen=True)
class Curves:
    """What a model says along a video.

    Attributes:
        times_s: Middle of each snippet, seconds, increasing, (T,).
        cas: Label to raw class activations, (T,) each.
        signal: Label to what is thresholded into segments, (T,) each.
        attention: Class-agnostic weights in [0, 1], (T,); None where a method has none.
    """

    times_s: NDArray[np.float64]
    cas: Mapping[str, FloatArray]
    signal: Mapping[str, FloatArray] = field(default_factory=dict)
    attention: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """Something about the video itself.

    Attributes:
        kind: ``shot`` is a cut (no length), ``gap`` pictures that are missing, ``damage`` what could not be decoded,
            ``ambiguous`` time that counts neither for nor against a detection.
        segment: Where.
        text: For people.
    """

    kind: Kind
    segment: Segment
    text: str = ""


@dataclass(frozen=True)
class Timeline:
    """One video, ready to be drawn.

    Attributes:
        video: Its name.
        duration_s: Length in seconds; where nothing tells, the end of the last thing on it.
        detections: By falling score.
        truth: Instances by start; None where there is no truth for the video, which is not the same as none in it.
        curves: Network name to its curves; one entry, ``fused``, where streams were fused.
        marks: By start.
        source: The video file, if it is known and there.
        reason: Why there are no detections, where something tells.
    """

    video: str
    duration_s: float
    detections: tuple[Detection, ...] = ()
    truth: tuple[Instance, ...] | None = None
    curves: Mapping[str, Curves] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()
    source: Path | None = None
    reason: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that occur in detections or truth: those with the best detection first, then the others by name."""
        best: dict[str, float] = {instance.label: -np.inf for instance in self.truth or ()}
        for detection in self.detections:
            best[detection.label] = max(detection.score, best.get(detection.label, -np.inf))
        return tuple(sorted(best, key=lambda label: (-best[label], label)))

    def _repr_html_(self) -> str:
        """Return the picture that a notebook shows."""
        from tal import display

        return display.timeline(self)
