"""How detections are compared with ground truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BeforeValidator

from tal.errors import suggest
from tal.settings.base import Section
from tal.settings.protocols import PROTOCOLS


def _range(first: float, last: float, step: float) -> tuple[float, ...]:
    return tuple(np.round(first + step * np.arange(int((last - first) / step + 1e-6) + 1), 6).tolist())


AVERAGES: Mapping[str, tuple[float, ...]] = {
    "0.1:0.5": _range(0.1, 0.5, 0.1),
    "0.1:0.7": _range(0.1, 0.7, 0.1),
    "0.3:0.7": _range(0.3, 0.7, 0.1),
    "0.1:0.9": _range(0.1, 0.9, 0.1),
    "0.5:0.95": _range(0.5, 0.95, 0.05),
}
"""Thresholds whose mean is published: the first three on THUMOS14, then ECM's, then ActivityNet's (steps of 0.05)."""
MAX_THRESHOLDS = 1000
ALL_TIOU = tuple(sorted({t for values in AVERAGES.values() for t in values}))


def tiou_range(value: Any) -> tuple[float, ...]:
    """Read ``0.1:0.7:0.1`` (both ends included), ``0.5``, ``all`` (every published threshold) or a list of thresholds.

    Raises:
        ValueError: If a threshold is outside (0, 1] or the text is no range.
    """
    if value == "all":
        return ALL_TIOU
    if isinstance(value, str) and ":" in value:
        value = _range(*_bounds(value))
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    try:
        found = tuple(float(v) for v in values)
    except (TypeError, ValueError):
        found = ()
    if not found or any(not 0 < v <= 1 for v in found):
        raise ValueError(f"tIoU thresholds lie in (0, 1], not {value!r}")
    return found


def _bounds(text: str) -> tuple[float, float, float]:
    try:
        first, last, step = (float(part) for part in text.split(":"))
    except ValueError:
        first, last, step = 1.0, 0.0, 0.0
    if not (step > 0 and 0 <= last - first < np.inf):
        raise ValueError(f"{text!r} is not a range; write FIRST:LAST:STEP, e.g. 0.1:0.7:0.1")
    if (last - first) / step >= MAX_THRESHOLDS:
        raise ValueError(f"{text!r} has more than {MAX_THRESHOLDS} thresholds; take a larger step")
    return first, last, step


def _protocol(name: str) -> str:
    if name not in PROTOCOLS:
        raise ValueError(f"unknown protocol '{name}'{suggest(name, PROTOCOLS)}")
    return name


TIoUs = Annotated[tuple[float, ...], BeforeValidator(tiou_range)]
ProtocolName = Annotated[str, AfterValidator(_protocol)]


class EvaluateSettings(Section):
    """How detections are compared with ground truth.

    Attributes:
        protocol: ``activitynet``, ``thumos14`` (the official MATLAB kit), ``wtalc`` or ``snippet``; they give
            different numbers.
        tiou: Thresholds, as ``0.1:0.7:0.1``, ``all`` or a list.
        subset: Subset of the ground truth; empty for the one that the detections belong to.
        videos: Named set of videos, such as ``thumos14-210``; empty for all of the subset.
    """

    protocol: ProtocolName = "activitynet"
    tiou: TIoUs = tiou_range("0.1:0.7:0.1")
    subset: str = ""
    videos: str = ""
