"""A diagnosis as the page draws it: shares and mAP in [0, 1], means over the thresholds."""

from __future__ import annotations

import math
from typing import Any

from tal.diagnosis import Diagnosis
from tal.diagnosis.false_positives import FIXES, KINDS
from tal.diagnosis.plots import MEANING
from tal.diagnosis.reports import BucketReport


def diagnosed(found: Diagnosis) -> dict[str, Any]:
    """Return kinds of detections by rank, what mending errors gains, and what instances are hard."""
    base = float(found.map_n.mean())
    plain = found.gains.base.mean(axis=1).tolist()
    return {
        "title": found.title,
        "kinds": list(KINDS),
        "splits": [
            {"name": name, "n": n, "shares": [_known(v) for v in shares.tolist()]}
            for name, n, shares in found.profile()
        ],
        "base": {"map": _known(plain[0]), "map_n": _known(plain[1])},
        "gains": [
            {"fix": fix, "map": _known(one), "map_n": _known(normalised)}
            for fix, (one, normalised) in ((fix, found.gains.gain(fix)) for fix in FIXES)
        ],
        "map_n": _known(base),
        "missed": _known(float(found.missed.mean())),
        "n_instances": found.evaluation.n_instances,
        "characteristics": [
            {"name": one.name, "meaning": MEANING[one.name], "buckets": list(map(_bucket, one.buckets))}
            for one in found.characteristics
        ],
        "notes": list(found.notes),
    }


def _bucket(found: BucketReport) -> dict[str, Any]:
    return {
        "name": found.bucket.name,
        "text": found.bucket.text,
        "n": found.n_instances,
        "map_n": _known(float(found.map_n.mean())),
        "missed": _known(float(found.missed.mean())),
    }


def _known(value: float) -> float | None:
    """Return a figure to four digits, None for one that is not known."""
    return None if math.isnan(value) else round(value, 4)
