"""What instances are like: how long, how much of their video, how many in it; and the buckets they are put into.

The bounds are those of the study, as its public code has them for ActivityNet and THUMOS14. A bucket holds the values
above its lower bound and up to its upper bound; the first holds its lower bound, too.

Axes: I instances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tal.diagnosis.matching import Bools, Floats, Instances

NAMES = ("XS", "S", "M", "L", "XL")
LENGTH, COVERAGE, INSTANCES = "length", "coverage", "instances"
BOUNDS = {
    "activitynet": {LENGTH: (30, 60, 120, 180), COVERAGE: (0.2, 0.4, 0.6, 0.8), INSTANCES: (1, 4, 8)},
    "thumos14": {LENGTH: (3, 6, 12, 18), COVERAGE: (0.02, 0.04, 0.06, 0.08), INSTANCES: (1, 40, 80)},
}
MAX_QUANTILES = 5


@dataclass(frozen=True)
class Bucket:
    """A range of values of a characteristic.

    Attributes:
        name: ``XS``, ``S``, ``M``, ``L`` or ``XL``.
        lower: Lower bound, not in the bucket unless it is the first.
        upper: Upper bound, in the bucket; infinite for the last of most.
        text: The bounds for people, with their unit.
    """

    name: str
    lower: float
    upper: float
    text: str


@dataclass(frozen=True)
class Characteristic:
    """A quantity that every instance has.

    Attributes:
        name: ``length`` in seconds, ``coverage`` as a share in [0, 1], ``instances`` of the class in the video.
        values: NaN where it is not known, (I,).
        buckets: In rising order.
    """

    name: str
    values: Floats
    buckets: tuple[Bucket, ...]

    def members(self, bucket: Bucket) -> Bools:
        """Tell which instances are in a bucket, (I,)."""
        above = self.values >= 0 if bucket == self.buckets[0] else self.values > bucket.lower
        return above & (self.values <= bucket.upper)


def characteristics(instances: Instances, buckets: str) -> tuple[list[Characteristic], list[str]]:
    """Return the characteristics that are known, and remarks on what is not.

    Args:
        instances: What is described.
        buckets: ``activitynet``, ``thumos14`` or ``quantiles``.
    """
    share, notes = _coverage(instances)
    values = {LENGTH: instances.lengths_s, COVERAGE: share, INSTANCES: instances.n_alike.astype(np.float64)}
    known = {name: v for name, v in values.items() if not np.isnan(v).all()}
    found = []
    for name, v in known.items():
        inner = _quantiles(v) if buckets == "quantiles" else BOUNDS[buckets][name]
        found.append(Characteristic(name, v, _buckets(name, inner)))
    return found, notes


def _coverage(instances: Instances) -> tuple[Floats, list[str]]:
    """Return each instance's share of its video, at most 1, NaN where the duration is not known."""
    share = instances.lengths_s / instances.durations_s
    n, unknown, longer = len(share), int(np.isnan(share).sum()), int((share > 1).sum())
    notes = []
    if unknown == n:
        notes.append("coverage is left out: the truth gives no durations of videos")
    elif unknown:
        notes.append(f"coverage leaves out {unknown} of {n} instances: the durations of their videos are not known")
    if longer:
        notes.append(f"coverage counts as 1 for {longer} of {n} instances: they are longer than their videos")
    return np.minimum(share, 1.0), notes


def _quantiles(values: Floats) -> tuple[float, ...]:
    """Return inner bounds that cut the known values into at most five buckets of about equal size, none empty."""
    known = values[~np.isnan(values)]
    shares = np.arange(1, MAX_QUANTILES) / MAX_QUANTILES
    inner = np.unique(np.quantile(known, shares, method="inverted_cdf"))
    return tuple(float(v) for v in inner if v < known.max())


def _buckets(name: str, inner: tuple[float, ...]) -> tuple[Bucket, ...]:
    edges = (0.0, *map(float, inner), 1.0 if name == COVERAGE else math.inf)
    pairs = zip(NAMES, edges[:-1], edges[1:], strict=False)
    return tuple(Bucket(label, low, high, _text(name, low, high)) for label, low, high in pairs)


def _text(name: str, lower: float, upper: float) -> str:
    if name == INSTANCES:
        first = f"{lower + 1:g}"
        return f"{first} or more" if math.isinf(upper) else first if upper == lower + 1 else f"{first} to {upper:g}"
    unit, scale = ("%", 100) if name == COVERAGE else ("s", 1)
    if math.isinf(upper):
        return f"over {scale * lower:.3g} {unit}"
    return f"{scale * lower:.3g} to {scale * upper:.3g} {unit}"
