"""Timelines with known contents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tal.annotations import Instance
from tal.timelines import Curves, Mark, Timeline
from tal.types import Detection, Segment

Scored = tuple[str, float, float, float]


def timeline(
    found: Sequence[Scored] = (),
    truth: Sequence[tuple[str, float, float]] | None = None,
    duration_s: float = 100.0,
    networks: Sequence[str] = (),
    marks: Sequence[Mark] = (),
    video: str = "v",
) -> Timeline:
    """Return a timeline; each network's CAS of ``x`` is 1 from 40 s to 60 s and 0 elsewhere, a snippet a second."""
    times_s = np.arange(duration_s) + 0.5
    cas = {"x": ((times_s > 40) & (times_s < 60)).astype(np.float32)}
    curves = {name: Curves(times_s, cas, {}, cas["x"] / 2) for name in networks}
    detections = tuple(Detection(label, Segment(start, end), score) for label, start, end, score in found)
    real = None if truth is None else tuple(Instance(label, Segment(start, end)) for label, start, end in truth)
    return Timeline(video, duration_s, detections, real, curves, tuple(marks))
