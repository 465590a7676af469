"""How a diagnosis is made; the defaults are the study's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tal.settings import Section

__all__ = ["DiagnoseSettings"]


class DiagnoseSettings(Section):
    """What a diagnosis looks at, beside the tIoU thresholds and the subset of the evaluation.

    Attributes:
        buckets: Bounds of the buckets of instances: the study's for ``activitynet`` or ``thumos14``, or ``quantiles``
            of the evaluated instances, five of about equal size.
        n_splits: How many times the number of instances of its class a detection's rank may be, to be looked at as a
            false positive: top-10G in the study.
        background_tiou: A detection that overlaps every instance less than this is a background error.
        min_precision: An instance is missed, too, if it is only found where the normalised precision of its class has
            fallen to this or below.
    """

    buckets: Literal["activitynet", "thumos14", "quantiles"] = "activitynet"
    n_splits: Annotated[int, Field(ge=1, le=1000)] = 10
    background_tiou: Annotated[float, Field(gt=0, le=1)] = 0.1
    min_precision: Annotated[float, Field(ge=0, lt=1)] = 0.05
