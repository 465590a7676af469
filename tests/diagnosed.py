"""Small truths and detections for tests of the diagnosis, and its rules followed step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tal.annotations import Instance, Truth, VideoTruth
from tal.diagnosis import DiagnoseSettings, Diagnosis, diagnose
from tal.results import Results
from tal.settings import EvaluateSettings
from tal.types import Detection, Segment

Span = tuple[str, float, float]
Scored = tuple[str, float, float, float]


def video(*spans: Span, duration_s: float | None = None, subset: str = "test") -> VideoTruth:
    return VideoTruth(duration_s, subset, tuple(Instance(label, Segment(a, b)) for label, a, b in spans))


def found(*scored: Scored) -> tuple[Detection, ...]:
    return tuple(Detection(label, Segment(a, b), score) for label, a, b, score in scored)


def studied(
    real: Mapping[str, VideoTruth] | Sequence[Span],
    detected: Mapping[str, tuple[Detection, ...]] | Sequence[Scored],
    tiou: float | tuple[float, ...] = 0.5,
    **options: Any,
) -> Diagnosis:
    """Diagnose; sequences are those of one video `v`."""
    known = real if isinstance(real, Mapping) else {"v": video(*real)}
    results = detected if isinstance(detected, Mapping) else {"v": found(*detected)}
    settings = EvaluateSettings.model_validate({"tiou": tiou})
    return diagnose(Results(results), Truth(known), settings, DiagnoseSettings(**options))


Place = tuple[str, int]
"""A detection or an instance: its video and its index there."""


def taken_by_definition(known: Truth, results: Results, tiou: float) -> dict[Place, Place]:
    """Return which detection takes which instance, by the ActivityNet protocol; scores are all different."""
    taken: dict[Place, Place] = {}
    ranked = [(-d.score, name, k) for name, listed in results.by_video.items() for k, d in enumerate(listed)]
    for _, name, k in sorted(ranked):
        d = results.by_video[name][k]
        real = known.videos[name].instances if name in known.videos else ()
        free = [j for j, i in enumerate(real) if i.label == d.label and (name, j) not in taken.values()]
        fits = [(d.segment.tiou(real[j].segment), j) for j in free]
        if fits and max(fits)[0] >= tiou:
            taken[name, k] = (name, max(fits)[1])
    return taken


def kinds_by_definition(known: Truth, results: Results, tiou: float) -> dict[Place, str]:
    """Return the kind of every detection."""
    taken = taken_by_definition(known, results, tiou)
    kinds = {}
    for name, listed in results.by_video.items():
        real = known.videos[name].instances if name in known.videos else ()
        for k, d in enumerate(listed):
            overlap, own = max(((d.segment.tiou(i.segment), i.label == d.label) for i in real), default=(0.0, False))
            if (name, k) in taken:
                kinds[name, k] = "true positive"
            elif overlap >= tiou:
                kinds[name, k] = "double detection" if own else "wrong label"
            elif overlap >= 0.1:
                kinds[name, k] = "localization" if own else "confusion"
            else:
                kinds[name, k] = "background"
    return kinds
