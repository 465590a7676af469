"""Why detections fail, in the manner of DETAD (Alwassel et al., Diagnosing Error in Temporal Action Detectors, 2018).

Three questions: what is wrong with false positives and what mAP would be without them (`false_positives`); how average
precision depends on the length, the coverage and the number of instances, and which instances are missed
(`characteristics`, `sensitivity`). Detections are matched and ranked by the ActivityNet protocol; where instances of
different classes or buckets are compared, precision is normalised (`precision`). `plots` draws the answers.

Other than in the study, instances without length stay (they can only be missed), a coverage over 1 counts as 1, equal
overlaps go to the detection's own class, and thresholds are averaged one by one.
"""

from __future__ import annotations

import numpy as np

from tal.annotations import Truth
from tal.diagnosis.characteristics import COVERAGE, LENGTH, characteristics
from tal.diagnosis.false_positives import gains, kinds, profile
from tal.diagnosis.matching import PROTOCOL, Matching, match
from tal.diagnosis.options import DiagnoseSettings
from tal.diagnosis.reports import BucketReport, CharacteristicReport, Diagnosis
from tal.diagnosis.sensitivity import by_bucket, map_n, missed
from tal.evaluation import Evaluation, evaluate, videosets
from tal.results import Results
from tal.settings import EvaluateSettings

__all__ = ["BucketReport", "CharacteristicReport", "DiagnoseSettings", "Diagnosis", "diagnose"]

_CROWDED = 0.9


def diagnose(
    results: Results, truth: Truth, settings: EvaluateSettings | None = None, options: DiagnoseSettings | None = None
) -> Diagnosis:
    """Tell why detections fail.

    Args:
        results: The detections.
        truth: The ground truth.
        settings: Thresholds, over which everything is averaged, subset and set of videos; the protocol is always
            ``activitynet``. Default: tIoU 0.5.
        options: The rest.

    Raises:
        ConfigError: If the subset or the set of videos is unknown, or the subset cannot be told from the results.
        AnnotationError: If the evaluated videos have no instance.
    """
    options, settings = options or DiagnoseSettings(), settings or EvaluateSettings(tiou=(0.5,))
    evaluation = evaluate(results, truth, settings.model_copy(update={"protocol": PROTOCOL}))
    matching = _match(results, truth, evaluation)
    found = kinds(matching, evaluation.tiou, options.background_tiou)
    lost = missed(matching, options.min_precision)
    known, notes = characteristics(matching.instances, options.buckets)
    reports = tuple(by_bucket(one, matching, lost) for one in known)
    every, _ = map_n(matching, np.ones(lost.shape[1], dtype=bool))
    return Diagnosis(
        evaluation=evaluation,
        options=options,
        n_mean=matching.n_mean,
        map_n=every,
        counts=profile(found, matching, options.n_splits),
        gains=gains(found, matching, options.n_splits),
        missed=lost.mean(axis=1),
        characteristics=reports,
        notes=(*_crowded(reports, options), *notes, *_left_out(matching, options)),
    )


def _match(results: Results, truth: Truth, evaluation: Evaluation) -> Matching:
    """Match what was evaluated."""
    blocked = videosets.named(evaluation.videos).blocked if evaluation.videos else frozenset()
    subset = truth.select(evaluation.subset).videos
    videos = {name: video for name, video in subset.items() if name not in blocked}
    apart = blocked.union(evaluation.elsewhere)
    detections = {name: found for name, found in results.by_video.items() if name not in apart}
    return match(detections, videos, evaluation.classes, evaluation.tiou)


def _crowded(reports: tuple[CharacteristicReport, ...], options: DiagnoseSettings) -> list[str]:
    """Say where the study's buckets tell little about these data."""
    notes = []
    for one in reports:
        largest = max(one.buckets, key=lambda b: b.n_instances)
        share = largest.n_instances / sum(b.n_instances for b in one.buckets)
        if share > _CROWDED and one.name in {LENGTH, COVERAGE} and options.buckets != "quantiles":
            where = f"one bucket of {one.name}, {largest.bucket.text}"
            notes.append(f"{100 * share:.3g} % of the instances are in {where}; other buckets may tell more")
    return notes


def _left_out(matching: Matching, options: DiagnoseSettings) -> list[str]:
    """Say how many detections are too far down for the false positives."""
    pairs = zip(matching.ranked, matching.n_instances, strict=True)
    n = sum(max(0, len(rows) - int(n_class) * options.n_splits) for rows, n_class in pairs)
    below = f"below the best {options.n_splits}G of their class"
    return [f"false positives leave out {n} of {len(matching.best_tiou)} detections: {below}"] if n else []
