"""How AP_N and missed instances depend on what instances are like.

For a bucket, detections that took an instance of another bucket are left out: they are right, only not about this one.
All false positives stay.

Axes: I instances, D detections, N thresholds.
"""

from __future__ import annotations

import numpy as np

from tal.diagnosis.characteristics import Characteristic
from tal.diagnosis.matching import Bools, Floats, Matching
from tal.diagnosis.precision import average_precision_n, precision_n
from tal.diagnosis.reports import BucketReport, CharacteristicReport


def map_n(matching: Matching, members: Bools) -> tuple[Floats, int]:
    """Return the mean AP_N of the classes that have a member, (N,), and how many have; NaN where none has.

    Args:
        matching: Detections and what they took.
        members: The instances of the bucket, (I,).
    """
    scores = []
    for label, rows in enumerate(matching.ranked):
        n = int((members & (matching.instances.labels == label)).sum())
        if n:
            taken = matching.taken[:, rows]
            inside = (taken >= 0) & members[taken]
            scores.append(average_precision_n(inside, inside | (taken < 0), n, matching.n_mean))
    nothing = np.full(len(matching.taken), np.nan)
    return (np.mean(scores, axis=0) if scores else nothing), len(scores)


def missed(matching: Matching, min_precision: float) -> Bools:
    """Tell which instances are missed, (N, I).

    Args:
        matching: Detections and what they took.
        min_precision: A detection finds nothing where P_N of its class is this or below.
    """
    found = np.zeros((len(matching.taken), len(matching.instances.labels)), dtype=bool)
    for rows, n in zip(matching.ranked, matching.n_instances, strict=True):
        taken = matching.taken[:, rows]
        right = taken >= 0
        precision = precision_n(right, np.ones_like(right), int(n), matching.n_mean)
        where = np.nonzero(right & (precision > min_precision))
        found[where[0], taken[where]] = True
    return ~found


def by_bucket(characteristic: Characteristic, matching: Matching, lost: Bools) -> CharacteristicReport:
    """Describe each bucket of a characteristic.

    Args:
        characteristic: Values of all instances.
        matching: Detections and what they took.
        lost: Missed instances, (N, I).
    """
    reports = []
    for bucket in characteristic.buckets:
        members = characteristic.members(bucket)
        n = int(members.sum())
        score, n_classes = map_n(matching, members)
        share = lost[:, members].mean(axis=1) if n else np.full(len(lost), np.nan)
        reports.append(BucketReport(bucket, n, n_classes, score, share))
    return CharacteristicReport(characteristic.name, tuple(reports))
