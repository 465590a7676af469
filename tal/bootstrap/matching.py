"""Detections of a whole set, matched with the ground truth once, under the rules of evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from tal.annotations import VideoTruth
from tal.bootstrap.rankings import Counts, Matched, Ranking
from tal.evaluation.arrays import ranked, to_arrays
from tal.evaluation.matching import match
from tal.evaluation.overlaps import overlapping
from tal.evaluation.protocols import PROTOCOLS
from tal.types import Detection


def matched(
    detections: Mapping[str, Sequence[Detection]],
    videos: Mapping[str, VideoTruth],
    protocol: str,
    tiou: Sequence[float],
) -> Matched:
    """Match detections as `tal.evaluation.evaluate` does.

    Args:
        detections: By video; those of videos that are not in `videos` are false positives, which are not resampled.
        videos: The evaluated part of the truth, with at least one instance.
        protocol: Name of the rules.
        tiou: Thresholds in (0, 1], (N,).
    """
    rules, thresholds, arrays = PROTOCOLS[protocol], np.array(tiou), to_arrays(detections, videos)
    n_classes, n_videos = len(arrays.classes), len(videos)
    found, real, forgiven = ranked(arrays, rules)
    pairs = overlapping(found.spans(n_classes), real.spans(n_classes), thresholds.min())
    hits = match(pairs, thresholds, len(found.video), len(real.video), rules) >= 0  # (N, D)
    counts, n_instances = hits | ~forgiven, np.zeros((n_classes, n_videos), np.int32)
    np.add.at(n_instances, (real.label, real.video), 1)
    edges = np.searchsorted(found.label, np.arange(n_classes + 1))
    where = np.minimum(found.video, n_videos)
    rankings = [
        Ranking(where[first:end], hits[:, first:end], counts[:, first:end], n_instances[k])
        for k, (first, end) in enumerate(pairwise(edges))
    ]
    return Matched(rankings, rules.interpolated)


def instances_of(videos: Mapping[str, VideoTruth]) -> Counts:
    """Return the number of true instances of each video, (V,)."""
    return np.array([len(video.instances) for video in videos.values()], np.int32)
