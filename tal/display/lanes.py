"""One video as a picture: a lane per class with its detections, the truth below them, marks across, attention on top.

The picture is an SVG of fixed user units (px at its largest) that shrinks with the page. A bar's filling tells its
score, hovering tells the rest, and the same numbers stand in a table below.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tal.display.drawable import Drawable, Placed
from tal.display.tables import table
from tal.display.texts import cut, markup, safe
from tal.types import Detection, FloatArray, Segment

WIDTH, GUTTER, MARGIN = 760, 150, 14
LANE, TRUTH, CURVE, AXIS, TEXT = 24, 7, 30, 22, 30
MAX_LANES, MAX_BARS, MAX_POINTS, MAX_ROWS = 24, 400, 400, 50
PALETTE = ("#2f7ed8", "#c8641e", "#2e9e5b", "#b75cc4", "#c94f5b", "#8a7a1f", "#1f93a3", "#7d73d6")
NEUTRAL = "#808080"


@dataclass(frozen=True)
class _Sheet:
    """Where things lie, in user units."""

    span_s: float
    labels: tuple[str, ...]
    has_truth: bool
    top: int

    @property
    def lane(self) -> int:
        return LANE + (TRUTH + 2 if self.has_truth else 0)

    @property
    def bottom(self) -> int:
        return self.top + self.lane * len(self.labels)

    def x(self, seconds: float) -> float:
        share = min(max(0.0, seconds / self.span_s), 1.0)
        return round(GUTTER + share * (WIDTH - GUTTER - MARGIN), 2)

    def y(self, label: str) -> int:
        return self.top + self.lane * self.labels.index(label)


def timeline(found: Drawable) -> str:
    """Return one video as HTML with an inline SVG: no scripts, nothing from elsewhere, all names escaped.

    At most 24 lanes and the 400 best detections are drawn; a line below says what was left out.
    """
    attention = _attention(found.curves)
    sheet = _sheet(found, attention)
    best = sorted(found.detections, key=lambda one: -one.score)
    drawn = [one for one in best if one.label in sheet.labels][:MAX_BARS]
    parts = [
        *_marks(found.marks, sheet),
        *(_curve(*attention, sheet) if attention else ()),
        *_lanes(sheet),
        *_bars(drawn, sheet),
        *(_true(one, sheet) for one in found.truth or () if one.label in sheet.labels),
        *_axis(sheet),
    ]
    picture = _svg(found, sheet, "".join(parts)) if found.duration_s > 0 or drawn else ""
    return f"<div><div><strong>{markup(found.video)}</strong></div>{picture}{_below(found, best, len(drawn))}</div>"


def _svg(found: Drawable, sheet: _Sheet, parts: str) -> str:
    text = f"{found.video}: {len(found.detections)} detections in {found.duration_s:.2f} s"
    size = f'viewBox="0 0 {WIDTH} {sheet.bottom + AXIS}" style="width:100%;max-width:{WIDTH}px;height:auto"'
    return f'<svg role="img" aria-label="{markup(text)}" {size}>{parts}</svg>'


def _sheet(found: Drawable, attention: object) -> _Sheet:
    ends = [one.segment.end_s for one in (*found.detections, *(found.truth or ()))]
    span_s = max((end_s for end_s in (found.duration_s, *ends) if math.isfinite(end_s)), default=0.0)
    return _Sheet(
        max(span_s, 1e-3), tuple(found.labels[:MAX_LANES]), found.truth is not None, 4 + (CURVE if attention else 0)
    )


def _lanes(sheet: _Sheet) -> Iterator[str]:
    """Yield each class's name and base line."""
    for label in sheet.labels:
        y = sheet.y(label)
        yield _text(GUTTER - 8, y + LANE / 2 + 4, cut(safe(label), 22), "end", 12)
        yield f'<path d="M{GUTTER} {y + LANE - 1}H{WIDTH - MARGIN}" stroke="{NEUTRAL}" stroke-opacity=".35"/>'


def _bars(drawn: Sequence[Detection], sheet: _Sheet) -> list[str]:
    """Return detections, the best on top; a score is written where it fits and hides no better one.

    Args:
        drawn: By falling score.
        sheet: Where things lie.
    """
    bars, written = [], dict[str, list[float]]()
    for one in drawn:
        x, end, others = sheet.x(one.segment.start_s), sheet.x(one.segment.end_s), written.setdefault(one.label, [])
        middle = (x + end) / 2
        free = end - x > TEXT and all(abs(middle - other) > TEXT for other in others)
        others += [middle] if free else []
        bars.append(_bar(one, sheet, drawn[0].score, free))
    return bars[::-1]


def _bar(one: Detection, sheet: _Sheet, best: float, written: bool) -> str:
    """Return a detection; the share of the best score that it has is how much its bar is filled."""
    share = min(max(one.score / best, 0.0), 1.0) if best > 0 else 0.0
    x, end, y = sheet.x(one.segment.start_s), sheet.x(one.segment.end_s), sheet.y(one.label)
    colour = PALETTE[sheet.labels.index(one.label) % len(PALETTE)]
    fill = f'fill="{colour}" fill-opacity="{0.15 + 0.7 * share:.2f}" stroke="{colour}"'
    inside = _text((x + end) / 2, y + LANE / 2 + 3, f"{one.score:.2f}", "middle", 10) if written else ""
    title = f"{one.label}: {_times(one.segment)}, score {one.score:.3f}"
    return _told(_rect(x, y + 3, end - x, LANE - 8, fill) + inside, title)


def _true(one: Placed, sheet: _Sheet) -> str:
    x, end = sheet.x(one.segment.start_s), sheet.x(one.segment.end_s)
    box = _rect(x, sheet.y(one.label) + LANE, end - x, TRUTH, 'fill="currentColor" fill-opacity=".55"')
    return _told(box, f"truth, {one.label}: {_times(one.segment)}")


def _marks(marks: Sequence[Any], sheet: _Sheet) -> Iterator[str]:
    """Yield bands across all lanes, and lines for what has no length."""
    for mark in marks:
        x, end = sheet.x(mark.segment.start_s), sheet.x(mark.segment.end_s)
        box = _rect(x, 0, max(end - x, 1), sheet.bottom, f'fill="{NEUTRAL}" fill-opacity=".4"')
        yield _told(box, " ".join(filter(None, (f"{mark.kind}: {_times(mark.segment)}", mark.text))))


def _attention(curves: Mapping[str, Any]) -> tuple[Sequence[float], FloatArray] | None:
    """Return the times and values of the first network that has attention."""
    return next(((one.times_s, one.attention) for one in curves.values() if one.attention is not None), None)


def _curve(times_s: Sequence[float], values: FloatArray, sheet: _Sheet) -> Iterator[str]:
    """Yield attention, a curve in [0, 1]; of many neighbours the largest is drawn."""
    step = max(1, math.ceil(len(values) / MAX_POINTS))
    peaks = [(float(times_s[i]), float(values[i : i + step].max())) for i in range(0, len(values), step)]
    points = " ".join(f"{sheet.x(t)},{CURVE - (CURVE - 6) * min(max(0.0, v), 1.0):.1f}" for t, v in peaks)
    yield _text(GUTTER - 8, CURVE - 8, "attention", "end", 12)
    yield f'<polyline points="{points}" fill="none" stroke="{NEUTRAL}" stroke-width="1.5"/>'


def _axis(sheet: _Sheet) -> Iterator[str]:
    step_s, y = tick_step_s(sheet.span_s), sheet.bottom
    yield f'<path d="M{GUTTER} {y}H{WIDTH - MARGIN}" stroke="currentColor"/>'
    for i in range(int(sheet.span_s / step_s) + 1):
        x = sheet.x(i * step_s)
        yield f'<path d="M{x} {y}v4" stroke="currentColor"/>'
        yield _text(x, y + 16, _tick(i * step_s, step_s), "middle", 10)


def tick_step_s(span_s: float) -> float:
    """Return seconds between ticks: 1, 2 or 5 times a power of ten, or whole minutes; at most ten fit into `span_s`."""
    minutes = (60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)
    if 300 < span_s <= 36000:
        return next(step_s for step_s in minutes if span_s / step_s <= 10)
    power = 10.0 ** math.floor(math.log10(span_s / 10))
    return next(float(power * factor) for factor in (1, 2, 5, 10, 20) if span_s / (power * factor) <= 10)


def _tick(seconds: float, step_s: float) -> str:
    if step_s >= 60:
        return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
    return f"{seconds:.{max(0, -math.floor(math.log10(step_s)))}f} s"


def _times(segment: Segment) -> str:
    return f"{segment.start_s:.2f} to {segment.end_s:.2f} s"


def _rect(x: float, y: float, width: float, height: float, look: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{max(width, 0.5):.2f}" height="{height}" rx="2" {look}/>'


def _text(x: float, y: float, text: str, anchor: str, size: int) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text {place} fill="currentColor">{markup(text)}</text>'


def _told(shape: str, text: str) -> str:
    return f"<g><title>{markup(text)}</title>{shape}</g>"


def _below(found: Drawable, best: Sequence[Detection], n_drawn: int) -> str:
    """Return the numbers of the best detections, and what is not shown."""
    if not best:
        return f"<div>no detections{f': {markup(found.reason)}' if found.reason else ''}</div>"
    rows = [(one.label, one.segment.start_s, one.segment.end_s, one.score) for one in best[:MAX_ROWS]]
    head = f"best {len(rows)} of {len(best)} detections" if len(rows) < len(best) else f"{len(best)} detections"
    left = f"<div>{len(best) - n_drawn} detections are not drawn</div>" if n_drawn < len(best) else ""
    listed = table("", ("label", "start s", "end s", "score"), rows)
    return f"{left}<details><summary>{head}</summary>{listed}</details>"
