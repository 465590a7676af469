"""From detections and ground truth to average precision and recall per class, under one protocol."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tal.evaluation.arrays import Arrays, Bools, ranked
from tal.evaluation.matching import match
from tal.evaluation.overlaps import Floats, Ints, overlapping
from tal.evaluation.protocols import average_precision
from tal.settings.protocols import Protocol


@dataclass(frozen=True)
class Counted:
    """What a protocol makes of detections, over K classes and N thresholds.

    Attributes:
        ap: Average precision in [0, 1], (K, N).
        recall: Part of the instances that were matched, (K, N).
        n_ambiguous: Detections that touch ambiguous time, where the protocol makes a difference of it.
        n_empty: Instances of no length, after rounding.
    """

    ap: Floats
    recall: Floats
    n_ambiguous: int
    n_empty: int


def count(arrays: Arrays, tiou: tuple[float, ...], protocol: Protocol) -> Counted:
    """Match detections and sum up; the truth has at least one instance of each class."""
    n_classes, thresholds = len(arrays.classes), np.array(tiou)
    found, real, forgiven = ranked(arrays, protocol)
    pairs = overlapping(found.spans(n_classes), real.spans(n_classes), thresholds.min())
    matched = match(pairs, thresholds, len(found.video), len(real.video), protocol) >= 0  # (N, D)
    n_instances = np.bincount(real.label, minlength=n_classes)
    n_known = int((arrays.detections.label >= 0).sum())
    ap, hits = _per_class(matched, matched | ~forgiven, found.label, n_instances, protocol.interpolated)
    n_empty = int((real.bounds[:, 1] <= real.bounds[:, 0]).sum())
    return Counted(ap, hits / n_instances[:, None], n_known - len(found.video) + int(forgiven.sum()), n_empty)


def _per_class(
    matched: Bools, counted: Bools, labels: Ints, n_instances: Ints, interpolated: bool
) -> tuple[Floats, Ints]:
    """Return AP and the number of matched instances, (K, N) each; `labels` (D,) ascend."""
    edges = np.searchsorted(labels, np.arange(len(n_instances) + 1))
    ap, hits = [], []
    for n, first, end in zip(n_instances, edges[:-1], edges[1:], strict=True):
        ap.append(average_precision(matched[:, first:end], counted[:, first:end], n, interpolated))
        hits.append(matched[:, first:end].sum(axis=1))
    return np.stack(ap), np.stack(hits)
