"""The figures of docs/scale.md: where the bottleneck moves with cores beside a GPU, and with GPUs."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from _scale_costs import FAST_FLOW, RGB, TWO_STREAM, Choice, Fleet, bottleneck, demand, gpu_fleet, limits
from _scale_rates import Assumptions, Rates

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = {TWO_STREAM: "both streams", FAST_FLOW: "flow fast", RGB: "RGB only"}
COLOURS = {
    "decoding (CPU)": "#0072B2", "flow (GPU)": "#D55E00", "I3D (GPU)": "#CC79A7",
    "network of the machines": "#009E73", "object store": "#7F7F7F", "ledgers": "#E69F00",
    "writes of objects": "#56B4E9",
}  # fmt: skip


def draw(rates: Rates, a: Assumptions, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the figures as SVG, by file name."""
    return {
        "scale-cores.svg": _svg(lambda axes: _by_cores(axes, rates, a, rows)),
        "scale-gpus.svg": _svg(lambda axes: _by_gpus(axes, rates, a)),
    }


def _by_cores(axes: Axes, rates: Rates, a: Assumptions, rows: Sequence[Mapping[str, Any]]) -> None:
    counts = np.unique(np.round(np.geomspace(1, 128, 60)).astype(int))
    for choice, name in NAMES.items():
        _line(axes, _limited(counts.tolist(), choice, lambda n: gpu_fleet(8, n, a), rates, a), 8, name, -1)
        found = [re.match(rf"simulated, {name}, (\d+) cores a GPU", one["name"]) for one in rows]
        points = [(int(hit[1]), one["ours"]) for hit, one in zip(found, rows, strict=True) if hit]
        axes.plot(*zip(*points, strict=True), "ko", markersize=4, zorder=3)
    axes.set(xlabel="CPU cores beside each of 8 GPUs", ylabel="times real time, per GPU", xscale="log", yscale="log")
    _legend(axes, "simulated")


def _by_gpus(axes: Axes, rates: Rates, a: Assumptions) -> None:
    counts = np.unique(np.round(np.geomspace(1, 8192, 60)).astype(int))
    for choice, name in NAMES.items():
        _line(axes, _limited(counts.tolist(), choice, lambda n: gpu_fleet(n, 16, a), rates, a), 1, name, 15)
    axes.set(xlabel="GPUs, 16 CPU cores each", ylabel="times real time", xscale="log", yscale="log")
    _legend(axes, "")


Limited = list[tuple[int, str, float]]
"""For each count: what limits a fleet of that size, and its speed."""


def _limited(counts: list[int], choice: Choice, fleet: Callable[[int], Fleet], rates: Rates, a: Assumptions) -> Limited:
    need = demand(replace(choice, gpu=True), rates, a)
    return [(n, *bottleneck(limits(need, fleet(n), rates, a))) for n in counts]


def _line(axes: Axes, found: Limited, share: int, name: str, at: int) -> None:
    """Draw a choice's speed, coloured by what limits it, with its name at one of the points."""
    for (x, stage, y), (x_next, _, y_next) in pairwise(found):
        style = {"color": COLOURS[stage], "linewidth": 2, "solid_capstyle": "butt"}
        axes.plot([x, x_next], [y / share, y_next / share], label=stage, **style)
    n, _, speed = found[at]
    place, side = ((-4, 6), "right") if at < 0 else ((4, -9), "left")
    axes.annotate(name, (n, speed / share), xytext=place, textcoords="offset points", fontsize=8, ha=side)


def _legend(axes: Axes, points: str) -> None:
    lines, labels = axes.get_legend_handles_labels()
    known = dict(zip(labels, lines, strict=True))
    if points:
        known[points] = axes.plot([], [], "ko", markersize=4)[0]
    axes.legend(known.values(), known.keys(), fontsize=8, frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.02)


def _svg(paint: Callable[[Axes], None]) -> str:
    """Return a figure that is the same at every drawing: no date, no random names."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "scale", "svg.fonttype": "none", "font.family": "sans-serif"}):
        drawing, text = Figure(figsize=(7, 4), layout="constrained"), io.StringIO()
        FigureCanvasSVG(drawing)
        drawing.patch.set_facecolor("white")
        paint(drawing.add_subplot())
        drawing.savefig(text, format="svg", metadata={"Date": None})
    return re.sub(r"[ \t]+$", "", text.getvalue(), flags=re.MULTILINE)
