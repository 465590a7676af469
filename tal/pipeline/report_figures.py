"""What a report says of all videos together: figures from truth, or from what a run says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tal.annotations import Truth
from tal.diagnosis import DiagnoseSettings
from tal.errors import AnnotationError
from tal.evaluation import Evaluation
from tal.pipeline.context import Context
from tal.pipeline.diagnosing import diagnose
from tal.pipeline.evaluating import evaluate
from tal.results import Results
from tal.settings import Settings

EVALUATION = "evaluation.json"


def overview_of(results: Results, truth: Truth | None, run: Path | None, ctx: Context) -> dict[str, Any]:
    """Return what there is to say of all videos together, JSON-ready.

    Args:
        results: Detections, all of them.
        truth: Ground truth; without it, the evaluation in the run folder is shown, if there is one.
        run: Run folder: for its evaluation, and its training if it has metrics.
        ctx: Its `evaluate` section counts.

    Raises:
        AnnotationError: If the run's evaluation cannot be read.
        ConfigError: If a subset must be named.
    """
    from tal.report.dataset import overview

    if truth is None:
        return overview(results, evaluation=_evaluation(run), run=run)
    chosen = _same_subset(ctx.settings, _evaluation(run))
    evaluation = evaluate(results, truth, chosen, progress=ctx.progress)
    diagnosis = diagnose(results, truth, chosen, DiagnoseSettings(buckets="quantiles"), progress=ctx.progress)
    return overview(results, truth, evaluation=evaluation, diagnosis=diagnosis, run=run)


def _same_subset(settings: Settings, before: Evaluation | None) -> Settings:
    """Return settings that compare the subset which was compared before, unless they name one."""
    if settings.evaluate.subset or before is None:
        return settings
    return settings.model_copy(update={"evaluate": settings.evaluate.model_copy(update={"subset": before.subset})})


def _evaluation(run: Path | None) -> Evaluation | None:
    """Return what ``tal run`` found when it compared its detections with the truth."""
    path = run / EVALUATION if run is not None else None
    if path is None or not path.is_file():
        return None
    try:
        return Evaluation.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AnnotationError(f"{path}: not an evaluation that tal wrote; remove it, or evaluate again") from error
