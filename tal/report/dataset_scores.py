"""Scores of an evaluation: mAP by tIoU, precision over recall by class.

Axes: N thresholds, K classes, R bins of recall.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tal.evaluation import Evaluation
from tal.evaluation.arrays import Bools
from tal.evaluation.curves import Matched
from tal.evaluation.overlaps import Floats
from tal.evaluation.tables import columns, rows

PREFERRED_TIOU = 0.5
N_BINS = 100
MAX_CURVES = 400
"""How many curves of single classes a page holds; beyond that, fewer thresholds and the most frequent classes."""


def chosen(evaluation: Evaluation) -> int:
    """Return the index of the threshold that is shown first: 0.5, or the nearest below it, or the lowest."""
    below = [n for n, t in enumerate(evaluation.tiou) if t <= PREFERRED_TIOU]
    tiou = evaluation.tiou
    return max(below, key=lambda n: tiou[n]) if below else min(range(len(tiou)), key=lambda n: tiou[n])


@dataclass(frozen=True)
class Rematched:
    """Who matched, and the threshold that single figures are about.

    Attributes:
        matched: At all thresholds.
        shown: Index of the threshold.
    """

    matched: Matched
    shown: int

    @property
    def right_scores(self) -> Floats:
        """Scores of the true positives at the shown threshold."""
        right: Bools = self.matched.right[self.shown]
        return self.matched.found.score[right]


def evaluated(evaluation: Evaluation) -> dict[str, Any]:
    """Return the figures over all classes, in [0, 1], and what they are about."""
    table = dict(zip(("mAP", "recall"), (values for _, values in rows(evaluation)), strict=False))
    return {
        "name": evaluation.name,
        "protocol": evaluation.protocol,
        "tiou": list(evaluation.tiou),
        "shown": chosen(evaluation),
        "columns": columns(evaluation),
        **{name: [round(v, 5) for v in values] for name, values in table.items()},
        "average": round(evaluation.average, 5),
        "video_map": round(evaluation.video_map, 5),
        "frame_accuracy": None if evaluation.frame_accuracy is None else round(evaluation.frame_accuracy, 5),
        "n_videos": evaluation.n_videos,
        "n_instances": evaluation.n_instances,
        "n_detections": evaluation.n_detections,
    }


def curves(found: Rematched) -> dict[str, Any]:
    """Return precision over recall in thousandths, the mean of each of `N_BINS` bins of recall.

    The mean over all bins of a curve is its average precision. ``mean`` has one curve per threshold, ``classes`` one
    per class and threshold that is kept; zeros at a curve's end are left out.
    """
    every = found.matched.curves(N_BINS)
    n_tiou, n_classes = every.shape[:2]
    kept = list(range(n_tiou)) if n_tiou * n_classes <= MAX_CURVES else [found.shown]
    frequent = np.argsort(-found.matched.n_instances, kind="stable")[:MAX_CURVES]
    return {
        "n_bins": N_BINS,
        "mean": [_thousandths(curve) for curve in every.mean(axis=1)],
        "classes": {
            str(n): {found.matched.classes[k]: _thousandths(every[n, k]) for k in sorted(frequent.tolist())}
            for n in kept
        },
    }


def _thousandths(curve: Floats) -> list[int]:
    """Return values of [0, 1] as whole thousandths, without the zeros at the end."""
    whole: list[int] = np.trim_zeros(np.round(1000 * curve).astype(np.int64), "b").tolist()
    return whole
