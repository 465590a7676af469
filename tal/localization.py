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

from tal.settings import LocalizeSettings
from tal.types import Activations, Detection, FloatArray, Segment, SnippetGrid

Runs = NDArray[np.int64]


@dataclass(frozen=True)
class Located:
    """The detections of one video, best first, or why there are none."""

    detections: tuple[Detection, ...]
    reason: str = ""


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
    kept = accepted_classes(activations, settings)
    if not any(mask.any() for mask in kept.values()):
        return Located((), f"no class reached the score {settings.class_threshold:g}")
    fused = _fuse_cas(activations, settings.alpha)
    found: list[list[Detection]] = [[] for _ in classes]
    for name, one in activations.items():
        signal, scored = _signals(one, fused, settings)
        for c in np.flatnonzero(kept[name]).tolist():
            detected = _detect(signal[:, c], scored[:, c], float(one.scores[c]), classes[c], grid, settings)
            found[c] += [_within(detection, duration_s) for detection in detected]
    if not any(found):
        return Located((), "no segment passed the thresholds")
    survivors = [d for one_class in found for d in suppress(one_class, settings.nms)]
    survivors.sort(key=lambda d: (-d.score, d.segment.start_s, d.segment.end_s, d.label))
    return Located(tuple(survivors[: settings.max_detections or None]))


def accepted_classes(
    activations: Mapping[str, Activations], settings: LocalizeSettings
) -> dict[str, NDArray[np.bool_]]:
    """Return which classes each network may propose segments for, (C,) per network (STPN, section 3.4)."""
    mean = np.mean([one.scores for one in activations.values()], axis=0)
    top = np.ones(len(mean), bool)
    if settings.top_classes:
        top[np.argsort(-mean, kind="stable")[settings.top_classes :]] = False
    return {
        name: ((mean if settings.class_source == "mean" else one.scores) >= settings.class_threshold) & top
        for name, one in activations.items()
    }


def upsample(values: FloatArray, scale: int) -> FloatArray:
    """Interpolate (T, C) linearly between snippet centres to (T * scale, C); ends are held."""
    t = len(values)
    at = np.clip((np.arange(t * scale) + 0.5) / scale - 0.5, 0, t - 1)
    lower = np.floor(at).astype(int)
    share = (at - lower)[:, None].astype(np.float32)
    result: FloatArray = (1 - share) * values[lower] + share * values[np.minimum(lower + 1, t - 1)]
    return result


def runs(mask: NDArray[np.bool_]) -> Runs:
    """Return the maximal stretches of True as (n, 2) pairs [first, last + 1)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return edges.reshape(-1, 2).astype(np.int64)


def suppress(detections: Sequence[Detection], tiou: float) -> list[Detection]:
    """Drop, best first, what overlaps a better detection by more than `tiou` (greedy NMS, one class)."""
    order = sorted(detections, key=lambda d: (-d.score, d.segment.start_s, d.segment.end_s))
    start = np.array([d.segment.start_s for d in order])
    end = np.array([d.segment.end_s for d in order])
    alive = np.ones(len(order), bool)
    for i in range(len(order)):
        if alive[i]:
            shared = np.maximum(0, np.minimum(end[i], end[i + 1 :]) - np.maximum(start[i], start[i + 1 :]))
            union = (end[i] - start[i]) + (end[i + 1 :] - start[i + 1 :]) - shared
            alive[i + 1 :] &= shared <= tiou * union
    return [d for d, keep in zip(order, alive, strict=True) if keep]


def _fuse_cas(activations: Mapping[str, Activations], alpha: float) -> FloatArray:
    """Average the CAS of RGB and flow with weights alpha and 1 - alpha (STPN, eq. 7); (T, C)."""
    if set(activations) == {"rgb", "flow"}:
        fused: FloatArray = alpha * activations["rgb"].cas + (1 - alpha) * activations["flow"].cas
        return fused
    return np.asarray(np.mean([one.cas for one in activations.values()], axis=0), np.float32)


def _signals(one: Activations, fused: FloatArray, settings: LocalizeSettings) -> tuple[FloatArray, FloatArray]:
    """Return what is thresholded and what segments are scored by, both (T * scale, C)."""
    signal = minmax(one.signal) if settings.normalise else one.signal
    upsampled = upsample(signal, settings.scale)
    if settings.score == "attention_cas":
        return upsampled, upsample(one.attention[:, None] * fused, settings.scale)
    return upsampled, upsampled


def minmax(values: FloatArray) -> FloatArray:
    """Scale each class of (T, C) over time to [0, 1]; a constant class becomes zero."""
    low, high = values.min(axis=0), values.max(axis=0)
    scaled: FloatArray = (values - low) / np.where(high > low, high - low, 1)
    return scaled


def _detect(
    signal: FloatArray,
    scored: FloatArray,
    class_score: float,
    label: str,
    grid: SnippetGrid,
    settings: LocalizeSettings,
) -> Iterator[Detection]:
    """Yield the scored segments of one class in one network's signal, (T * scale,)."""
    sums = np.concatenate(([0.0], np.cumsum(scored, dtype=np.float64)))
    for first, stop in _proposals(signal, settings):
        segment = grid.segment(first / settings.scale, stop / settings.scale)
        if segment.duration_s >= settings.min_duration_s:
            yield Detection(label, segment, _score(sums, first, stop, class_score, settings))


def _proposals(signal: FloatArray, settings: LocalizeSettings) -> list[tuple[int, int]]:
    unit = {"fixed": 1.0, "mean": float(signal.mean()), "max": float(signal.max())}[settings.rule]
    found = [runs(signal > threshold * unit) for threshold in settings.thresholds]
    return sorted({(int(first), int(stop)) for one in found for first, stop in one})


def _score(sums: NDArray[np.float64], first: int, stop: int, class_score: float, settings: LocalizeSettings) -> float:
    inner = float(sums[stop] - sums[first]) / (stop - first)
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
