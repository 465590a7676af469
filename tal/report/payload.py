"""A timeline as JSON for the page: curves decimated, quantised and packed.

Packed curves are base64 of little-endian uint16: 0 is the least value, 65535 the largest. Long ones keep, of each of
`MAX_POINTS` / 2 equal stretches, the least and the largest value in their order, so that no peak is lost; all curves of
a network keep the same number of points, whose times are spread evenly over their stretch.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tal.timelines import Curves, Timeline

MAX_POINTS = 4096
LEVELS = 65535
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def script_json(value: Any) -> str:
    """Return JSON that may stand inside a ``<script>`` element whatever texts it holds.

    Raises:
        ValueError: If there is a number that is not finite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPES).encode("utf-8", "backslashreplace").decode()


def card(timeline: Timeline, href: str) -> dict[str, Any]:
    """Return what the list of videos says of one."""
    best = max((d.score for d in timeline.detections), default=None)
    return {
        "name": timeline.video,
        "href": href,
        "duration_s": _ms(timeline.duration_s),
        "n_detections": len(timeline.detections),
        "n_truth": None if timeline.truth is None else len(timeline.truth),
        "best": None if best is None else _score(best),
        "labels": list(timeline.labels),
        "reason": timeline.reason,
    }


def payload(timeline: Timeline) -> dict[str, Any]:
    """Return all that a video's page draws, JSON-ready.

    Returns:
        ``name``, ``duration_s``, ``labels`` (those that occur, then those with curves alone), ``n_occurring``,
        ``detections`` [[index of label, start_s, end_s, score], ...], ``truth`` without scores or null, ``marks``
        [[kind, start_s, end_s, text], ...], ``curves`` by network, ``reason``.
    """
    occurring = timeline.labels
    silent = sorted({label for one in timeline.curves.values() for label in one.cas} - set(occurring))
    labels = [*occurring, *silent]
    index = {label: i for i, label in enumerate(labels)}
    truth = timeline.truth
    return {
        "name": timeline.video,
        "duration_s": _ms(timeline.duration_s),
        "labels": labels,
        "n_occurring": len(occurring),
        "detections": [[index[d.label], *_span(d.segment, timeline), _score(d.score)] for d in timeline.detections],
        "truth": None if truth is None else [[index[i.label], *_span(i.segment, timeline)] for i in truth],
        "marks": [[mark.kind, *_span(mark.segment, timeline), mark.text] for mark in timeline.marks],
        "curves": {network: _curves(one, index) for network, one in timeline.curves.items()},
        "reason": timeline.reason,
    }


def _ms(seconds: float) -> float:
    return round(seconds, 3) if math.isfinite(seconds) else 0.0


def _score(score: float) -> float:
    return float(f"{score:.5g}") if math.isfinite(score) else 0.0


def _span(segment: Any, timeline: Timeline) -> list[float]:
    """Return start and end, seconds; what has no end ends with the video."""
    end_s = segment.end_s if math.isfinite(segment.end_s) else timeline.duration_s
    return [_ms(segment.start_s), _ms(end_s)]


def _curves(one: Curves, index: Mapping[str, int]) -> dict[str, Any]:
    """Return packed curves by index of label."""
    return {
        "times_s": _times(one.times_s),
        "cas": {index[label]: packed(values) for label, values in one.cas.items() if label in index},
        "signal": {index[label]: packed(values) for label, values in one.signal.items() if label in index},
        "attention": None if one.attention is None else packed(one.attention),
    }


def _times(times_s: NDArray[np.float64]) -> list[float]:
    """Return the middles of the points that `decimated` keeps: first, last, how many; snippets are evenly spaced."""
    t = len(times_s)
    if t <= MAX_POINTS:
        kept = times_s
    else:
        kept = np.interp((np.arange(MAX_POINTS) + 0.5) * t / MAX_POINTS - 0.5, np.arange(t), times_s)
    return [] if not t else [round(float(kept[0]), 4), round(float(kept[-1]), 4), len(kept)]


def packed(values: NDArray[Any]) -> dict[str, Any]:
    """Return a curve (T,) as ``low``, ``high`` and ``data``; what is not finite becomes the least value."""
    kept = decimated(np.asarray(values, np.float64))
    finite = kept[np.isfinite(kept)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    spread = (high - low) or 1.0
    whole = np.where(np.isfinite(kept), kept, low)
    levels = np.round((whole - low) / spread * LEVELS).astype("<u2")
    data = base64.b64encode(levels.tobytes()).decode("ascii")
    return {"low": _rounded(low), "high": _rounded(high), "data": data}


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def decimated(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return at most `MAX_POINTS` of (T,) values: least and largest of each stretch, in their order."""
    t, n = len(values), MAX_POINTS // 2
    if t <= MAX_POINTS:
        return values
    bounds = np.arange(n + 1) * t // n
    low, high = (f.reduceat(values, bounds[:-1]) for f in (np.minimum, np.maximum))
    stretch = np.repeat(np.arange(n), np.diff(bounds))
    at_low, at_high = (_first_of(values == extreme[stretch], stretch, n) for extreme in (low, high))
    rising = at_low <= at_high
    return np.stack([np.where(rising, low, high), np.where(rising, high, low)], axis=1).reshape(-1)


def _first_of(hit: NDArray[np.bool_], stretch: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return the index of the first hit in each of `n` stretches, (n,); each has one."""
    where = np.flatnonzero(hit)
    found = np.full(n, -1, np.int64)
    found[stretch[where][::-1]] = where[::-1]
    return found
