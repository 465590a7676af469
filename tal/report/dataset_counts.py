"""What can be said without comparing anything: how many detections and instances there are, how long, how sure.

Axes: D detections.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np

from tal.annotations import Truth
from tal.evaluation import Evaluation
from tal.evaluation.overlaps import Floats, Ints
from tal.report.dataset_numbers import bin_edges, binned, rounded, significant
from tal.report.dataset_scores import Rematched
from tal.types import Detection


@dataclass(frozen=True)
class Columns:
    """Detections in columns.

    Attributes:
        labels: All labels, sorted.
        video: Index of the video, (D,).
        label: Index of the label, (D,).
        score: Scores, (D,).
        length_s: Length in seconds, (D,).
    """

    labels: tuple[str, ...]
    video: Ints
    label: Ints
    score: Floats
    length_s: Floats


def columns(by_video: Mapping[str, Sequence[Detection]]) -> Columns:
    """Lay out detections, in the order they have."""
    found = list(chain.from_iterable(by_video.values()))
    labels = tuple(sorted({d.label for d in found}))
    index = {label: k for k, label in enumerate(labels)}
    return Columns(
        labels,
        np.repeat(np.arange(len(by_video)), [len(listed) for listed in by_video.values()]),
        np.fromiter((index[d.label] for d in found), np.int64, len(found)),
        np.fromiter(map(attrgetter("score"), found), np.float64, len(found)),
        np.fromiter((d.segment.duration_s for d in found), np.float64, len(found)),
    )


def balance(found: Columns, known: Truth | None, evaluation: Evaluation | None) -> list[dict[str, Any]]:
    """Return each class: how often it occurs, how often it is detected and, if evaluated, how well.

    Classes are those of the truth and all detected labels, sorted by name. AP, recall and their means are in [0, 1].
    """
    truths, detected, scored = _occurrences(known), _detected(found), _scored(evaluation)
    labels = sorted({*truths, *detected, *scored})
    absent = {"n_instances": 0, "n_videos": 0} if known else {"n_instances": None, "n_videos": None}
    none = {"n_detections": 0, "n_detected_in": 0, "best": None, "median_length_s": None}
    return [
        {"label": label, **truths.get(label, absent), **detected.get(label, none), **scored.get(label, {})}
        for label in labels
    ]


def _occurrences(known: Truth | None) -> dict[str, dict[str, int]]:
    """Count instances, and videos with one, by label."""
    videos = known.videos.values() if known else ()
    instances = Counter(i.label for video in videos for i in video.instances)
    holding = Counter(label for video in videos for label in {i.label for i in video.instances})
    return {label: {"n_instances": n, "n_videos": holding[label]} for label, n in instances.items()}


def _detected(found: Columns) -> dict[str, dict[str, Any]]:
    """Describe the detections of each label."""
    order = np.argsort(found.label, kind="stable")
    groups = np.split(order, np.searchsorted(found.label[order], np.arange(1, len(found.labels))))
    return {
        label: {
            "n_detections": len(rows),
            "n_detected_in": len(np.unique(found.video[rows])),
            "best": significant(float(found.score[rows].max())),
            "median_length_s": significant(float(np.median(found.length_s[rows]))),
        }
        for label, rows in zip(found.labels, groups, strict=False)
    }


def _scored(evaluation: Evaluation | None) -> dict[str, dict[str, Any]]:
    """Return the figures of each evaluated class."""
    if evaluation is None:
        return {}
    return {
        label: {
            "ap": rounded(ap),
            "recall": rounded(recall),
            "average": round(float(ap.mean()), 4),
            "video_ap": round(float(video_ap), 4),
        }
        for label, ap, recall, video_ap in zip(
            evaluation.classes, evaluation.ap, evaluation.recall, evaluation.video_ap, strict=True
        )
    }


def scores(found: Columns, matched: Rematched | None) -> dict[str, Any] | None:
    """Count detections by score; with a comparison, the right ones too. None without detections.

    Right ones are true positives at the chosen tIoU; what a protocol removes is among all of them, but not right.
    """
    if not len(found.score):
        return None
    edges, log = bin_edges(found.score)
    right = None if matched is None else binned(matched.right_scores, edges)
    return {"edges": _listed(edges), "log": log, "all": binned(found.score, edges), "right": right}


def lengths(found: Columns, known: Truth | None) -> dict[str, Any] | None:
    """Count detections, and instances, by length in seconds; None without both."""
    real = [i.segment.duration_s for video in (known.videos.values() if known else ()) for i in video.instances]
    both = np.concatenate([found.length_s, np.array(real)])
    if not len(both):
        return None
    edges, log = bin_edges(both)
    instances = binned(np.array(real), edges) if known else None
    return {"edges": _listed(edges), "log": log, "detections": binned(found.length_s, edges), "instances": instances}


def _listed(values: Floats) -> list[float]:
    return [significant(v) for v in values.tolist()]
