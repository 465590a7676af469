"""Evaluation as scripts do it: plain loops that follow each protocol's definition, to compare results and time with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tal.annotations import Truth
from tal.results import Results

Span = tuple[float, float]
Ranked = list[tuple[str, Span]]
Real = list[tuple[str, Span]]
Order = Callable[[NDArray[np.float64]], NDArray[np.int64]]


def plain_ap(known: Truth, found: Results, protocol: str, tiou: float, label: str) -> float:
    """AP of one class at one threshold."""
    real = [(n, (i.segment.start_s, i.segment.end_s)) for n, v in known.videos.items() for i in v.instances
            if i.label == label]  # fmt: skip
    vague = [(n, (s.start_s, s.end_s)) for n, v in known.videos.items() for s in v.ambiguous]
    ranked = _ranked(found, protocol, label)
    count = {"activitynet": _activitynet, "thumos14": _thumos14, "wtalc": _wtalc, "snippet": _snippet}[protocol]
    hits = count(ranked, real, vague, tiou)
    return _area(hits, len(real), interpolated=protocol in {"activitynet", "snippet"})


def _ranked(found: Results, protocol: str, label: str) -> Ranked:
    rows = [(d.score, n, k, (d.segment.start_s, d.segment.end_s)) for n, listed in found.by_video.items()
            for k, d in enumerate(listed) if d.label == label]  # fmt: skip
    if protocol == "thumos14":
        rows.sort(key=lambda row: (-row[0], row[1], row[2]))
    elif protocol == "wtalc":
        rows.sort(key=lambda row: -row[0])  # a stable sort
    else:
        rows.sort(key=lambda row: row[0])
        rows.reverse()
    return [(row[1], row[3]) for row in rows]


def _iou(a: Span, b: Span) -> float:
    shared = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - shared
    return shared / union if union > 0 else 0.0


def _activitynet(ranked: Ranked, real: Real, vague: Real, tiou: float) -> list[bool]:
    taken: set[int] = set()
    hits = []
    for video, span in ranked:
        fits = [(_iou(span, other), k) for k, (n, other) in enumerate(real) if n == video and k not in taken]
        hit = bool(fits) and max(fits)[0] >= tiou
        if hit:
            taken.add(max(fits)[1])
        hits.append(hit)
    return hits


def _thumos14(ranked: Ranked, real: Real, vague: Real, tiou: float) -> list[bool]:
    right: set[int] = set()
    for video, span in real:
        best, best_iou = -1, tiou
        for k, (n, other) in enumerate(ranked):
            if n == video and k not in right and _iou(span, other) > best_iou:
                best, best_iou = k, _iou(span, other)
        if best >= 0:
            right.add(best)
    told = []
    for k, (video, span) in enumerate(ranked):
        if k in right or not any(n == video and _iou(span, other) > 0 for n, other in vague):
            told.append(k in right)
    return told


def _grid(span: Span) -> set[int]:
    return set(range(round(span[0] * 25 / 16), round(span[1] * 25 / 16)))


def _wtalc(ranked: Ranked, real: Real, vague: Real, tiou: float) -> list[bool]:
    left = [(n, _grid(span)) for n, span in real]
    hits = []
    for video, span in ranked:
        cells = _grid(span)
        if any(n == video and cells & _grid(other) for n, other in vague):
            continue
        for k, (n, other) in enumerate(left):
            if n == video and cells | other and len(cells & other) / len(cells | other) >= tiou:
                del left[k]
                hits.append(True)
                break
        else:
            hits.append(False)
    return hits


def _snippet(ranked: Ranked, real: Real, vague: Real, tiou: float) -> list[bool]:
    def whole(rows: Real) -> Real:
        return [(n, (round(s * 25 / 16), round(e * 25 / 16))) for n, (s, e) in rows]

    scaled = [(n, (round(s * 25 / 16, 6), round(e * 25 / 16, 6))) for n, (s, e) in ranked]
    kept = [(n, span) for n, span in scaled
            if not any(m == n and _iou(span, other) > 0 for m, other in whole(vague))]  # fmt: skip
    return _activitynet(kept, whole(real), [], tiou)


def _area(hits: list[bool], n_real: int, interpolated: bool) -> float:
    precision, n_hits = [], 0
    for rank, hit in enumerate(hits, start=1):
        n_hits += hit
        precision.append(n_hits / rank)
    if interpolated:
        for k in range(len(hits) - 2, -1, -1):
            precision[k] = max(precision[k], precision[k + 1])
    return sum(p for p, hit in zip(precision, hits, strict=True) if hit) / n_real


def kit_map(found: Results, known: Truth, tiou: float, order: Order) -> float:
    """Return mAP under the ActivityNet protocol; `order` gives the indices of scores in file order, best first."""
    aps = []
    for label in known.classes:
        rows = [(n, (d.segment.start_s, d.segment.end_s), d.score) for n, listed in found.by_video.items()
                for d in listed if d.label == label]  # fmt: skip
        real = {n: [(i.segment.start_s, i.segment.end_s) for i in v.instances if i.label == label]
                for n, v in known.videos.items()}  # fmt: skip
        taken: dict[str, set[int]] = {n: set() for n in real}
        hits = []
        for k in order(np.array([row[2] for row in rows])):
            video, span, _ = rows[k]
            spans = real.get(video, [])
            fits = [(_iou(span, spans[j]), j) for j in range(len(spans)) if j not in taken[video]]
            hits.append(bool(fits) and max(fits)[0] >= tiou)
            if hits[-1]:
                taken[video].add(max(fits)[1])
        hit = np.array(hits)
        precision = np.maximum.accumulate((hit.cumsum() / np.arange(1, len(hit) + 1))[::-1])[::-1]
        aps.append(float(precision[hit].sum()) / sum(map(len, real.values())))
    return float(np.mean(aps))
