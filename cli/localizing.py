"""The command that localizes: parse, call the pipeline, render."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options as o
from cli.reporting import tell

if TYPE_CHECKING:
    from tal.results import Results


def localize(
    videos: Annotated[
        list[Path] | None,
        typer.Argument(help="Video files, or folders of them; left out: all whose shards lie in --features."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="A run folder or its model.safetensors; default: Kinetics-400 classes."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="JSON file; default: stdout.")] = None,
    table: Annotated[bool, typer.Option("--table", help="Print a table; JSON goes only to --output.")] = False,
    top: Annotated[
        int | None, typer.Option(metavar="N", help="At most so many classes per video; default 5, 0 for all.")
    ] = None,
    min_score: Annotated[
        float | None, typer.Option(metavar="P", help="Leave out classes that score lower, 0 to 1; default 0.1.")
    ] = None,
    features: Annotated[Path | None, typer.Option("--features", "-f", help="Look for shards here first.")] = None,
    activations: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write what the model says about each snippet.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write an HTML page to look at: timeline, curves, video.")
    ] = None,
    embed: Annotated[bool, typer.Option("--embed", help="Write the videos into the report, not only links.")] = False,
    weights: o.Weights = None,
    device: o.Device = None,
    workers: o.Workers = None,
    config: o.Config = [],
    sets: o.Sets = [],
    cache: o.CacheDir = None,
    force: o.Force = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Find when actions happen in videos; writes ActivityNet-style JSON.

    With --model: the actions it was trained on, by its own settings.
    Without: the 400 classes of Kinetics that I3D knows, by probability.
    What was computed is kept: other thresholds take no time.

    Examples:
        tal localize my_video.mp4 --table

        tal localize my_video.mp4 --report my_video.html

        tal localize my_video.mp4 --top 3 --min-score 0.3 > detections.json

        tal localize my_video.mp4 --model runs/stpn > detections.json

        tal localize videos/ --model runs/stpn -o detections.json --set localize.nms=0.4

        tal localize --features features --model runs/stpn -o detections.json
    """
    from tal import pipeline
    from tal.errors import ConfigError

    if not videos and not (features and model):
        raise ConfigError("nothing to localize; name videos, or a model with --model and shards with --features")
    given = {
        "extract.weights": weights,
        "localize.top_classes": top,
        "localize.class_threshold": min_score,
        "runtime.device": device,
        "runtime.workers": workers,
    }
    settings = pipeline.model_settings(model, config, sets, given)
    failed: pipeline.LocalizeBatchError | None = None
    with o.environment(cache, force, quiet, verbose) as env:
        try:
            results = pipeline.localize(
                videos or [], model, settings, features=features, activations=activations, **env
            )
        except pipeline.LocalizeBatchError as error:
            results, failed = error.results, error
    _give(results, output, table)
    if report is not None:
        options = pipeline.ReportOptions(embed=embed)
        with o.environment(cache, quiet=quiet) as env:
            made = pipeline.report_localized(
                results, report, videos or [], model, settings, features=features, options=options, **env
            )
        tell(made)
    if failed is not None:
        raise failed


def _give(results: Results, output: Path | None, table: bool) -> None:
    from cli import render
    from tal.pipeline.localizing import write_detections
    from tal.results import dumps

    if table:
        render.detections(results)
    elif output is None:
        print(dumps(results), end="")
        if sys.stdout.isatty():
            print("--table shows this as a table, -o FILE keeps it", file=sys.stderr)
    if output is not None:
        write_detections(output, results)
        n = sum(len(found) for found in results.by_video.values())
        print(f"{n} detections in {len(results.by_video)} videos: {output}", file=sys.stderr)
