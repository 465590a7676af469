"""Average precision per class and tIoU threshold under named protocols, and what else detections are judged by.

Classes are those with an instance in the evaluated videos. A detection in a video that the ground truth does not know
is a false positive, as in the official kits; one in a video of another subset, or that a named set blocks, is left out.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from tal.annotations import Truth
from tal.errors import AnnotationError, ConfigError, suggest
from tal.evaluation import videosets
from tal.evaluation.arrays import Arrays, Detections, Labelled, Videos, to_arrays
from tal.evaluation.counting import count
from tal.evaluation.evaluation import Evaluation
from tal.evaluation.videos import frame_accuracy, video_ap
from tal.results import Results
from tal.settings import EvaluateSettings
from tal.settings.protocols import PROTOCOLS

__all__ = ["Evaluation", "evaluate"]

BEYOND_S = 0.1
"""How much later than its video a detection may end without a remark, seconds: lengths and times are rounded."""


def evaluate(results: Results, truth: Truth, settings: EvaluateSettings | None = None) -> Evaluation:
    """Compare detections with ground truth.

    Raises:
        ConfigError: If the subset or the set of videos is unknown, or the subset cannot be told from the results.
        AnnotationError: If the evaluated videos have no instance.
    """
    settings = settings or EvaluateSettings()
    blocked = videosets.named(settings.videos).blocked if settings.videos else frozenset()
    subset = _subset(results, truth, settings)
    videos = {name: video for name, video in truth.select(subset).videos.items() if name not in blocked}
    if not any(video.instances for video in videos.values()):
        raise AnnotationError(f"subset '{subset}' of the ground truth has no instances; choose another with --subset")
    left_out = (truth.videos.keys() - videos.keys()) | blocked
    detections = {name: listed for name, listed in results.by_video.items() if name not in left_out}
    arrays = to_arrays(detections, videos)
    counted = count(arrays, settings.tiou, PROTOCOLS[settings.protocol])
    given = results.by_video.keys()
    return Evaluation(
        protocol=settings.protocol,
        subset=subset,
        videos=settings.videos,
        tiou=settings.tiou,
        classes=arrays.classes,
        ap=counted.ap,
        recall=counted.recall,
        video_ap=video_ap(arrays),
        frame_accuracy=frame_accuracy(arrays),
        n_videos=len(videos),
        n_instances=len(arrays.instances.video),
        n_empty=counted.n_empty,
        n_detections=len(arrays.detections.video),
        n_ambiguous=counted.n_ambiguous,
        n_ambiguous_segments=len(arrays.ambiguous.group),
        missing=tuple(sorted(videos.keys() - given)),
        extra=tuple(sorted(given - truth.videos.keys() - blocked)),
        elsewhere=tuple(sorted((given & truth.videos.keys()) - videos.keys() - blocked)),
        blocked=tuple(sorted(given & blocked)),
        unknown_labels=_unknown_labels(arrays, detections),
        beyond=_late(arrays.detections, videos),
        n_without_duration=sum(video.duration_s is None for video in videos.values()),
        n_late_instances=_late(arrays.instances, videos).total(),
    )


def _subset(results: Results, truth: Truth, settings: EvaluateSettings) -> str:
    known, wanted = truth.subsets, settings.subset
    if not wanted and settings.videos and len(known) > 1:
        wanted = videosets.named(settings.videos).subset
    if wanted:
        if wanted not in known:
            raise ConfigError(f"unknown subset '{wanted}'{suggest(wanted, filter(None, known))}")
        return wanted
    if len(known) == 1:
        return known[0]
    listed = ", ".join(name or "(none)" for name in known)
    if not results.by_video:
        raise ConfigError(f"no detections to tell which subset to evaluate ({listed}); choose one with --subset")
    touched = {truth.videos[name].subset for name in results.by_video.keys() & truth.videos.keys()}
    if len(touched) != 1:
        relation = "lie in several subsets" if touched else "lie in none of the subsets"
        raise ConfigError(f"the detections {relation} of the ground truth ({listed}); choose one with --subset")
    return touched.pop()


def _unknown_labels(arrays: Arrays, detections: Detections) -> dict[str, int]:
    """Count the detections of each label that no instance has."""
    if (arrays.detections.label >= 0).all():
        return {}
    labels = Counter(d.label for listed in detections.values() for d in listed)
    return {label: n for label, n in sorted(labels.items()) if label not in arrays.classes}


def _late(found: Labelled, videos: Videos) -> Counter[str]:
    """Count the segments that end after their video, by video, where its length is known."""
    names = tuple(videos)
    known = [np.inf if video.duration_s is None else video.duration_s for video in videos.values()]
    inside = found.take(found.video < len(names))  # the truth's videos come first
    late = inside.bounds[:, 1] > np.array(known)[inside.video] + BEYOND_S
    return Counter(names[n] for n in inside.video[late])
