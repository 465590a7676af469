"""The command that runs a paper's ablation tables: parse, call the pipeline, render."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import completing
from cli import options as o
from cli.stages import LabelsFile, Subset
from cli.text import printable

if TYPE_CHECKING:
    from tal.pipeline.ablation_reports import AblationReport, RowReport, TableReport


def ablate(
    labels: LabelsFile,
    annotations: Annotated[Path, typer.Option("--annotations", "-a", help="Ground truth.")],
    features: Annotated[Path, typer.Option("--features", "-f", help="Folder of feature shards.")] = Path("features"),
    method: o.MethodName = None,
    dataset: o.Dataset = None,
    rows: Annotated[
        list[str], typer.Option(metavar="NAMES", help="Only these rows or tables, with commas; may be repeated.")
    ] = [],
    seeds: Annotated[int, typer.Option(metavar="N", help="Trainings per row: mean and deviation are shown.")] = 1,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="activitynet or thumos14; default: the paper's.", autocompletion=completing.words(completing.PROTOCOLS)
        ),
    ] = None,
    subset: Subset = None,
    runs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the rows' models here; default: in the cache alone.")
    ] = None,
    device: o.Device = None,
    config: o.Config = [],
    sets: o.Sets = [],
    cache: o.CacheDir = None,
    force: o.Force = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Run the ablation tables of a method's paper on given features, beside the published numbers.

    Every row is trained on the labelled videos and evaluated on the subset of the ground truth without them. Each table
    says which pairs of rows come in the paper's order. What is finished is kept: the same command goes on from there.

    Examples:
        tal ablate --method stpn --labels labels.csv --annotations annotations.json

        tal ablate -m cmcs -l labels.csv -a annotations.json --rows "table 4" --seeds 3

        tal ablate -m ecm -l labels.csv -a annotations.json --rows "pre,post,full" --set train.steps=500 --json
    """
    from tal import config as configuration
    from tal import pipeline
    from tal.errors import BatchError

    given = {"evaluate.protocol": protocol, "evaluate.subset": subset, "runtime.device": device}
    settings = configuration.load(method, config, sets, given, dataset=dataset)
    names = [name.strip() for text in rows for name in text.split(",") if name.strip()]
    with o.environment(cache, force, quiet, verbose) as env:
        report = pipeline.ablate(features, labels, annotations, settings, rows=names, n_seeds=seeds, runs=runs, **env)
    if as_json:
        print(json.dumps(report.to_dict(), indent=1))
    else:
        _show(report)
    if n := len(report.failures):
        raise BatchError(f"{n} of {sum(len(table.rows) for table in report.tables)} rows failed", report.failures)


def _show(report: AblationReport) -> None:
    for one in report.tables:
        _show_table(one, report)
    print(f"{report.n_trained} training videos, {report.n_evaluated} evaluated", file=sys.stderr)
    if report.missing:
        print(f"{len(report.missing)} videos of the subset have no features: {report.missing[0]} ...", file=sys.stderr)


def _show_table(one: TableReport, report: AblationReport) -> None:
    from cli import render

    columns = ("row", f"{one.table.metric} %", "average", "paper", "order")
    subset = f", subset {report.subset}" if report.subset else ""
    title = f"{report.method}, {one.table.source}: {one.protocol} protocol{subset}"
    render.table(printable(title), columns, [_cells(row, one) for row in one.rows], texts=(0, 4))
    if n := len(one.compared):
        print(f"{n - len(one.otherwise)} of {n} pairs of rows in the paper's order")
    if one.table.protocol != one.protocol:
        print(f"the paper counts by the {one.table.protocol} protocol", file=sys.stderr)
    if one.table.note:
        print(one.table.note, file=sys.stderr)


def _cells(one: RowReport, beside: TableReport) -> tuple[str, ...]:
    paper = "" if one.row.paper is None else f"{one.row.paper:g}"
    if one.error:
        return (one.row.name, "failed", "", paper, "")
    mean, average = (100 * sum(values) / len(values) for values in (one.map, one.average))
    deviation = "" if one.deviation is None else f" ± {100 * one.deviation:.2f}"
    return (one.row.name, f"{mean:.2f}{deviation}", f"{average:.2f}", paper, _order(one.row.name, beside))


def _order(name: str, beside: TableReport) -> str:
    """Say which rows a row should have beaten and did not, or the other way round."""
    above = [worse for better, worse in beside.otherwise if better == name]
    below = [better for better, worse in beside.otherwise if worse == name]
    told = (f"not {word} {', '.join(names)}" for word, names in (("above", above), ("below", below)) if names)
    compared = any(name in pair for pair in beside.compared)
    return "; ".join(told) or ("as in the paper" if compared else "")
