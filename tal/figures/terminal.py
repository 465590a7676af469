"""A timeline as lines of text.

Heights of blocks tell scores and curves, so nothing is told by colour alone. Where the encoding has no blocks, ASCII
characters of growing weight stand for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size

from tal.figures.clock import clock, tick_step_s, ticks_s
from tal.figures.rows import Picture, Row, binned, columns, networks, scale, shares, stretched, visible
from tal.timelines import Curves, Kind
from tal.types import FloatArray

Line = tuple[tuple[str, str], ...]
"""Pieces of a line: text and the style it is drawn in, as Rich names styles."""

MIN_COLUMNS, SIDE, TICK_COLUMNS = 20, 8, 11
NAMES: dict[Kind, str] = {"shot": "cut", "gap": "no pictures", "damage": "damaged", "ambiguous": "ambiguous"}
COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00")


@dataclass(frozen=True)
class Glyphs:
    """Characters that pictures are made of, one column wide each.

    Attributes:
        levels: From nothing to full.
        truth: A true instance.
        base: The axis.
        tick: A tick on it.
        marks: Kind of mark to character.
        times: What stands before a count.
        between: What stands between two facts.
    """

    levels: str
    truth: str
    base: str
    tick: str
    marks: dict[Kind, str]
    times: str
    between: str


BLOCKS = Glyphs(" ▁▂▃▄▅▆▇█", "━", "─", "┴", {"shot": "╎", "gap": "×", "damage": "!", "ambiguous": "~"}, "×", " · ")
ASCII = Glyphs(" .:-=+*#@", "=", "-", "+", {"shot": "|", "gap": "x", "damage": "!", "ambiguous": "~"}, "x", ", ")


def glyphs_for(encoding: str | None) -> Glyphs:
    """Return the characters that an encoding can write."""
    one_each = (BLOCKS.levels, BLOCKS.truth, BLOCKS.base, BLOCKS.tick, BLOCKS.times, BLOCKS.between)
    try:
        "".join((*one_each, *BLOCKS.marks.values())).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS


def draw(shown: Picture, width: int = 80, glyphs: Glyphs = BLOCKS) -> Iterator[Line]:
    """Yield the lines of a picture, each at most `width` columns wide (at least 40).

    A lane per label: detections as blocks whose height tells the score, with the best score beside them; the true
    instances below, with their number; then the CAS of each network. At the end attention, marks and the time axis.
    """
    sheet = _sheet(shown, max(width, 40), glyphs)
    yield (_cut(visible(shown.video), sheet.width), "bold"), ("", "")
    yield ((_cut(_summary(shown, glyphs), sheet.width), "dim"),)
    for i, label in enumerate(shown.labels):
        yield from _label_lanes(sheet, label, COLOURS[i % len(COLOURS)])
    for row in shown.rows:
        yield from _attention(sheet, row)
    yield from _marks(sheet)
    yield from _axis(sheet)


@dataclass(frozen=True)
class _Sheet:
    """A picture and the columns it is drawn in: `left` for names, `n` for time, then figures."""

    shown: Picture
    glyphs: Glyphs
    width: int
    left: int

    @property
    def n(self) -> int:
        return self.width - self.left - SIDE

    def lane(self, name: str, cells: str, figure: str, style: str, name_style: str = "") -> Line:
        left = set_cell_size(_cut(visible(name), self.left - 1), self.left)
        return (left, name_style), (cells, style), (f" {figure}"[:SIDE].rstrip(), "dim")


def _sheet(shown: Picture, width: int, glyphs: Glyphs) -> _Sheet:
    names = [*shown.labels, *(f"  {row.name}" for row in shown.rows), "  truth"]
    names += [f"  cas {network}" for row in shown.rows for network in row.timeline.curves]
    names += [name for row in shown.rows for name, _ in _attentions(row)]
    longest = max(9, *(cell_len(visible(name)) for name in names)) + 1
    return _Sheet(shown, glyphs, width, min(longest, max(10, width // 3), width - SIDE - MIN_COLUMNS))


def _summary(shown: Picture, glyphs: Glyphs) -> str:
    parts = [clock(shown.duration_s, 0.1 if shown.duration_s < 10 else 1)]
    for row in shown.rows:
        n = len(row.timeline.detections)
        found = "1 detection" if n == 1 else f"{n or 'no'} detections"
        why = f" ({visible(row.timeline.reason)})" if not n and row.timeline.reason else ""
        parts.append((f"{visible(row.name)}: " if row.name else "") + found + why)
    if shown.truth is not None:
        parts.append(f"{len(shown.truth) or 'no'} true")
    return glyphs.between.join(parts)


def _label_lanes(sheet: _Sheet, label: str, colour: str) -> Iterator[Line]:
    several = len(sheet.shown.rows) > 1
    if several:
        yield ((_cut(visible(label), sheet.width), f"bold {colour}"),)
    for row in sheet.shown.rows:
        cells, best = _detections(sheet, row, label)
        name = f"  {row.name}" if several else label
        yield sheet.lane(name, cells, best, colour, "" if several else f"bold {colour}")
        for network, curves in networks(row, label):
            heights = stretched(curves.cas[label], *scale(curves, sheet.shown.labels))
            yield _curve(sheet, f"  cas {network}".rstrip(), curves.times_s, heights)
    if sheet.shown.truth is not None:
        segments = [one.segment for one in sheet.shown.truth if one.label == label]
        drawn = [" "] * sheet.n
        for segment in segments:
            first, last = columns(segment, sheet.shown.duration_s, sheet.n)
            drawn[first:last] = sheet.glyphs.truth * (last - first)
        count = f"{sheet.glyphs.times}{len(segments)}" if segments else ""
        yield sheet.lane("  truth", "".join(drawn), count, "bold", "dim")


def _detections(sheet: _Sheet, row: Row, label: str) -> tuple[str, str]:
    """Return the cells of a method's detections of a label, and its best score."""
    heights, best = np.zeros(sheet.n), None
    relative = shares(row.timeline)
    for i, one in enumerate(row.timeline.detections):
        if one.label != label:
            continue
        best = one.score if best is None else max(best, one.score)
        first, last = columns(one.segment, sheet.shown.duration_s, sheet.n)
        heights[first:last] = np.maximum(heights[first:last], max(relative[i], 1e-6))
    return _blocks(sheet, heights), "" if best is None else f"{best:.3g}"


def _curve(sheet: _Sheet, name: str, times_s: NDArray[np.float64], heights: NDArray[np.float64]) -> Line:
    cells = _blocks(sheet, binned(times_s, heights, sheet.shown.duration_s, sheet.n))
    return sheet.lane(name, cells, "", "dim", "dim")


def _attention(sheet: _Sheet, row: Row) -> Iterator[Line]:
    for name, curves in _attentions(row):
        if curves.attention is not None:
            yield _curve(sheet, name, curves.times_s, _as_share(curves.attention))


def _attentions(row: Row) -> Iterator[tuple[str, Curves]]:
    """Yield what attention lanes are called, with their curves."""
    for network, curves in row.timeline.curves.items():
        if curves.attention is not None and len(curves.times_s):
            which = (row.name, network if len(row.timeline.curves) > 1 else "")
            yield " ".join(("attention", *filter(None, which))), curves


def _as_share(values: FloatArray) -> NDArray[np.float64]:
    return np.clip(np.asarray(values, np.float64), 0, 1)


def _blocks(sheet: _Sheet, heights: NDArray[np.float64]) -> str:
    """Return heights in [0, 1] as characters; what is above 0 is always to be seen."""
    levels = sheet.glyphs.levels
    return "".join(levels[int(np.ceil(h * (len(levels) - 1) - 1e-9))] for h in heights.tolist())


def _marks(sheet: _Sheet) -> Iterator[Line]:
    """Yield a lane with the marks that have a place, and what they mean; later kinds are drawn over earlier ones."""
    cells, kinds = [" "] * sheet.n, dict[Kind, None]()
    for kind in NAMES:
        for mark in sheet.shown.marks:
            first, last = columns(mark.segment, sheet.shown.duration_s, sheet.n)
            if mark.kind == kind and last - first < sheet.n:
                cells[first:last] = sheet.glyphs.marks[kind] * (last - first)
                kinds[kind] = None
    if kinds:
        yield sheet.lane("marks", "".join(cells), "", "dim", "dim")
        meaning = ", ".join(f"{sheet.glyphs.marks[kind]} {NAMES[kind]}" for kind in kinds)
        yield ((_cut(" " * sheet.left + meaning, sheet.width), "dim"),)
    for mark in sheet.shown.marks:
        if columns(mark.segment, sheet.shown.duration_s, sheet.n) == (0, sheet.n):
            yield ((_cut(f"{NAMES[mark.kind]}: {visible(mark.text)}", sheet.width), "dim"),)


def _axis(sheet: _Sheet) -> Iterator[Line]:
    n, duration_s = sheet.n, sheet.shown.duration_s
    n_ticks = max(2, n // TICK_COLUMNS)
    step_s = tick_step_s(duration_s, n_ticks)
    line, texts = [sheet.glyphs.base] * n, [" "] * (n + SIDE)
    for at_s in ticks_s(duration_s, n_ticks):
        place = min(n - 1, int(at_s / duration_s * n))
        line[place] = sheet.glyphs.tick
        _write(texts, place, clock(at_s, step_s))
    yield (" " * sheet.left, ""), ("".join(line), "dim")
    yield (" " * sheet.left, ""), ("".join(texts).rstrip(), "dim")


def _write(cells: list[str], place: int, text: str) -> None:
    """Write text from a place on where there is room for it."""
    if place + len(text) <= len(cells) and not "".join(cells[max(0, place - 1) : place]).strip():
        cells[place : place + len(text)] = text


def _cut(text: str, width: int) -> str:
    """Return text no wider than `width` columns, its end replaced by dots where it was longer."""
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 2)) + ".."


def plain(lines: Sequence[Line]) -> str:
    """Return lines as text without styles."""
    return "\n".join("".join(text for text, _ in line).rstrip() for line in lines)
