"""Average precision per class and tIoU threshold, by the protocol of ActivityNet or of THUMOS14.

Classes are those with an instance in the evaluated subset. A detection in a video that the ground truth does not know
is a false positive, as in both official kits; one in a video of another subset is left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tal.annotations import Truth, VideoTruth
from tal.errors import AnnotationError, ConfigError, suggest
from tal.evaluation.protocols import PROTOCOLS, Protocol, average_precision, tiou_matrix
from tal.results import Results
from tal.settings import EvaluateSettings
from tal.types import Detection, Segment

__all__ = ["Evaluation", "evaluate"]

_UNKNOWN_VIDEO = VideoTruth(None, "", ())


@dataclass(frozen=True)
class Evaluation:
    """How good a set of detections is, over K classes and N thresholds.

    Attributes:
        protocol: ``activitynet`` or ``thumos14``; numbers of different protocols are not comparable.
        subset: Evaluated split of the ground truth.
        tiou: Thresholds, (N,).
        classes: Names, (K,).
        ap: Average precision in [0, 1], (K, N).
        n_videos: Videos of the subset.
        n_instances: True instances in it.
        n_detections: Detections that were looked at, those of unknown labels among them.
        missing: Videos of the subset that the results do not name.
        extra: Videos of the results that the ground truth does not know; their detections are false positives.
        elsewhere: Videos of the results that lie in other subsets; left out.
        unknown_labels: Detected labels that are none of `classes`, to their number of detections.
    """

    protocol: str
    subset: str
    tiou: tuple[float, ...]
    classes: tuple[str, ...]
    ap: NDArray[np.float64]
    n_videos: int
    n_instances: int
    n_detections: int
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    elsewhere: tuple[str, ...]
    unknown_labels: Mapping[str, int]

    @property
    def map(self) -> NDArray[np.float64]:
        """Mean over classes, (N,)."""
        return np.asarray(self.ap.mean(axis=0))

    @property
    def average(self) -> float:
        """Mean over classes and thresholds."""
        return float(self.ap.mean())

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "protocol": self.protocol,
            "subset": self.subset,
            "tiou": list(self.tiou),
            "map": self.map.tolist(),
            "average": self.average,
            "ap": {name: row.tolist() for name, row in zip(self.classes, self.ap, strict=True)},
            "n_videos": self.n_videos,
            "n_instances": self.n_instances,
            "n_detections": self.n_detections,
            "missing": list(self.missing),
            "extra": list(self.extra),
            "elsewhere": list(self.elsewhere),
            "unknown_labels": dict(self.unknown_labels),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Evaluation:
        """Read what `to_dict` wrote."""
        plain = {k: v for k, v in values.items() if k not in {"map", "average"}}
        ap = np.array(list(values["ap"].values()), np.float64)
        lists = {k: tuple(v) for k, v in plain.items() if isinstance(v, list)}
        return cls(**{**plain, **lists, "classes": tuple(values["ap"]), "ap": ap})


def evaluate(results: Results, truth: Truth, settings: EvaluateSettings | None = None) -> Evaluation:
    """Compare detections with ground truth.

    Raises:
        ConfigError: If the subset is unknown or cannot be told from the results; lists the known ones.
        AnnotationError: If the subset has no instance.
    """
    settings = settings or EvaluateSettings()
    subset = _subset(results, truth, settings.subset)
    videos = truth.select(subset).videos
    elsewhere = frozenset(results.by_video.keys() & (truth.videos.keys() - videos.keys()))
    detections = {name: results.by_video[name] for name in results.by_video if name not in elsewhere}
    n_instances = Counter(i.label for video in videos.values() for i in video.instances)
    if not n_instances:
        raise AnnotationError(f"subset '{subset}' of the ground truth has no instances; choose another with --subset")
    found = Counter(d.label for listed in detections.values() for d in listed)
    return Evaluation(
        protocol=settings.protocol,
        subset=subset,
        tiou=settings.tiou,
        classes=tuple(sorted(n_instances)),
        ap=_ap(detections, videos, n_instances, settings),
        n_videos=len(videos),
        n_instances=n_instances.total(),
        n_detections=found.total(),
        missing=tuple(sorted(videos.keys() - results.by_video.keys())),
        extra=tuple(sorted(results.by_video.keys() - truth.videos.keys())),
        elsewhere=tuple(sorted(elsewhere)),
        unknown_labels={label: found[label] for label in sorted(found.keys() - n_instances.keys())},
    )


def _subset(results: Results, truth: Truth, wanted: str) -> str:
    known = truth.subsets
    if wanted:
        if wanted not in known:
            raise ConfigError(f"unknown subset '{wanted}'{suggest(wanted, filter(None, known))}")
        return wanted
    if len(known) == 1:
        return known[0]
    touched = {truth.videos[name].subset for name in results.by_video.keys() & truth.videos.keys()}
    if len(touched) != 1:
        relation = "lie in several subsets" if touched else "lie in none of the subsets"
        listed = ", ".join(name or "(none)" for name in known)
        raise ConfigError(f"the detections {relation} of the ground truth ({listed}); choose one with --subset")
    return touched.pop()


Detections = Mapping[str, Sequence[Detection]]


def _ap(
    detections: Detections, videos: Mapping[str, VideoTruth], n_instances: Mapping[str, int], settings: EvaluateSettings
) -> NDArray[np.float64]:
    """Return AP per class in sorted order and threshold, (K, N)."""
    protocol, thresholds = PROTOCOLS[settings.protocol], np.array(settings.tiou)
    grouped = _by_class(detections, protocol.later_first)
    rows = []
    for label in sorted(n_instances):
        scores, matched, counted = _match_class(label, grouped.get(label, {}), videos, protocol, thresholds)
        order = np.argsort(-scores, kind="stable")
        matched, counted = matched[:, order], counted[:, order]
        rows.append(average_precision(matched, counted, n_instances[label], protocol.interpolated))
    return np.stack(rows)


def _by_class(detections: Detections, later_first: bool) -> dict[str, dict[str, list[Detection]]]:
    """Group detections by label and video, in the order in which equal scores are ranked."""
    grouped: dict[str, dict[str, list[Detection]]] = defaultdict(lambda: defaultdict(list))
    for name in reversed(list(detections)) if later_first else sorted(detections):
        for detection in reversed(detections[name]) if later_first else detections[name]:
            grouped[detection.label][name].append(detection)
    return grouped


Matches = tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]


def _match_class(
    label: str,
    detections: Detections,
    videos: Mapping[str, VideoTruth],
    protocol: Protocol,
    thresholds: NDArray[np.float64],
) -> Matches:
    """Return scores (D,), true positives (N, D) and what is not ignored (N, D) over all videos."""
    n = len(thresholds)
    parts: list[Matches] = [(np.zeros(0), np.zeros((n, 0), dtype=bool), np.zeros((n, 0), dtype=bool))]
    for name, listed in detections.items():
        ranked = sorted(listed, key=lambda d: -d.score)
        video = videos.get(name, _UNKNOWN_VIDEO)
        segments = _bounds(d.segment for d in ranked)
        instances = _bounds(i.segment for i in video.instances if i.label == label)
        matched = protocol.match(tiou_matrix(segments, instances), thresholds)
        touches = tiou_matrix(segments, _bounds(video.ambiguous)).any(axis=1) & protocol.forgives_ambiguous
        parts.append((np.array([d.score for d in ranked]), matched, matched | ~touches))
    scores, hits, counts = zip(*parts, strict=True)
    return np.concatenate(scores), np.concatenate(hits, axis=1), np.concatenate(counts, axis=1)


def _bounds(segments: Iterable[Segment]) -> NDArray[np.float64]:
    """Return starts and ends in seconds, (n, 2)."""
    return np.array([(s.start_s, s.end_s) for s in segments], dtype=np.float64).reshape(-1, 2)
