"""Who gets whom: detections and true instances matched under the rule of a protocol, for all videos at once.

All protocols let one side choose in a fixed order, each taking the best of what is still free. That is a serial
dictatorship, whose outcome is the only stable matching; so all can choose at the same time, a taken one goes to the
earliest of those who want it, and the others choose again until nobody is refused.

Axes: N thresholds, D detections (best score first), I instances (in the order of the file), P pairs that overlap.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tal.evaluation.overlaps import Floats, Ints, Pairs
from tal.settings.protocols import Protocol

Bools = NDArray[np.bool_]


def match(pairs: Pairs, thresholds: Floats, n_detections: int, n_instances: int, protocol: Protocol) -> Ints:
    """Return the instance that each detection is matched with, -1 for none, (N, D).

    Args:
        pairs: Detections (`a`) and instances (`b`) of one class and video that overlap.
        thresholds: In (0, 1], (N,).
        n_detections: D.
        n_instances: I.
        protocol: Who chooses what.
    """
    matched = np.full((len(thresholds), n_detections), -1)
    pairs = _wishes(pairs, protocol)
    for row, threshold in zip(matched, thresholds, strict=True):
        enough = pairs.tiou >= threshold if protocol.inclusive else pairs.tiou > threshold
        detections, instances = pairs.a[enough], pairs.b[enough]
        if protocol.chooser == "detections":
            taker = _settle(detections, instances, n_detections, n_instances)  # (I,)
            (taken,) = np.nonzero(taker < n_detections)
            row[taker[taken]] = taken
        else:
            taker = _settle(instances, detections, n_instances, n_detections)  # (D,)
            row[:] = np.where(taker < n_instances, taker, -1)
    return matched


def _wishes(pairs: Pairs, protocol: Protocol) -> Pairs:
    """Sort the pairs by who chooses, then by what is wished for most.

    Of equal overlaps a detection takes the later instance, an instance the detection of the better score.
    """
    if protocol.chooser == "instances":
        order = np.lexsort((pairs.a, -pairs.tiou, pairs.b))
    elif protocol.wish == "overlap":
        order = np.lexsort((-pairs.b, -pairs.tiou, pairs.a))
    else:
        order = np.lexsort((pairs.b, pairs.a))
    return Pairs(pairs.a[order], pairs.b[order], pairs.tiou[order])


def _settle(choosers: Ints, wishes: Ints, n_choosers: int, n_wished: int) -> Ints:
    """Let the choosers, in ascending order, take the first of their wishes that is still free.

    Args:
        choosers: Who wishes, ascending, (P,).
        wishes: What, best first for each chooser, (P,).
        n_choosers: Their number.
        n_wished: Number of what can be wished for.

    Returns:
        Who takes each, `n_choosers` for nobody, (n_wished,).
    """
    taker = np.full(n_wished, n_choosers)
    while len(choosers):
        first = np.flatnonzero(np.diff(choosers, prepend=-1))  # everybody's best wish that is not refused
        np.minimum.at(taker, wishes[first], choosers[first])
        left = choosers <= taker[wishes]
        if left.all():
            break
        choosers, wishes = choosers[left], wishes[left]
    return taker
