"""What is wrong with false positives, and what mAP would be without them.

A detection that took no instance is told by the instance of any class that it overlaps most, with tIoU o, at threshold
alpha (the study's taxonomy; of equal overlaps an instance of the detection's own class decides):

    double detection   o >= alpha, own class: the instance is already taken
    wrong label        o >= alpha, another class
    localization       0.1 <= o < alpha, own class
    confusion          0.1 <= o < alpha, another class
    background         o < 0.1

Looked at are, of a class with G instances, the best 10 G detections.

Axes: N thresholds, D detections, K classes, S splits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tal.diagnosis.matching import Bools, Floats, Ints, Matching
from tal.diagnosis.precision import average_precision_n

KINDS = ("true positive", "double detection", "wrong label", "localization", "confusion", "background")
TRUE_POSITIVE, DOUBLE, WRONG_LABEL, LOCALIZATION, CONFUSION, BACKGROUND = range(len(KINDS))
ALL_ERRORS, MISSED = "all false positives", "missed instances"
FIXES = (*KINDS[1:], ALL_ERRORS, MISSED)


@dataclass(frozen=True)
class Gains:
    """What mAP would be without the errors of one kind.

    Attributes:
        base: mAP and mAP_N of the detections that are looked at, (2, N).
        fixed: Each of `FIXES` to mAP and mAP_N once it is done, (2, N).
    """

    base: Floats
    fixed: Mapping[str, Floats]

    def gain(self, fix: str) -> tuple[float, float]:
        """Return the gains in mAP and mAP_N, means over thresholds, in [-1, 1]."""
        plain, normalised = (self.fixed[fix] - self.base).mean(axis=1)
        return float(plain), float(normalised)


def kinds(matching: Matching, tiou: Sequence[float], background_tiou: float) -> Ints:
    """Return for each detection its index in `KINDS`, (N, D)."""
    own, alpha = matching.best_is_own, np.array(tiou)[:, None]
    far = np.where(own, LOCALIZATION, CONFUSION)
    far = np.where(matching.best_tiou >= background_tiou, far, BACKGROUND)
    wrong = np.where(matching.best_tiou >= alpha, np.where(own, DOUBLE, WRONG_LABEL), far)
    return np.where(matching.taken >= 0, TRUE_POSITIVE, wrong)


def profile(found: Ints, matching: Matching, n_splits: int) -> Ints:
    """Count the kinds among the best G detections of every class, the next G, and so on.

    Args:
        found: Kinds, (N, D).
        matching: Gives the ranks of the detections and the G of each class.
        n_splits: S.

    Returns:
        Counts, (N, S, 6); a detection of lower rank is in no split.
    """
    split = np.empty(found.shape[1], np.int64)
    for rows, n in zip(matching.ranked, matching.n_instances, strict=True):
        split[rows] = np.arange(len(rows)) // n
    inside = split < n_splits
    cells = split[inside] * len(KINDS) + found[:, inside]  # (N, D)
    counts = [np.bincount(row, minlength=n_splits * len(KINDS)) for row in cells]
    return np.stack(counts).reshape(len(found), n_splits, len(KINDS))


def gains(found: Ints, matching: Matching, n_splits: int) -> Gains:
    """Evaluate anew with the errors of each kind removed.

    Errors that are removed leave the ranking. Missed instances, those that none of the detections that are looked at
    took, leave recall (as in TIDE, Bolya et al., ECCV 2020): AP * G / (instances found); a class of which nothing was
    found counts as 1 without them.

    Args:
        found: Kinds, (N, D).
        matching: Gives the ranks of the detections and the G of each class.
        n_splits: Looked at are the best n_splits * G detections of each class.
    """
    per_class = []
    for rows, n in zip(matching.ranked, matching.n_instances, strict=True):
        per_class.append(_fix_class(found[:, rows[: n * n_splits]], int(n), matching.n_mean))
    base, *fixed = np.mean(per_class, axis=0)
    return Gains(base, dict(zip(FIXES, fixed, strict=True)))


def _fix_class(found: Ints, n_instances: int, n_mean: float) -> Floats:
    """Return AP and AP_N of one class as it is and after each of `FIXES`, (1 + 7, 2, N)."""
    everything = np.ones(found.shape, dtype=bool)
    left = [everything, *(found != kind for kind in range(DOUBLE, len(KINDS))), found == TRUE_POSITIVE]
    scores = [_both(found, counted, n_instances, n_mean) for counted in left]
    n_found = (found == TRUE_POSITIVE).sum(axis=1)
    nothing_missed = np.where(n_found > 0, scores[0] * n_instances / np.maximum(n_found, 1), 1.0)
    return np.stack([*scores, nothing_missed])


def _both(found: Ints, counted: Bools, n_instances: int, n_mean: float) -> Floats:
    matched = found == TRUE_POSITIVE
    return np.stack([average_precision_n(matched, counted, n_instances, n) for n in (n_instances, n_mean)])
