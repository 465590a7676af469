"""Detections beside true instances, in columns: which took which, and what each overlaps most.

Matching and ranking are those of the ActivityNet protocol. Detections of labels that are not evaluated are left out.

Axes: D detections, best score first over all classes; I instances; K classes; N thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tal.annotations import VideoTruth
from tal.evaluation import matching
from tal.evaluation.overlaps import Pairs
from tal.evaluation.protocols import PROTOCOLS, tiou_matrix
from tal.types import Detection

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

PROTOCOL = "activitynet"


@dataclass(frozen=True)
class Instances:
    """True instances in columns.

    Attributes:
        labels: Index of the class, (I,).
        videos: Index of the video, (I,).
        bounds_s: Start and end, (I, 2).
        durations_s: Length of the instance's video, NaN where it is not known, (I,).
    """

    labels: Ints
    videos: Ints
    bounds_s: Floats
    durations_s: Floats

    @property
    def lengths_s(self) -> Floats:
        """Length of each instance, (I,)."""
        return np.maximum(self.bounds_s[:, 1] - self.bounds_s[:, 0], 0.0)

    @property
    def n_alike(self) -> Ints:
        """Instances of the same class in the same video, the instance itself among them, (I,)."""
        pairs = np.stack([self.videos, self.labels], axis=1)
        _, where, counts = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
        return np.asarray(counts[where.reshape(-1)], np.int64)


@dataclass(frozen=True)
class Matching:
    """What became of detections and instances.

    Attributes:
        instances: All true instances of the evaluated classes.
        n_instances: Instances per class, at least 1, (K,).
        ranked: For each of K classes its detections, best score first, (D_k,) indices into D.
        taken: Instance that a detection took, -1 for false positives, (N, D).
        best_tiou: Largest overlap with an instance of any class, (D,).
        best_is_own: Whether an instance that is overlapped so much has the detection's class, (D,).
    """

    instances: Instances
    n_instances: Ints
    ranked: tuple[Ints, ...]
    taken: Ints
    best_tiou: Floats
    best_is_own: Bools

    @property
    def n_mean(self) -> float:
        """Mean number of instances per class, N in the study's normalised precision."""
        return float(self.n_instances.mean())


def match(
    detections: Mapping[str, Sequence[Detection]],
    videos: Mapping[str, VideoTruth],
    classes: Sequence[str],
    tiou: Sequence[float],
) -> Matching:
    """Match detections with the instances of K classes at N thresholds.

    Args:
        detections: By video; those in videos that the truth does not know match nothing.
        videos: The evaluated videos.
        classes: Labels with at least one instance.
        tiou: Thresholds in (0, 1].
    """
    index = {label: k for k, label in enumerate(classes)}
    instances = _instances(videos, index)
    labels, where, bounds_s = _ranked(detections, videos, index)
    found = Matching(
        instances,
        np.bincount(instances.labels, minlength=len(classes)),
        tuple(_groups(labels, len(classes))),
        np.full((len(tiou), len(labels)), -1, np.int64),
        np.zeros(len(labels)),
        np.zeros(len(labels), dtype=bool),
    )
    videos_of = zip(_groups(where, len(videos)), _groups(instances.videos, len(videos)), strict=True)
    parts = [_compare(rows, columns, labels, bounds_s, found) for rows, columns in videos_of]
    pairs = Pairs(*(np.concatenate(one) for one in zip(*parts, strict=True)))
    found.taken[:] = matching.match(pairs, np.array(tiou), len(labels), len(instances.labels), PROTOCOLS[PROTOCOL])
    return found


def _instances(videos: Mapping[str, VideoTruth], index: Mapping[str, int]) -> Instances:
    rows = [
        (index[i.label], v, i.segment.start_s, i.segment.end_s, video.duration_s or np.nan)  # 0 s is not known either
        for v, video in enumerate(videos.values())
        for i in video.instances
        if i.label in index
    ]
    table = np.array(rows, np.float64).reshape(-1, 5)
    whole = table[:, :2].astype(np.int64)
    return Instances(whole[:, 0], whole[:, 1], table[:, 2:4], table[:, 4])


def _ranked(
    detections: Mapping[str, Sequence[Detection]], videos: Mapping[str, VideoTruth], index: Mapping[str, int]
) -> tuple[Ints, Ints, Floats]:
    """Return labels (D,), videos (D,) and bounds (D, 2), best score first; of equal scores the later in the results."""
    number = {name: v for v, name in enumerate(videos)}
    rows = [
        (index[d.label], number.get(name, -1), d.segment.start_s, d.segment.end_s, d.score)
        for name in reversed(list(detections))
        for d in reversed(detections[name])
        if d.label in index
    ]
    table = np.array(rows, np.float64).reshape(-1, 5)
    table = table[np.argsort(-table[:, 4], kind="stable")]
    whole = table[:, :2].astype(np.int64)
    return whole[:, 0], whole[:, 1], table[:, 2:4]


def _groups(keys: Ints, n: int) -> list[Ints]:
    """Return for each key from 0 to n - 1 where it stands, in order; other keys stand nowhere."""
    order = np.argsort(keys, kind="stable")
    edges = np.searchsorted(keys[order], np.arange(n + 1))
    return [order[a:b] for a, b in pairwise(edges)]


def _compare(rows: Ints, columns: Ints, labels: Ints, bounds_s: Floats, found: Matching) -> tuple[Ints, Ints, Floats]:
    """Fill in what one video's detections `rows` overlap most of its instances `columns`.

    Returns:
        Detections and instances of the same class that overlap, and by how much, (P,) each.
    """
    overlap = tiou_matrix(bounds_s[rows], found.instances.bounds_s[columns])
    same = labels[rows][:, None] == found.instances.labels[columns][None, :]
    if overlap.size:
        found.best_tiou[rows] = overlap.max(axis=1)
        found.best_is_own[rows] = np.where(same, overlap, -1.0).max(axis=1) >= found.best_tiou[rows]
    a, b = np.nonzero(same & (overlap > 0))
    return rows[a], columns[b], overlap[a, b]
