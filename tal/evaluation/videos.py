"""What detections say about whole videos and about single moments: classification mAP and frame accuracy.

Neither depends on the protocol's matching; both are computed in seconds, from all detections of the evaluated videos.
"""

from __future__ import annotations

import numpy as np

from tal.evaluation.arrays import Arrays, Labelled
from tal.evaluation.overlaps import Floats, Ints
from tal.evaluation.protocols import average_precision


def video_ap(arrays: Arrays) -> Floats:
    """Return the average precision of ranking videos by each class, (K,).

    A video's score for a class is that of its best detection of the class; a video without one is not retrieved. AP is
    not interpolated. Of equal scores the videos without the class go first, so that ties never help.
    """
    shape = (len(arrays.videos), len(arrays.classes))
    found, real = arrays.detections, arrays.instances
    found = found.take(found.label >= 0)
    best, holds = np.full(shape, -np.inf), np.zeros(shape, dtype=bool)
    np.maximum.at(best, (found.video, found.label), found.score)
    holds[real.video, real.label] = True
    order = np.lexsort((holds, -best), axis=0)
    retrieved = np.take_along_axis(holds & (best > -np.inf), order, axis=0).T  # (K, V)
    everyone = np.ones_like(retrieved[:1])
    columns = zip(retrieved, holds.sum(axis=0), strict=True)
    return np.array([average_precision(hits[None], everyone, n, False)[0] for hits, n in columns])


def frame_accuracy(arrays: Arrays) -> float | None:
    """Return the part of the action time whose class is found, in [0, 1]; None if the truth has no action time.

    At each moment that lies in an instance, the class is that of the best scored detection there, of equal scores the
    earlier in the results; it is right if an instance of that class is there. A moment without a detection is wrong,
    time without an instance is left out. Time is continuous: no frame rate is involved. ECM (table 6) measures the same
    on activations, before they are cut into detections.
    """
    real = arrays.instances
    acts = np.zeros(len(arrays.videos), dtype=bool)
    acts[real.video] = True
    found = arrays.detections.take(acts[arrays.detections.video])
    found = found.take(np.argsort(-found.score, kind="stable"))
    lengths, (found_low, found_high), (real_low, real_high) = _cells(found, real)
    predicted = np.append(found.label, -1)[_first_cover(found_low, found_high, len(lengths))]
    counts = real_high - real_low
    instance = np.repeat(np.arange(len(counts)), counts)
    cell = np.repeat(real_low - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    covered, right = np.zeros((2, len(lengths)), dtype=bool)
    covered[cell] = True
    right[cell[predicted[cell] == real.label[instance]]] = True
    total = float(lengths[covered].sum())
    return float(lengths[right].sum()) / total if total > 0 else None


def _cells(*sets: Labelled) -> tuple[Floats, tuple[Ints, Ints], tuple[Ints, Ints]]:
    """Cut time at every start and end; return the cells' lengths in seconds and which cells each segment covers."""
    video = np.concatenate([np.repeat(one.video, 2) for one in sets])
    time = np.concatenate([one.bounds.ravel() for one in sets])
    order = np.lexsort((time, video.astype(np.min_scalar_type(video.max(initial=0)))))  # small integers sort faster
    in_same, step = np.diff(video[order]) == 0, np.diff(time[order])
    rank = np.concatenate(([0], np.cumsum(~in_same | (step > 0))))  # of each cut, in ascending order
    lengths = np.bincount(rank[:-1], np.where(in_same, step, 0.0), minlength=len(order) + 1).astype(np.float64)
    cell = np.empty(len(order), np.int64)
    cell[order] = rank
    first, second = np.split(cell, [2 * len(sets[0].video)])
    return lengths, (first[::2], first[1::2]), (second[::2], second[1::2])


def _first_cover(low: Ints, high: Ints, n_cells: int) -> Ints:
    """Return for each cell the first of the ranges [low, high) that covers it, the number of ranges where none does.

    A range is two blocks of a power of two; blocks are noted at their first cell and handed down to blocks of half the
    length: about log2(n_cells) passes whatever the ranges.
    """
    none = len(low)
    (rows,) = np.nonzero(high > low)
    level = np.frexp((high - low)[rows])[1] - 1  # floor(log2(length))
    first = np.full(n_cells, none)
    for k in range(level.max(initial=0), -1, -1):
        here = rows[level == k]
        np.minimum.at(first, low[here], here)
        np.minimum.at(first, high[here] - (1 << k), here)
        if k:
            half = 1 << (k - 1)
            handed = first.copy()
            np.minimum(handed[half:], first[:-half], out=handed[half:])
            first = handed
    return first
