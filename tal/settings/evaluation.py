"""How detections are compared with ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator

from tal.settings.base import Section


def tiou_range(value: Any) -> tuple[float, ...]:
    """Read ``0.1:0.7:0.1`` (both ends included), ``0.5`` or a list of thresholds.

    Raises:
        ValueError: If a threshold is outside (0, 1] or the text is no range.
    """
    if isinstance(value, str) and ":" in value:
        start, stop, step = (float(part) for part in value.split(":"))
        if step <= 0 or stop < start:
            raise ValueError(f"{value!r} is not a range; write FIRST:LAST:STEP, e.g. 0.1:0.7:0.1")
        value = np.round(start + step * np.arange(int((stop - start) / step + 1e-6) + 1), 6).tolist()
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    found = tuple(float(v) for v in values)
    if not found or any(not 0 < v <= 1 for v in found):
        raise ValueError(f"tIoU thresholds lie in (0, 1], not {value!r}")
    return found


TIoUs = Annotated[tuple[float, ...], BeforeValidator(tiou_range)]


class EvaluateSettings(Section):
    """How detections are compared with ground truth.

    Attributes:
        protocol: ``activitynet`` or ``thumos14`` (the official MATLAB kit); they give different numbers.
        tiou: Thresholds, as ``0.1:0.7:0.1`` or a list.
        subset: Subset of the ground truth; empty for the one that the detections belong to.
    """

    protocol: Literal["activitynet", "thumos14"] = "activitynet"
    tiou: TIoUs = tiou_range("0.1:0.7:0.1")
    subset: str = ""
