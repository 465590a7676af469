"""A video's timeline as papers show it: truth, and below it what each method says, with its CAS.

Drawn without `pyplot`, so no backend, style or open figure of the program around is touched. Text stays text and lines
stay lines in SVG and PDF. Colours are those of Okabe and Ito, which people with colour vision deficiencies can tell
apart; each strip carries its name, and a lighter shade is a lower score.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tal.errors import ConfigError
from tal.figures.clock import clock, tick_step_s, ticks_s
from tal.figures.rows import Picture, Row, networks, scale, shares, stretched, visible
from tal.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN_IN, PAGE_IN = 3.25, 6.875
"""Widths of a column and of the text of a CVPR paper, inches."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
TRUTH, AMBIGUOUS, INK = "#333333", "#BBBBBB", "#222222"
LINES, MARKS = ("-", "--", ":", "-."), ("—", "--", "···", "-·-")
FAINTEST = 0.3
"""Share of its colour that the lowest score keeps."""
STRIP_IN, CURVE_IN, TITLE_IN, FOOT_IN, GAP_IN = 0.15, 0.34, 0.18, 0.16, 0.045
PAD_IN = 0.16
"""Room around names."""
DPI = 300
KINDS = ("png", "svg", "pdf")


@dataclass(frozen=True)
class Look:
    """How a figure looks.

    Attributes:
        width_in: Width in inches: 3.25 for a column of a paper, 6.875 for both.
        title: What stands above; empty for nothing.
    """

    width_in: float = PAGE_IN
    title: str = ""

    def __post_init__(self) -> None:
        if not 1.5 <= self.width_in <= 50:
            raise ConfigError(
                f"a figure {self.width_in:g} inches wide; choose 1.5 to 50, e.g. {COLUMN_IN} for a column"
            )


@dataclass(frozen=True)
class _Strip:
    """One line of a figure: what fills it, how high it is, what stands in it and to its left."""

    kind: Literal["title", "truth", "detections", "curve"]
    height_in: float
    label: str
    name: str = ""
    row: Row | None = None
    colour: str = TRUTH


def write(shown: Picture, path: Path, look: Look | None = None) -> Path:
    """Draw a picture into a file; ``.png``, ``.svg`` or ``.pdf`` at its end says which kind.

    Raises:
        ConfigError: If it ends otherwise.
        StorageError: If it cannot be written.
    """
    import matplotlib as mpl

    kind = path.suffix.lower().lstrip(".")
    if kind not in KINDS:
        raise ConfigError(f"{path}: not a kind of figure that is drawn; end the name with .png, .svg or .pdf")
    buffer = io.BytesIO()
    as_text: Any = {"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "tal"}
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": None}
    with mpl.rc_context(as_text):
        draw(shown, look).savefig(buffer, format=kind, metadata=dates[kind])
    write_atomic(path, buffer.getvalue())
    return path


def draw(shown: Picture, look: Look | None = None) -> Figure:
    """Return the figure; it is as high as what it shows needs."""
    from matplotlib.figure import Figure

    look = look or Look()
    strips = list(_strips(shown))
    left_in = _left_in(strips, look)
    strips = [replace(strip, name=_cut(strip.name, (left_in - PAD_IN) / _letter_in(strip))) for strip in strips]
    top_in = TITLE_IN if look.title else 0.04
    height_in = top_in + sum(strip.height_in + GAP_IN for strip in strips) + FOOT_IN
    figure = Figure(figsize=(look.width_in, height_in), dpi=DPI)
    if look.title:
        text = visible(look.title)
        figure.text(left_in / look.width_in, 1 - 0.12 / height_in, text, size=8, color=INK, parse_math=False)
    y_in = height_in - top_in
    axes = None
    for strip in strips:
        y_in -= strip.height_in
        box = (left_in / look.width_in, y_in / height_in, 1 - (left_in + 0.1) / look.width_in)
        axes = figure.add_axes((*box, strip.height_in / height_in))
        _fill(axes, strip, shown)
        y_in -= GAP_IN
    if axes is not None:
        _time_axis(axes, shown.duration_s, look.width_in - left_in)
    return figure


def _strips(shown: Picture) -> Iterator[_Strip]:
    """Yield what is drawn, from above: for each label the truth, then each method with its CAS."""
    for label in shown.labels or ("",):
        yield _Strip("title", TITLE_IN, label)
        if shown.truth is not None:
            yield _Strip("truth", STRIP_IN, label, "Truth")
        for i, row in enumerate(shown.rows):
            colour = COLOURS[i % len(COLOURS)]
            yield _Strip("detections", STRIP_IN, label, visible(row.name) or "Prediction", row, colour)
            if any(networks(row, label)):
                yield _Strip("curve", CURVE_IN, label, _curve_name(row, label), row, colour)


def _left_in(strips: list[_Strip], look: Look) -> float:
    """Return how much room names need, inches; a third of the width at most."""
    longest_in = max(len(strip.name) * _letter_in(strip) for strip in strips)
    return min(PAD_IN + longest_in, look.width_in / 3)


def _letter_in(strip: _Strip) -> float:
    """Return how wide a letter of a strip's name is, inches."""
    return 0.054 if strip.kind == "curve" else 0.062


def _cut(text: str, n_letters: float) -> str:
    return text if len(text) <= n_letters + 0.01 else text[: max(1, int(n_letters) - 1)] + "…"


def _curve_name(row: Row, label: str) -> str:
    """Return what stands beside curves; of several networks, how each is drawn."""
    names = [visible(network) for network, _ in networks(row, label)]
    dashed = [f"{name} {mark}" for name, mark in zip(names, itertools.cycle(MARKS), strict=False)]
    return ", ".join(dashed) if len(names) > 1 else "CAS"


def _fill(axes: Axes, strip: _Strip, shown: Picture) -> None:
    axes.set(xlim=(0, shown.duration_s), ylim=(0, 1), xticks=[], yticks=[])
    if strip.kind == "title":
        axes.axis("off")
        text = visible(strip.label) or "no detections"
        axes.text(0, 0.15, text, size=7.5, weight="bold", color=INK, parse_math=False, transform=axes.transAxes)
    elif strip.kind == "curve" and strip.row is not None:
        _curve(axes, strip, strip.row, shown)
    else:
        for side in axes.spines.values():
            side.set(linewidth=0.4, color="#999999")
        _bars(axes, strip, shown)


def _bars(axes: Axes, strip: _Strip, shown: Picture) -> None:
    if strip.row is None:
        spans = [(mark.segment, AMBIGUOUS) for mark in shown.marks if mark.kind == "ambiguous"]
        spans += [(one.segment, TRUTH) for one in shown.truth or () if one.label == strip.label]
    else:
        found, relative = strip.row.timeline.detections, shares(strip.row.timeline)
        order = sorted((i for i in relative if found[i].label == strip.label), key=lambda i: relative[i])
        spans = [(found[i].segment, _shade(strip.colour, relative[i])) for i in order]  # the best lies on top
    for segment, colour in spans:
        axes.axvspan(segment.start_s, segment.end_s, color=colour, linewidth=0)
    _name(axes, strip.name)


def _curve(axes: Axes, strip: _Strip, row: Row, shown: Picture) -> None:
    """Draw the CAS of a label from the least to the greatest of all labels that are shown."""
    for i, (_, curves) in enumerate(networks(row, strip.label)):
        heights = stretched(curves.cas[strip.label], *scale(curves, shown.labels))
        dash = LINES[i % len(LINES)]
        axes.plot(curves.times_s, heights, color=strip.colour, linewidth=0.8, linestyle=dash)
        if i == 0:
            axes.fill_between(curves.times_s, heights, color=strip.colour, alpha=0.15, linewidth=0)
    axes.set_ylim(0, 1.05)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set(linewidth=0.4, color="#999999")
    _name(axes, strip.name, 6)


def _name(axes: Axes, text: str, size: float = 7) -> None:
    axes.text(
        -0.012,
        0.5,
        visible(text),
        size=size,
        ha="right",
        va="center",
        color=INK,
        parse_math=False,
        transform=axes.transAxes,
        clip_on=False,
    )


def _shade(colour: str, share: float) -> str:
    """Return a colour mixed with white: opaque, so that overlaps do not look like better scores."""
    from matplotlib.colors import to_hex, to_rgb

    strength = FAINTEST + (1 - FAINTEST) * share
    red, green, blue = (1 - strength * (1 - part) for part in to_rgb(colour))
    return to_hex((red, green, blue))


def _time_axis(axes: Axes, duration_s: float, room_in: float) -> None:
    n = max(2, int(room_in / 0.5))
    step_s = tick_step_s(duration_s, n)
    times = ticks_s(duration_s, n)
    axes.set_xticks(times, [clock(at_s, step_s) for at_s in times], size=6.5, color=INK)
    axes.tick_params(axis="x", length=2, width=0.5, color=INK, pad=1.5)
