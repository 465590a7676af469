"""What lies behind an evaluation's averages: precision over recall, and how much of each video was found.

The matching is the evaluation's own: the same detections of the same videos, ranked and matched by its protocol.

Axes: N thresholds, K classes, V videos, D detections (by class, best score first), I instances, R bins of recall.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tal.annotations import Truth
from tal.evaluation import videosets
from tal.evaluation.arrays import Bools, Labelled, ranked, to_arrays
from tal.evaluation.evaluation import Evaluation
from tal.evaluation.matching import match
from tal.evaluation.overlaps import Floats, Ints, overlapping
from tal.results import Results
from tal.settings.protocols import PROTOCOLS, Protocol

__all__ = ["Matched", "rematch"]


@dataclass(frozen=True)
class Matched:
    """Which detections are right.

    Attributes:
        videos: Names, those of the truth first, (V,).
        classes: Names, (K,).
        found: The detections that the protocol ranks, (D,).
        instances: The true instances, (I,).
        forgiven: Which detections are no false positives if they match nothing, (D,).
        right: True positives, (N, D).
        protocol: How they were told.
    """

    videos: tuple[str, ...]
    classes: tuple[str, ...]
    found: Labelled
    instances: Labelled
    forgiven: Bools
    right: Bools
    protocol: Protocol

    @property
    def n_instances(self) -> Ints:
        """Instances of each class, (K,)."""
        return np.bincount(self.instances.label, minlength=len(self.classes))

    @property
    def n_in_video(self) -> Ints:
        """Instances in each video, (V,)."""
        return np.bincount(self.instances.video, minlength=len(self.videos))

    @property
    def n_found(self) -> Ints:
        """Instances of each video that a detection took, (N, V)."""
        counts = [np.bincount(self.found.video[row], minlength=len(self.videos)) for row in self.right]
        return np.stack(counts)

    def curves(self, n_bins: int = 100) -> Floats:
        """Return precision over recall, (N, K, R): the mean precision in each of equally wide bins of recall.

        The mean of a curve is the average precision, whatever the number of bins; beyond the highest recall that was
        reached precision is 0, as it is in average precision.
        """
        edges = np.searchsorted(self.found.label, np.arange(len(self.classes) + 1))
        curves = np.empty((len(self.right), len(self.classes), n_bins))
        for k, n in enumerate(self.n_instances):
            rows = slice(edges[k], edges[k + 1])
            for row, right in enumerate(self.right[:, rows]):
                curves[row, k] = _in_bins(self._precision(right, self.forgiven[rows]), int(n), n_bins)
        return curves

    def _precision(self, right: Bools, forgiven: Bools) -> Floats:
        """Return the precision at each true positive of one class and threshold."""
        counted = (right | ~forgiven).cumsum()[right]
        precision: Floats = np.arange(1, len(counted) + 1) / np.maximum(counted, 1)
        return np.maximum.accumulate(precision[::-1])[::-1] if self.protocol.interpolated else precision


def _in_bins(precision: Floats, n_instances: int, n_bins: int) -> Floats:
    """Average a curve of steps, one per true positive, in bins of recall, (R,)."""
    recall = np.arange(len(precision) + 1) / n_instances
    area = np.concatenate(([0.0], np.cumsum(precision))) / n_instances
    return np.diff(np.interp(np.linspace(0.0, 1.0, n_bins + 1), recall, area)) * n_bins


def rematch(results: Results, truth: Truth, evaluation: Evaluation) -> Matched:
    """Match what an evaluation matched, and keep who matched.

    Args:
        results: The evaluated detections.
        truth: The ground truth they were compared with.
        evaluation: What came out; its protocol, subset, set of videos and thresholds count.

    Raises:
        ConfigError: If the truth has no such subset.
        ValueError: If the evaluation is of another truth.
    """
    blocked = videosets.named(evaluation.videos).blocked if evaluation.videos else frozenset()
    videos = {name: v for name, v in truth.select(evaluation.subset).videos.items() if name not in blocked}
    left_out = (truth.videos.keys() - videos.keys()) | blocked
    arrays = to_arrays({n: listed for n, listed in results.by_video.items() if n not in left_out}, videos)
    if arrays.classes != evaluation.classes:
        raise ValueError("the evaluation is about another ground truth")
    protocol, thresholds = PROTOCOLS[evaluation.protocol], np.array(evaluation.tiou)
    found, real, forgiven = ranked(arrays, protocol)
    pairs = overlapping(found.spans(len(arrays.classes)), real.spans(len(arrays.classes)), thresholds.min())
    right = match(pairs, thresholds, len(found.video), len(real.video), protocol) >= 0
    return Matched(arrays.videos, arrays.classes, found, real, forgiven, right, protocol)
