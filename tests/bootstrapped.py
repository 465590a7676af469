"""Detections matched once, to be counted again in many resamples."""

from __future__ import annotations

from tal.annotations import Truth
from tal.bootstrap.matching import matched
from tal.bootstrap.rankings import Matched
from tal.results import Results

TIOU = (0.1, 0.3, 0.5, 0.75)


def once(found: Results, known: Truth, protocol: str = "activitynet", tiou: tuple[float, ...] = TIOU) -> Matched:
    return matched(found.by_video, known.videos, protocol, tiou)
