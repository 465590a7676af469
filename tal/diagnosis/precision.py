"""Average precision with a number of instances that is the same for every class (the study's AP_N).

Precision falls with the number of instances of a class, so that the AP of rare classes or of small buckets cannot be
compared with that of frequent ones. With a fixed number N in place of the true one, at recall R and F false positives

    P_N = R * N / (R * N + F)

and AP_N is the area under the interpolated curve of P_N over R. With N = number of instances it is plain AP.

Axes: N thresholds, D detections of one class (best score first).
"""

from __future__ import annotations

import numpy as np

from tal.diagnosis.matching import Bools, Floats


def precision_n(matched: Bools, counted: Bools, n_instances: int, n: float) -> Floats:
    """Return P_N after each detection, (N, D).

    Args:
        matched: True positives, (N, D).
        counted: What is not left out, (N, D); true positives count in any case.
        n_instances: Instances of the class, at least 1.
        n: The number of instances that precision is normalised to.
    """
    hits = matched.cumsum(axis=1) * (n / n_instances)  # R * N
    false = (counted & ~matched).cumsum(axis=1)
    precision: Floats = np.divide(hits, hits + false, out=np.zeros_like(hits), where=hits > 0)
    return precision


def average_precision_n(matched: Bools, counted: Bools, n_instances: int, n: float) -> Floats:
    """Return AP_N in [0, 1], (N,); the arguments are those of `precision_n`."""
    precision = precision_n(matched, counted, n_instances, n)
    reached = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    return np.asarray((reached * matched).sum(axis=1) / n_instances, np.float64)
