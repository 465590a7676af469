"""Results as tables for people: results to stdout, remarks to stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tal.evaluation import Evaluation
    from tal.pipeline import ExtractReport, RunReport

MAX_CLASSES = 30


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; the first column is text, the others are figures."""
    from rich.console import Console
    from rich.table import Table

    drawn = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        drawn.add_column(column, justify="left" if i == 0 else "right")
    for row in rows:
        drawn.add_row(*(str(cell) for cell in row))
    width = None if sys.stdout.isatty() else 160
    Console(width=width, markup=False, highlight=False, emoji=False).print(drawn)


def extraction(report: ExtractReport, out: Path) -> None:
    """Say what an extraction did."""
    kept = len(report.shards) - len(report.made)
    rate = f", {report.n_snippets / report.seconds:.1f} snippets/s" if report.made and report.seconds else ""
    print(
        f"{len(report.shards)} shards in {out} ({len(report.made)} made, {kept} kept), "
        f"{report.n_snippets} snippets in {report.seconds:.1f} s{rate}",
        file=sys.stderr,
    )


def evaluation(found: Evaluation) -> None:
    """Print mAP over tIoU and AP per class, in percent."""
    columns = ["mAP %", *(f"{t:g}" for t in found.tiou), "average"]
    rows = [["all classes", *(f"{100 * v:.2f}" for v in found.map), f"{100 * found.average:.2f}"]]
    for label, ap in list(zip(found.classes, found.ap, strict=True))[:MAX_CLASSES]:
        rows.append([label, *(f"{100 * v:.2f}" for v in ap), f"{100 * ap.mean():.2f}"])
    subset = f", subset {found.subset}" if found.subset else ""
    title = f"{found.protocol} protocol{subset}: {found.n_videos} videos, {found.n_instances} instances"
    table(title, columns, rows)
    for line in _remarks(found):
        print(line, file=sys.stderr)


def _remarks(found: Evaluation) -> list[str]:
    lines = []
    if len(found.classes) > MAX_CLASSES:
        lines.append(f"{len(found.classes) - MAX_CLASSES} more classes: --json shows all")
    if found.missing:
        lines.append(f"{len(found.missing)} videos of the truth have no detections entry: {_some(found.missing)}")
    if found.extra:
        lines.append(
            f"{len(found.extra)} videos that the truth does not know count as false positives: {_some(found.extra)}"
        )
    if found.elsewhere:
        lines.append(f"{len(found.elsewhere)} videos of other subsets are left out")
    if found.unknown_labels:
        lines.append(f"labels that the truth does not know: {_some(sorted(found.unknown_labels))}")
    return lines


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def chain(report: RunReport) -> None:
    """Say what each stage did, where things are, and how good they are."""
    extraction(report.extraction, next(iter(report.extraction.shards.values()), Path("features/x")).parent)
    print(f"model: {report.run.model} ({'kept' if report.run.cached else 'trained'})", file=sys.stderr)
    print(f"detections: {report.detections} ({'kept' if report.kept['localize'] else 'made'})", file=sys.stderr)
    if report.evaluation is None:
        print(report.detections)
    else:
        evaluation(report.evaluation)
