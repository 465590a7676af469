"""The outcome of an evaluation: numbers that carry the protocol, the subset and the videos they are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tal.settings.evaluation import AVERAGES

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """How good a set of detections is, over K classes and N thresholds.

    Attributes:
        protocol: A name of `PROTOCOLS`; numbers of different protocols are not comparable.
        subset: Evaluated split of the ground truth.
        videos: Named set of videos, such as ``thumos14-210``; empty for all of the subset.
        tiou: Thresholds, (N,).
        classes: Names, (K,).
        ap: Average precision in [0, 1], (K, N).
        recall: Part of the instances that are matched by any detection, (K, N).
        video_ap: Average precision of ranking videos by their best detection of a class, (K,).
        frame_accuracy: Part of the action time whose class is found, in [0, 1]; None without action time.
        n_videos: Videos of the subset, or of the named set in it.
        n_instances: True instances in them.
        n_empty: Those of no length, after the protocol's rounding; nothing can match them.
        n_detections: Detections that were looked at, those of unknown labels among them.
        n_ambiguous: Detections that touch ambiguous time, where the protocol removes or forgives them.
        n_ambiguous_segments: Segments of ambiguous time in the evaluated videos.
        missing: Evaluated videos that the results do not name.
        extra: Videos of the results that the ground truth does not know; their detections are false positives.
        elsewhere: Videos of the results that lie in other subsets; left out.
        blocked: Videos of the results that the named set leaves out.
        unknown_labels: Detected labels that are none of `classes`, to their number of detections.
        beyond: Evaluated videos to the number of their detections that end after them; such detections are kept.
        n_without_duration: Evaluated videos whose length the truth does not tell.
        n_late_instances: Instances that end after their video; they are kept.
    """

    protocol: str
    subset: str
    videos: str
    tiou: tuple[float, ...]
    classes: tuple[str, ...]
    ap: Floats
    recall: Floats
    video_ap: Floats
    frame_accuracy: float | None
    n_videos: int
    n_instances: int
    n_empty: int
    n_detections: int
    n_ambiguous: int
    n_ambiguous_segments: int
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    unknown_labels: Mapping[str, int] = field(default_factory=dict)
    beyond: Mapping[str, int] = field(default_factory=dict)
    n_without_duration: int = 0
    n_late_instances: int = 0

    @property
    def map(self) -> Floats:
        """Mean over classes, (N,)."""
        return np.asarray(self.ap.mean(axis=0))

    @property
    def average(self) -> float:
        """Mean over classes and all evaluated thresholds."""
        return float(self.ap.mean())

    @property
    def averages(self) -> dict[str, float]:
        """Mean over classes and each published range of thresholds, where all of its thresholds were evaluated."""
        at = dict(zip(self.tiou, self.map.tolist(), strict=True))
        whole = {name: [at[t] for t in wanted] for name, wanted in AVERAGES.items() if at.keys() >= set(wanted)}
        return {name: sum(values) / len(values) for name, values in whole.items()}

    @property
    def video_map(self) -> float:
        """Mean of `video_ap`."""
        return float(self.video_ap.mean())

    @property
    def name(self) -> str:
        """Protocol, subset and set of videos in a few words."""
        split = f", subset {self.subset}" if self.subset else ""
        return f"{self.protocol} protocol{split}{f', {self.videos}' if self.videos else ''}"

    def _repr_html_(self) -> str:
        """Return the table that a notebook shows, in percent."""
        from tal import display
        from tal.evaluation.tables import columns, rows

        cells: list[list[display.Cell]] = [[name, *(100 * value for value in values)] for name, values in rows(self)]
        return display.table(f"{self.name}: {self.n_videos} videos, in %", ("", *columns(self)), cells, decimals=1)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values; numbers in [0, 1]."""
        per_class = {"ap": self.ap, "recall": self.recall, "video_ap": self.video_ap}
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items() if k != "classes"}
        return {
            **plain,
            "unknown_labels": dict(self.unknown_labels),
            "beyond": dict(self.beyond),
            "map": self.map.tolist(),
            "average": self.average,
            "averages": self.averages,
            "video_map": self.video_map,
            **{k: dict(zip(self.classes, v.tolist(), strict=True)) for k, v in per_class.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Evaluation:
        """Read what `to_dict` wrote."""
        computed, per_class = {"map", "average", "averages", "video_map"}, ("ap", "recall", "video_ap")
        plain = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k not in computed}
        arrays = {k: np.array(list(values[k].values()), np.float64) for k in per_class}
        fields: dict[str, Any] = {**plain, **arrays, "classes": tuple(values["ap"])}
        return cls(**fields)
