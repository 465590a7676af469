"""The overview of a data set: every figure that its page shows, as JSON-ready values.

`overview` gathers scores (`dataset_scores`), counts and lengths (`dataset_counts`), videos (`dataset_videos`), a
diagnosis (`dataset_diagnosis`), training (`dataset_training`) and provenance. Sizes are bounded: curves are averaged in
bins, lists of settings are cut, and videos are columns. A part that nothing is known about is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tal.annotations import Truth
from tal.diagnosis import Diagnosis
from tal.evaluation import Evaluation, videosets
from tal.evaluation.curves import rematch
from tal.evaluation.remarks import remarks
from tal.report.dataset_counts import Columns, balance, columns, lengths, scores
from tal.report.dataset_diagnosis import diagnosed
from tal.report.dataset_scores import Rematched, chosen, curves, evaluated
from tal.report.dataset_training import environment, settings, training
from tal.report.dataset_videos import listed
from tal.results import Results

__all__ = ["overview"]

MAX_ROWS, MAX_TEXT = 400, 300
"""How many settings are shown, and how many characters of each."""


def overview(
    results: Results,
    truth: Truth | None = None,
    *,
    evaluation: Evaluation | None = None,
    diagnosis: Diagnosis | None = None,
    run: Path | None = None,
) -> dict[str, Any]:
    """Return what there is to say about a set of videos.

    Args:
        results: Detections.
        truth: Ground truth: for class balance, lengths and, with `evaluation`, curves and recall by video.
        evaluation: Of these results with this truth; without truth its tables are shown alone.
        diagnosis: Of these results with this truth.
        run: Run folder that ``tal train`` wrote: for training curves and settings.

    Raises:
        AnnotationError: If the run's metrics or environment cannot be read.
        ConfigError: If the run's settings cannot be read.
        ValueError: If the evaluation is of another truth.
    """
    left_out = {*evaluation.elsewhere, *evaluation.blocked} if evaluation else set()
    counted = columns({name: found for name, found in results.by_video.items() if name not in left_out})
    known = None if truth is None else _evaluated(truth, results, evaluation)
    matched = None
    if truth is not None and evaluation is not None:
        matched = Rematched(rematch(results, truth, evaluation), chosen(evaluation))
    return {
        "summary": _summary(results, counted, known, evaluation),
        "notes": remarks(evaluation, "detections", "truth") if evaluation else [],
        "evaluation": evaluated(evaluation) if evaluation else None,
        "classes": balance(counted, known, evaluation),
        "curves": curves(matched) if matched else None,
        "scores": scores(counted, matched),
        "lengths": lengths(counted, known),
        "diagnosis": diagnosed(diagnosis) if diagnosis else None,
        "videos": listed(results, known, evaluation, matched),
        "training": training(run) if run else None,
        "provenance": _flat({key: value for key, value in results.provenance.items() if key != "empty"}),
        "settings": _flat(settings(run)) if run else [],
        "environment": _flat(environment(run)) if run else [],
    }


def _evaluated(truth: Truth, results: Results, evaluation: Evaluation | None) -> Truth:
    """Return the part of the truth that the figures are about: what is evaluated, or else what has an entry."""
    if evaluation is None:
        return Truth({name: video for name, video in truth.videos.items() if name in results.by_video})
    blocked = videosets.named(evaluation.videos).blocked if evaluation.videos else frozenset()
    return Truth({n: video for n, video in truth.select(evaluation.subset).videos.items() if n not in blocked})


def _summary(
    results: Results, counted: Columns, known: Truth | None, evaluation: Evaluation | None
) -> dict[str, int | float | None]:
    """Count; the duration is that of the videos of the truth whose length is known, seconds."""
    instances = None if known is None else sum(len(video.instances) for video in known.videos.values())
    durations = [] if known is None else [video.duration_s or 0.0 for video in known.videos.values()]
    return {
        "n_videos": evaluation.n_videos if evaluation else len(results.by_video),
        "n_empty": sum(not found for found in results.by_video.values()),
        "n_detections": len(counted.score),
        "n_instances": evaluation.n_instances if evaluation else instances,
        "n_classes": len(evaluation.classes if evaluation else counted.labels),
        "duration_s": round(sum(durations), 3) or None,
    }


def _flat(tree: Mapping[str, Any]) -> list[list[str]]:
    """Return the leaves of a tree of settings as dotted key and text, at most so many and so long."""
    rows = [[key, text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"] for key, text in _leaves(tree, "")]
    return rows if len(rows) <= MAX_ROWS else [*rows[:MAX_ROWS], ["…", f"{len(rows) - MAX_ROWS} more"]]


def _leaves(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for i, inner in enumerate(value):
            yield from _leaves(inner, f"{key}[{i}]")
    elif isinstance(value, list):
        yield key, ", ".join(map(_text, value))
    else:
        yield key, _text(value)


def _text(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
