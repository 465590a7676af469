"""From activations to detections: reject classes, threshold, group, score, suppress.

One localizer for all methods: what differs between papers is a setting of `LocalizeSettings`. Signals are interpolated
linearly between snippet centres; sub-sample j of scale * T covers the positions [j / scale, (j + 1) / scale) of the
grid, so that a signal which is 1 on snippets a..b and 0 elsewhere gives exactly their segment at threshold 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tal.localization.fusion import fuse
from tal.localization.signals import Mask, minmax, normalised, runs, upsample, widened
from tal.localization.suppression import suppress
from tal.settings import LocalizeSettings
from tal.types import Activations, Detection, FloatArray, Segment, SnippetGrid

__all__ = ["Located", "accepted_classes", "fuse", "localize", "minmax", "runs", "suppress", "upsample", "widened"]


@dataclass(frozen=True)
class Located:
    """The detections of one video, best first, or why there are none."""

    detections: tuple[Detection, ...]
    reason: str = ""


@dataclass(frozen=True)
class _Signals:
    """One network's view of one video, at sub-samples: (T * scale, C) each.

    Attributes:
        signal: What is thresholded.
        scored: What segments are scored by.
    """

    signal: FloatArray
    scored: FloatArray


def localize(
    activations: Mapping[str, Activations],
    grid: SnippetGrid,
    classes: Sequence[str],
    settings: LocalizeSettings,
    duration_s: float = math.inf,
) -> Located:
    """Find the actions of one video.

    Args:
        activations: Network name (``rgb``, ``flow``, ``rgb+flow``) to what it says, all over the same snippets.
        grid: Where the snippets lie in time.
        classes: The C class names.
        settings: Thresholds, scoring and suppression.
        duration_s: Segments end here at the latest, seconds.
    """
    fused = fuse(activations, settings)
    proposing = {"fused": fused} if settings.streams == "fused" else activations
    kept = accepted_classes(proposing, fused, settings)
    if not any(mask.any() for mask in kept.values()):
        return Located((), f"no class reached the score {settings.class_threshold:g}")
    found: list[list[Detection]] = [[] for _ in classes]
    for name, one in proposing.items():
        seen = _signals(one, fused, settings)
        scores = one.scores if settings.score == "contrast" else fused.scores
        for c in np.flatnonzero(kept[name]).tolist():
            detected = _detect(seen.signal[:, c], seen.scored[:, c], float(scores[c]), classes[c], grid, settings)
            found[c] += [_within(detection, duration_s) for detection in detected]
    if not any(found):
        return Located((), "no segment passed the thresholds")
    survivors = [d for one_class in found for d in suppress(one_class, settings)]
    survivors.sort(key=lambda d: (-d.score, d.segment.start_s, d.segment.end_s, d.label))
    return Located(tuple(survivors[: settings.max_detections or None]))


def accepted_classes(
    activations: Mapping[str, Activations], fused: Activations, settings: LocalizeSettings
) -> dict[str, Mask]:
    """Return which classes each network may propose segments for, (C,) per network (STPN, section 3.4)."""
    top = np.ones(len(fused.scores), bool)
    if settings.top_classes:
        top[np.argsort(-fused.scores, kind="stable")[settings.top_classes :]] = False
    return {
        name: ((fused.scores if settings.class_source == "mean" else one.scores) >= settings.class_threshold) & top
        for name, one in activations.items()
    }


def _signals(one: Activations, fused: Activations, settings: LocalizeSettings) -> _Signals:
    signal = upsample(normalised(one.signal, settings), settings.scale)
    if settings.score == "attention_cas":
        return _Signals(signal, upsample(one.attention[:, None] * fused.cas, settings.scale))
    if settings.score in ("fused", "product"):
        return _Signals(signal, upsample(normalised(fused.signal, settings), settings.scale))
    return _Signals(signal, signal)


def _detect(
    signal: FloatArray,
    scored: FloatArray,
    class_score: float,
    label: str,
    grid: SnippetGrid,
    settings: LocalizeSettings,
) -> Iterator[Detection]:
    """Yield the scored segments of one class in one network's signal, (T * scale,)."""
    best: dict[tuple[int, int], float] = {}
    for first, stop, sums in _proposals(signal, scored, settings):
        score = _score(sums, first, stop, class_score, settings)
        best[first, stop] = max(score, best.get((first, stop), -math.inf))
    for (first, stop), score in sorted(best.items()):
        segment = grid.segment(first / settings.scale, stop / settings.scale)
        if segment.duration_s >= settings.min_duration_s:
            yield Detection(label, segment, score)


def _proposals(
    signal: FloatArray, scored: FloatArray, settings: LocalizeSettings
) -> Iterator[tuple[int, int, NDArray[np.float64]]]:
    """Yield stretches [first, stop) above the thresholds, with the running sums that they are scored by."""
    unit = {"fixed": 1.0, "mean": float(signal.mean()), "max": float(signal.max())}[settings.rule]
    reach, sums = round(settings.dilation * settings.scale), _running_sums(scored)
    for threshold in settings.thresholds:
        above = signal > threshold * unit
        if settings.zeroed:
            sums = _running_sums(np.where(above, scored, 0))
        for first, stop in widened(runs(above), reach, len(signal)).tolist():
            yield first, stop, sums


def _running_sums(values: FloatArray) -> NDArray[np.float64]:
    return np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))


def _score(sums: NDArray[np.float64], first: int, stop: int, class_score: float, settings: LocalizeSettings) -> float:
    inner = float(sums[stop] - sums[first]) / (stop - first)
    if settings.score == "product":
        return inner * class_score
    if settings.score != "contrast":
        return inner
    reach = max(1, round((stop - first) * settings.context))
    low, high = max(0, first - reach), min(len(sums) - 1, stop + reach)
    n_outer = (high - low) - (stop - first)
    outer = float(sums[high] - sums[low] - (sums[stop] - sums[first])) / n_outer if n_outer else 0.0
    return inner - outer + settings.gamma * class_score


def _within(detection: Detection, duration_s: float) -> Detection:
    segment = detection.segment
    inside = Segment(min(max(0.0, segment.start_s), duration_s), min(segment.end_s, duration_s))
    return replace(detection, segment=inside)
