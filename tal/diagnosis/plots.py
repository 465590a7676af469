"""The pictures of a diagnosis: false positives, gains, sensitivity and missed instances, as PNG and SVG.

They are drawn without `pyplot`, so no backend, style or open figure of the program around is touched. Colours are those
of Okabe and Ito, which people with colour vision deficiencies can tell apart; bars carry their values, too.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tal.diagnosis.false_positives import ALL_ERRORS, FIXES, KINDS, MISSED
from tal.diagnosis.reports import Diagnosis
from tal.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.figure import Figure

COLOURS = dict(zip(KINDS, ("#009E73", "#56B4E9", "#E69F00", "#0072B2", "#CC79A7", "#999999"), strict=True))
OTHERS = {ALL_ERRORS: "#D55E00", MISSED: "#F0E442"}
BY_CHARACTERISTIC = {"length": "#0072B2", "coverage": "#E69F00", "instances": "#009E73"}
HATCHES = {"mAP": "", "mAP$_N$": "///"}
MEANING = {
    "length": "length of the instance",
    "coverage": "coverage: its share of the video",
    "instances": "instances of its class in the video",
}
DPI = 150
TICK_LETTERS = 12
LABELLED = 0.06  # smaller parts of a bar have no room for their value


def write(diagnosis: Diagnosis, folder: Path) -> list[Path]:
    """Draw all pictures into a folder, which is made if needed; return their paths.

    Raises:
        StorageError: If they cannot be written.
    """
    paths = []
    for name, draw in PICTURES.items():
        figure = draw(diagnosis)
        for kind in ("png", "svg"):
            path = folder / f"{name}.{kind}"
            write_atomic(path, _rendered(figure, kind))
            paths.append(path)
    return paths


def false_positives(diagnosis: Diagnosis) -> Figure:
    """Draw the share of each kind of detection in each split of the ranking, stacked."""
    from matplotlib.patches import Patch

    figure, axes = _figure(diagnosis, "Detections by kind", width=10.5)
    rows = [(name, shares) for name, n, shares in diagnosis.profile() if n]
    where = [i + (0.5 if name == "all" else 0.0) for i, (name, _) in enumerate(rows)]
    bottom = np.zeros(len(rows))
    for k, kind in enumerate(KINDS):
        shares = np.array([row[k] for _, row in rows])
        bars = axes.bar(where, 100 * shares, bottom=100 * bottom, color=COLOURS[kind])
        texts = [f"{100 * v:.0f}" if v >= LABELLED else "" for v in shares]
        axes.bar_label(bars, texts, label_type="center", fontsize=8, color="white" if k == 3 else "black")
        bottom += shares
    axes.set_xticks(where, [name for name, _ in rows])
    axes.set(ylim=(0, 100), ylabel="share of the detections, %")
    axes.set_xlabel("splits of each class's ranking; G: number of its instances" if rows else "no detections")
    looks = [Patch(color=COLOURS[kind], label=kind) for kind in reversed(KINDS)]
    axes.legend(handles=looks, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def gains(diagnosis: Diagnosis) -> Figure:
    """Draw what mAP would gain without the errors of each kind."""
    from matplotlib.patches import Patch

    what = f"Gain in mAP without the errors of a kind (best {diagnosis.options.n_splits}G detections)"
    figure, axes = _figure(diagnosis, what, width=10.0)
    values = 100 * np.array([diagnosis.gains.gain(fix) for fix in FIXES])  # (F, 2)
    colours = [{**COLOURS, **OTHERS}[fix] for fix in FIXES]
    for i, hatch in enumerate(HATCHES.values()):
        where = np.arange(len(FIXES)) + 0.4 * i - 0.2
        bars = axes.bar(where, values[:, i], 0.38, color=colours, edgecolor="black", linewidth=0.6, hatch=hatch)
        _label(axes, bars, values[:, i])
    axes.set_xticks(range(len(FIXES)), [textwrap.fill(fix, 12) for fix in FIXES])
    axes.set_ylabel("gain, percentage points")
    _room_above(axes, values)
    looks = [Patch(facecolor="white", edgecolor="black", hatch=hatch, label=name) for name, hatch in HATCHES.items()]
    axes.legend(handles=looks, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def sensitivity(diagnosis: Diagnosis) -> Figure:
    """Draw AP_N of the instances in each bucket, beside that of all."""
    return _by_bucket(diagnosis, "Sensitivity of AP to what instances are like", "mAP$_N$, %", 0)


def false_negatives(diagnosis: Diagnosis) -> Figure:
    """Draw the share of missed instances in each bucket, beside that of all."""
    return _by_bucket(diagnosis, "Missed instances", "missed instances, %", 1)


PICTURES: dict[str, Callable[[Diagnosis], Figure]] = {
    "false_positives": false_positives,
    "gains": gains,
    "sensitivity": sensitivity,
    "false_negatives": false_negatives,
}


def _by_bucket(diagnosis: Diagnosis, what: str, ylabel: str, column: int) -> Figure:
    """Draw bars per bucket, a group per characteristic; `column` 0 is AP_N, 1 the share of missed instances."""
    groups = [(c, [b for b in c.buckets if b.n_instances]) for c in diagnosis.characteristics]
    n_bars = sum(len(buckets) for _, buckets in groups)
    figure, axes = _figure(diagnosis, what, width=max(6.0, 1.5 + 0.72 * (n_bars + len(groups))))
    overall = 100 * float((diagnosis.map_n, diagnosis.missed)[column].mean())
    position, ticks, texts, values = 0.0, [], [], [overall]
    for one, buckets in groups:
        heights = [100 * float((b.map_n, b.missed)[column].mean()) for b in buckets]
        where = [position + i for i in range(len(buckets))]
        bars = axes.bar(where, heights, 0.8, color=BY_CHARACTERISTIC[one.name], label=MEANING[one.name])
        _label(axes, bars, heights)
        ticks += where
        texts += [f"{b.bucket.name}\n{_in_lines(b.bucket.text)}\nn = {b.n_instances}" for b in buckets]
        values += heights
        position += len(buckets) + 0.7
    axes.axhline(
        overall, color="black", linestyle="--", linewidth=1, zorder=0.9, label=f"all instances: {overall:.1f} %"
    )
    axes.set_xticks(ticks, texts, fontsize=8)
    axes.set_ylabel(ylabel)
    _room_above(axes, values)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, fontsize=9)
    return figure


def _in_lines(bounds: str) -> str:
    """Break bounds that are wider than a bar."""
    return bounds if len(bounds) <= TICK_LETTERS else bounds.replace(" to ", "\nto ")


def _figure(diagnosis: Diagnosis, what: str, width: float = 9.0, height: float = 5.2) -> tuple[Figure, Axes]:
    """Return an empty picture under its title."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    title = [line for text in (what, diagnosis.title) for line in textwrap.wrap(text, round(8.5 * width))]
    figure.suptitle("\n".join(title), fontsize=11, parse_math=False)  # a name may hold a $
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", linestyle=":", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _label(axes: Axes, bars: BarContainer, values: Sequence[float] | np.ndarray) -> None:
    """Write each value at the end of its bar, on white, so that no line runs through it."""
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    axes.bar_label(bars, [f"{v:.1f}" for v in values], padding=2.5, fontsize=8, bbox=box)


def _room_above(axes: Axes, values: Sequence[float] | np.ndarray) -> None:
    """Leave room for labels above the highest and below the lowest bar."""
    high, low = max(1.0, float(np.max(values))), min(0.0, float(np.min(values)))
    axes.set_ylim(low - 0.12 * (high - low) if low < 0 else 0.0, high + 0.12 * (high - low))


def _rendered(figure: Figure, kind: str) -> bytes:
    """Return the file; without a date, so that equal pictures differ in nothing but names inside an SVG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()
