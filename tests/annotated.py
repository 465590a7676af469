"""Small annotations, ground truth and detections for tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tal.annotations import Instance, Truth, VideoTruth
from tal.evaluation import Evaluation, evaluate
from tal.results import Results
from tal.settings import EvaluateSettings
from tal.types import Detection, Segment

PROTOCOLS = ("activitynet", "thumos14")
A, B, FAR = (0, 10), (20, 30), (50, 60)
Span = tuple[float, float]
Scored = tuple[float, float, float]


def write(path: Path, content: object) -> Path:
    """Write text as it is, anything else as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def database(**videos: object) -> dict[str, object]:
    return {"database": videos}


def entry(*annotations: tuple[str, object, object], **more: object) -> dict[str, object]:
    """A video of ActivityNet-style JSON, from (label, start, end)."""
    return {"annotations": [{"label": label, "segment": [s, e]} for label, s, e in annotations], **more}


def truth(spans: Sequence[Span], ambiguous: Sequence[Span] = (), label: str = "x", subset: str = "test") -> VideoTruth:
    instances = tuple(Instance(label, Segment(*span)) for span in spans)
    return VideoTruth(None, subset, instances, tuple(Segment(*span) for span in ambiguous))


def detections(spans: Sequence[Scored], label: str = "x") -> tuple[Detection, ...]:
    return tuple(Detection(label, Segment(start, end), score) for start, end, score in spans)


def chosen(protocol: str, tiou: float | tuple[float, ...] = 0.5, subset: str = "") -> EvaluateSettings:
    return EvaluateSettings.model_validate({"protocol": protocol, "tiou": tiou, "subset": subset})


def judged(tiou: Any = "0.1:0.7:0.1", **options: Any) -> Evaluation:
    """Class x found, class y half found; x overlaps by 0.6."""
    known = Truth({"v": truth([A]), "w": truth([A, B], label="y")})
    found = Results({"v": detections([(0, 6, 0.9)]), "w": detections([(*A, 0.8)], "y")})
    return evaluate(found, known, EvaluateSettings.model_validate({"tiou": tiou, **options}))
