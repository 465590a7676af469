"""What a diagnosis says, as values: shares and mAP in [0, 1].

Axes: N thresholds, S splits of the ranking; 6 kinds of detections, true positives first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tal.diagnosis.characteristics import Bucket
from tal.diagnosis.false_positives import FIXES, KINDS, Gains
from tal.diagnosis.matching import Floats, Ints
from tal.diagnosis.options import DiagnoseSettings
from tal.evaluation import Evaluation


@dataclass(frozen=True)
class BucketReport:
    """The instances of one bucket.

    Attributes:
        bucket: Name and bounds.
        n_instances: Instances in it.
        n_classes: Classes that have one.
        map_n: Mean AP_N of these classes, (N,); NaN for an empty bucket.
        missed: Share of the instances that are missed, (N,); NaN for an empty bucket.
    """

    bucket: Bucket
    n_instances: int
    n_classes: int
    map_n: Floats
    missed: Floats

    def to_dict(self, base: float) -> dict[str, Any]:
        """Return JSON-ready values, means over thresholds; None for what is not known or not bounded."""
        score = float(self.map_n.mean())
        return {
            "bucket": self.bucket.name,
            "lower": self.bucket.lower,
            "upper": None if math.isinf(self.bucket.upper) else self.bucket.upper,
            "n_instances": self.n_instances,
            "n_classes": self.n_classes,
            "map_n": _known(score),
            "change": _known(score - base),
            "missed": _known(float(self.missed.mean())),
        }


@dataclass(frozen=True)
class CharacteristicReport:
    """The buckets of one characteristic: ``length``, ``coverage`` or ``instances``."""

    name: str
    buckets: tuple[BucketReport, ...]


@dataclass(frozen=True)
class Diagnosis:
    """Why detections fail.

    Attributes:
        evaluation: Plain mAP by the ActivityNet protocol, and which videos and labels were looked at.
        options: How it was made.
        n_mean: Mean number of instances per class, N in AP_N.
        map_n: Mean AP_N of all detections, (N,).
        counts: Detections of each kind in each split, (N, S, 6).
        gains: mAP without the errors of each kind, among the detections that are in a split.
        missed: Share of all instances that are missed, (N,).
        characteristics: AP_N and missed instances by what instances are like.
        notes: What a reader has to know.
    """

    evaluation: Evaluation
    options: DiagnoseSettings
    n_mean: float
    map_n: Floats
    counts: Ints
    gains: Gains
    missed: Floats
    characteristics: tuple[CharacteristicReport, ...]
    notes: tuple[str, ...]

    @property
    def title(self) -> str:
        """Name what every number here depends on: protocol, subset, set of videos, tIoU."""
        tiou = self.evaluation.tiou
        several = f"{min(tiou):g} to {max(tiou):g} (mean of {len(tiou)})"
        return f"{self.evaluation.name}, tIoU {f'{tiou[0]:g}' if len(tiou) == 1 else several}"

    @property
    def n_looked_at(self) -> Ints:
        """Detections in each split, (S,)."""
        return np.asarray(self.counts[0].sum(axis=1))

    @property
    def shares(self) -> Floats:
        """Share of each kind in each split, means over thresholds, (S, 6); NaN in a split without detections."""
        return _shares(self.counts.mean(axis=0), self.n_looked_at[:, None])

    @property
    def total_shares(self) -> Floats:
        """Share of each kind in all splits together, (6,); NaN without detections."""
        return _shares(self.counts.mean(axis=0).sum(axis=0), self.n_looked_at.sum())

    def profile(self) -> list[tuple[str, int, Floats]]:
        """Return name, number of detections and shares of each kind (6,) of each split, and of ``all`` at the end."""
        names = [f"{s + 1}G" for s in range(len(self.shares))]
        each = zip(names, self.n_looked_at.tolist(), self.shares, strict=True)
        return [*each, ("all", int(self.n_looked_at.sum()), self.total_shares)]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values; None for what is not known."""
        base = float(self.map_n.mean())
        return {
            **self._about(),
            "settings": self.options.model_dump(mode="json"),
            "instances_per_class": self.n_mean,
            "map_n": self.map_n.tolist(),
            "average_n": base,
            "false_positives": self._profile(),
            "gains": self._gains(),
            "missed": float(self.missed.mean()),
            "characteristics": {c.name: [b.to_dict(base) for b in c.buckets] for c in self.characteristics},
            "notes": list(self.notes),
        }

    def _about(self) -> dict[str, Any]:
        about = self.evaluation
        return {
            "protocol": about.protocol,
            "subset": about.subset,
            "videos": about.videos,
            "tiou": list(about.tiou),
            "map": about.map.tolist(),
            "average": about.average,
            "n_videos": about.n_videos,
            "n_instances": about.n_instances,
            "n_detections": about.n_detections,
            "missing": list(about.missing),
            "extra": list(about.extra),
            "elsewhere": list(about.elsewhere),
            "blocked": list(about.blocked),
            "unknown_labels": dict(about.unknown_labels),
        }

    def _profile(self) -> dict[str, Any]:
        return {
            name: {"n_detections": n, **{k: _known(float(v)) for k, v in zip(KINDS, row, strict=True)}}
            for name, n, row in self.profile()
        }

    def _gains(self) -> dict[str, Any]:
        plain, normalised = self.gains.base.mean(axis=1).tolist()
        fixed = {fix: dict(zip(("map", "map_n"), self.gains.gain(fix), strict=True)) for fix in FIXES}
        return {"base": {"map": plain, "map_n": normalised}, **fixed}


def _shares(counts: Floats, n: Ints) -> Floats:
    shares: Floats = np.divide(counts, n, out=np.full(counts.shape, np.nan), where=n > 0)
    return shares


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
