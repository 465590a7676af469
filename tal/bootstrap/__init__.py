"""How sure a difference of mAP is: the paired bootstrap over videos (Efron, 1979).

A resample draws as many videos as there are, with replacement; video v counts w_v times, as if the data set held w_v
copies of it. Detections are matched with instances inside a video, so no resample changes a match: everything is
matched once, and a resample is a weighting. With the detections of one class ranked by score, over all videos,

    h_i = sum of w over the true positives up to rank i      c_i = sum of w over what is not ignored up to rank i
    n = sum of w_v x (instances of the class in v)            f_i = c_i - h_i, the false positives

and the copies of one detection side by side, the average precision of the resample is

    interpolated:      AP = 1/n sum_i w_i max_{j >= i} h_j / c_j
    not interpolated:  AP = 1/n sum_i sum_{k=1..w_i} (h_i - w_i + k) / (c_i - w_i + k)
                          = 1/n sum_i (w_i - f_i (H(c_i) - H(c_i - w_i))),   H(m) = 1 + 1/2 + ... + 1/m

over the true positives i; ranks between them need only be counted. mAP is the mean over the classes that have an
instance in the resample. That is what evaluation says of a data set with renamed copies of the videos, but where one
video has detections of equal score: there it ranks the copies of a video, and this the copies of a detection, together.

Axes: N thresholds, D detections of a class in ranked order, V videos, R resamples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tal.bootstrap.rankings import Counts, Floats, Matched, Ranking

__all__ = ["Interval", "Matched", "Ranking", "averages", "centred", "interval", "resamples"]

AT_ONCE = 128  # resamples: weights of 200,000 detections of one class take 100 MB
_NOISE = 1e-12  # differences below this are rounding


def resamples(n_instances: Counts, n_resamples: int, seed: int) -> Iterator[Counts]:
    """Yield how often each video counts in each resample, (V, at most `AT_ONCE`), always the same for equal arguments.

    Args:
        n_instances: True instances of each video, of any class, (V,); a resample without one is drawn again.
        n_resamples: How many in all.
        seed: Of the draws.
    """
    n_videos = len(n_instances)
    if not n_instances.any():
        raise ValueError("no video has an instance")
    rng = np.random.default_rng(seed)
    for start in range(0, n_resamples, AT_ONCE):
        wanted = min(AT_ONCE, n_resamples - start)
        drawn = np.zeros((wanted, n_videos), np.int32)
        while len(empty := np.flatnonzero(drawn @ n_instances == 0)):
            chosen = rng.integers(n_videos, size=(len(empty), n_videos)) + n_videos * np.arange(len(empty))[:, None]
            counts = np.bincount(chosen.ravel(), minlength=len(empty) * n_videos)
            drawn[empty] = counts.reshape(len(empty), n_videos)
        yield np.ascontiguousarray(drawn.T)


def averages(members: Sequence[Matched], n_instances: Counts, n_resamples: int, seed: int) -> Floats:
    """Return the average mAP of each resample, over thresholds and over the members of a group, such as seeds, (R,)."""
    return np.concatenate(
        [
            np.mean([one.mean_average_precision(weights).mean(axis=0) for one in members], axis=0)
            for weights in resamples(n_instances, n_resamples, seed)
        ]
    )


def centred(value: float, resampled: Floats) -> Floats:
    """Return a single mAP's resamples without their bias, in [0, 1], (R,).

    Copies of a video agree with each other, which lifts a resample's mAP by 1 to 2 points (made-up detections of 20
    classes, 60 and 200 videos) whatever is detected. In a difference it cancels, in a single mAP it does not.
    """
    shifted: Floats = np.clip(resampled - (resampled.mean() - value), 0.0, 1.0)
    return shifted


@dataclass(frozen=True)
class Interval:
    """What the bootstrap says about a value.

    Attributes:
        value: On the data set itself.
        low: Lower end of the percentile interval.
        high: Upper end.
        other_sign: Share of the resamples in which the sign is not that of `value`.
    """

    value: float
    low: float
    high: float
    other_sign: float


def interval(value: float, resampled: Floats, confidence: float = 0.95) -> Interval:
    """Return the percentile interval of a value that was computed on each resample, (R,)."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail]).tolist()
    other = float(np.mean(_sign(resampled) != _sign(np.array(value))))
    return Interval(value, low, high, other)


def _sign(values: Floats) -> Floats:
    return np.sign(np.where(np.abs(values) < _NOISE, 0.0, values))
