"""Hard negatives of CMCS: which snippets of a video stand still (section 3.1; details after the authors' code).

Their code works on frames at 25 fps and reads the features where a snippet begins; here motion comes per snippet, and
lengths in seconds become whole snippets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tal.methods._base import LabelledVideo
from tal.types import FloatArray

_LEAST_MOTION = 1e-7  # px per frame, before the logarithm; the authors' value
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Rule:
    """How motionless snippets are chosen: see ``Config`` of `tal.methods.cmcs`."""

    ratio: float = 0.25
    window_s: float = 2.0
    least_share: float = 0.05
    most_share: float = 0.3


def motionless(video: LabelledVideo, rule: Rule, use_motion: bool = True) -> NDArray[np.int64]:
    """Return the snippets of a video's pseudo video, increasing; none where they are too few or too many.

    Args:
        video: Its motion, or else its `motion_proxy`, is looked at.
        rule: How to choose.
        use_motion: False looks at the proxy in any case.
    """
    motion = video.motion if use_motion and video.motion is not None else motion_proxy(video.features)
    still = steady(slow(motion, rule.ratio), rule.window_s * video.snippets_per_s)
    share = still.mean() if len(still) else 0.0
    return np.flatnonzero(still) if rule.least_share <= share <= rule.most_share else np.empty(0, np.int64)


def motion_proxy(features: FloatArray) -> FloatArray:
    """Stand in for motion where a shard has none: how far the features (T, D) move from snippet to snippet, (T,).

    No flow is involved: it is the mean distance to the snippets before and after, of whatever streams a network sees.
    """
    steps = np.linalg.norm(np.diff(features, axis=0), axis=1)
    if not len(steps):
        return np.zeros(len(features), np.float32)
    proxy: FloatArray = (np.append(steps[:1], steps) + np.append(steps, steps[-1:])) / 2
    return proxy


def slow(motion: FloatArray, ratio: float) -> Mask:
    """Return which snippets lie strictly below the quantile `ratio` of the video's log motion, (T,)."""
    intensity = np.log(motion.astype(np.float64) + _LEAST_MOTION)
    mask: Mask = intensity < np.quantile(intensity, ratio) if len(motion) else np.zeros(0, bool)
    return mask


def steady(mask: Mask, window: float) -> Mask:
    """Smooth a mask over time with a median filter and drop its short runs.

    Args:
        mask: (T,).
        window: Length of both in snippets: the filter takes the largest odd number in it (the authors' 49 frames of
            2 s), outside the video counts as False; runs shorter than the nearest whole number are dropped.
    """
    half = int((window - 1) / 2)
    if half > 0:
        counts = np.concatenate(([0], np.cumsum(np.pad(mask, half))))
        mask = counts[2 * half + 1 :] - counts[: -2 * half - 1] > half
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    kept = np.zeros_like(mask)
    for first, stop in edges.reshape(-1, 2).tolist():
        kept[first:stop] = stop - first >= round(window)
    return kept
