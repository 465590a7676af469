"""Results as tables for people: results to stdout, remarks to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.text import printable

if TYPE_CHECKING:
    from tal.evaluation import Evaluation
    from tal.pipeline import ExtractReport, RunReport
    from tal.pipeline.planning import Plan, Planned
    from tal.results import Results

MAX_CLASSES = 30
MAX_COLUMNS = 14


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], texts: Sequence[int] = (0,)) -> None:
    """Print a table; the columns with these indices are text, the others are figures."""
    from rich.console import Console
    from rich.table import Table

    drawn = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        drawn.add_column(column, justify="left" if i in texts else "right")
    for row in rows:
        drawn.add_row(*(str(cell) for cell in row))
    width = None if sys.stdout.isatty() else 160
    Console(width=width, markup=False, highlight=False, emoji=False).print(drawn)


def records(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows as a JSON list of objects."""
    print(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=1))


def extraction(report: ExtractReport, out: Path | str) -> None:
    """Say what an extraction did, how fast, and which stages worked how long."""
    failed = f", {len(report.failures)} failed" if report.failures else ""
    lines = [f"{len(report.shards)} shards in {out} ({len(report.made)} made, {len(report.kept)} kept){failed}"]
    if report.made:
        lines.append(
            f"{report.hours:.3g} hours of video, {report.n_snippets} snippets in {report.seconds:.1f} s: "
            f"{report.snippets_per_s:.1f} snippets/s, {report.times_real_time:.3g} x real time"
        )
        shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in report.share_by_stage.items())
        lines.append(f"work by stage, which overlap: {shares}")
    for line in lines:
        print(printable(line), file=sys.stderr)


def plan(found: Plan) -> None:
    """Print what would become of each video, and the sums over what would be made."""
    columns = ("video", "action", "length s", "snippets", "shard kB", "why")
    table("", columns, (_planned(one) for one in found.videos), texts=(0, 1, 5))
    work = found.of("make", "redo")
    length_s, n = sum(one.duration_s or 0 for one in work), sum(one.n_snippets or 0 for one in work)
    counts = {action: sum(one.action == action for one in found.videos) for action in ("make", "redo", "keep")}
    done = ", ".join(f"{n_videos} to {action}" for action, n_videos in counts.items())
    size = sum(one.n_bytes or 0 for one in work) / 1e6
    lines = [f"{done}, {len(found.of('unusable'))} unusable"]
    lines += [f"about {length_s / 3600:.3g} hours of video, {n} snippets, {size:.3g} MB of shards"] if work else []
    for line in (*lines, *found.notes):
        print(line, file=sys.stderr)


def _planned(one: Planned) -> tuple[str, ...]:
    length = "?" if one.duration_s is None else f"{one.duration_s:.2f}"
    size = "?" if one.n_bytes is None else f"{one.n_bytes / 1e3:.0f}"
    n = "?" if one.n_snippets is None else str(one.n_snippets)
    figures = ("", "", "") if one.action == "unusable" else (length, n, size)
    return (printable(one.path), one.action, *figures, printable(one.reason))


def detections(results: Results) -> None:
    """Print a table per video, best detections first; times in seconds."""
    for name, found in results.by_video.items():
        rows = [
            (printable(d.label), f"{d.segment.start_s:.2f}", f"{d.segment.end_s:.2f}", f"{d.score:.3f}") for d in found
        ]
        table(printable(name), ("label", "start s", "end s", "score"), rows)


def evaluation(found: Evaluation) -> None:
    """Print mAP and recall over tIoU and AP per class, in percent, then what does not depend on tIoU."""
    from tal.evaluation.tables import columns, rows

    names, title = columns(found), f"{found.name}: {found.n_videos} videos, {found.n_instances} instances"
    cells = [(printable(name), [f"{100 * v:.2f}" for v in values]) for name, values in rows(found)]
    apart = len(found.tiou) if len(names) > MAX_COLUMNS else len(names)  # means in a table of their own if many
    for part in (slice(apart), slice(apart, None)):
        if names[part]:
            shown = [(name, *values[part]) for name, values in cells[: MAX_CLASSES + 2]]
            table(title, (f"{found.protocol} %", *names[part]), shown)
    if len(cells) > MAX_CLASSES + 2:
        print(f"{len(cells) - MAX_CLASSES - 2} more classes: --json and --csv show all", file=sys.stderr)
    frames = "" if found.frame_accuracy is None else f", frame accuracy {100 * found.frame_accuracy:.2f} %"
    print(f"{found.name}: video mAP {100 * found.video_map:.2f} %{frames}")


def chain_json(report: RunReport, paths: Mapping[str, str] | None = None) -> None:
    """Print what a chain of stages made as JSON."""
    evaluation = report.evaluation
    made = {
        "model": report.address(report.run.model),
        "detections": report.address(report.detections),
        "kept": dict(report.kept),
        "failures": dict(report.extraction.failures),
        "evaluation": None if evaluation is None else evaluation.to_dict(),
    }
    print(json.dumps({**made, "paths": dict(paths or {})}, indent=1))


def chain(report: RunReport) -> None:
    """Say what each stage did, where things are, and how good they are."""
    from tal.evaluation.remarks import remarks
    from tal.storage.urls import url_of

    folder, found = next(iter(report.extraction.shards.values()), Path("features/x")).parent, report.detections
    extraction(report.extraction, url_of(folder) or folder)
    print(f"model: {report.address(report.run.model)} ({'kept' if report.run.cached else 'trained'})", file=sys.stderr)
    print(f"detections: {report.address(found)} ({'kept' if report.kept['localize'] else 'made'})", file=sys.stderr)
    if report.evaluation is None:
        print(report.address(found))
    else:
        evaluation(report.evaluation)
        for line in remarks(report.evaluation, report.address(found)):
            print(printable(line), file=sys.stderr)
