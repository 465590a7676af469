"""The command that compares detections with ground truth: parse, call the pipeline, render."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import clusters, completing
from cli import options as o
from cli.stages import Subset
from cli.text import printable

if TYPE_CHECKING:
    from tal.evaluation import Evaluation

ProtocolOption = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        "-p",
        help="activitynet (default), thumos14, wtalc or snippet.",
        autocompletion=completing.words(completing.PROTOCOLS),
    ),
]
TiouOption = Annotated[
    str | None, typer.Option(help="FIRST:LAST:STEP, one threshold, or all published ones (all); default 0.1:0.7:0.1.")
]
VideosOption = Annotated[
    str | None,
    typer.Option(
        "--videos",
        metavar="SET",
        help="Named set of videos: thumos14-212 or thumos14-210.",
        autocompletion=completing.video_sets,
    ),
]


def evaluate(
    detections: Annotated[
        list[Path],
        typer.Argument(help="ActivityNet-style JSON or THUMOS14 text lines; several are told in a line each."),
    ],
    truth: Annotated[Path, typer.Argument(help="ActivityNet-style JSON, a THUMOS14 folder or CSV.")],
    protocol: ProtocolOption = None,
    tiou: TiouOption = None,
    subset: Subset = None,
    videos: VideosOption = None,
    config: o.Config = [],
    sets: o.Sets = [],
    engine: clusters.EngineOption = "local",
    address: clusters.AddressOption = None,
    worker_cpus: clusters.WorkerCpusOption = None,
    as_json: o.Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, one number per line.")] = False,
    as_latex: Annotated[bool, typer.Option("--latex", help="Print a LaTeX tabular.")] = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Compare detections with ground truth: mAP and recall over tIoU thresholds, AP per class.

    Numbers of different protocols are not comparable; every output names the protocol. What is missing, unknown or left
    out is told on stderr.

    Examples:
        tal evaluate detections.json annotations.json

        tal evaluate detections.json annotations.json --protocol thumos14 --tiou 0.5 --subset test

        tal evaluate detections.json annotations.json --videos thumos14-210 --tiou all --latex

        tal evaluate runs/*/detections.json annotations.json
    """
    from cli.progress import display
    from tal import config as configuration
    from tal import pipeline
    from tal.errors import ConfigError

    if as_json + as_csv + as_latex > 1:
        raise ConfigError("several forms of output; choose one of --json, --csv and --latex")
    given = {"protocol": protocol, "tiou": tiou, "subset": subset, "videos": videos}
    options = {f"evaluate.{name}": value for name, value in given.items()}
    settings = configuration.load(files=config, sets=sets, options=options)
    ray = clusters.chosen(engine, address, worker_cpus)
    if len(detections) > 1 or ray:
        clusters.evaluate_many(detections, truth, settings, ray, as_json=as_json, one=as_csv or as_latex, quiet=quiet)
        return
    with display(quiet, verbose) as progress:
        found = pipeline.evaluate(detections[0], truth, settings, progress=progress)
    _show(
        found, (str(detections[0]), str(truth)), "json" if as_json else "csv" if as_csv else "latex" if as_latex else ""
    )


def _show(found: Evaluation, files: tuple[str, str], form: str) -> None:
    from cli import render
    from tal.evaluation.remarks import remarks
    from tal.evaluation.tables import to_csv, to_latex

    if form == "json":
        print(json.dumps(found.to_dict(), indent=1))
    elif form:
        sys.stdout.write(to_csv(found) if form == "csv" else to_latex(found))
    else:
        render.evaluation(found)
    for line in remarks(found, *files):
        print(printable(line), file=sys.stderr)
