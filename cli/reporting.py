"""The command that writes a report: parse, call the pipeline, say where it is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options as o
from cli.stages import Subset
from cli.text import printable

if TYPE_CHECKING:
    from tal.pipeline import Report


def report(
    source: Annotated[Path, typer.Argument(metavar="RUN|DETECTIONS", help="A run folder, or a file of detections.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file.")] = Path("report.html"),
    truth: Annotated[
        Path | None, typer.Option("--truth", "-a", help="Ground truth: drawn below detections, and compared with them.")
    ] = None,
    videos: Annotated[
        list[Path], typer.Option("--videos", metavar="DIR", help="Videos, or folders of them; may be repeated.")
    ] = [],
    features: Annotated[
        Path | None, typer.Option("--features", "-f", help="Shards: for durations and marks and, with a model, curves.")
    ] = None,
    activations: Annotated[
        Path | None, typer.Option(metavar="DIR", help="For curves: what 'tal localize --activations' wrote.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", "-m", metavar="RUN", help="For curves; default: the run's own.")
    ] = None,
    embed: Annotated[bool, typer.Option("--embed", help="Write the videos into the file, not only links.")] = False,
    min_score: Annotated[
        float | None, typer.Option(metavar="P", help="Leave detections that score lower out of the videos' pages.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Heading; default: name of the run or file.")] = None,
    thumbnails: Annotated[
        bool, typer.Option("--thumbnails/--no-thumbnails", help="Show small pictures of the videos.")
    ] = True,
    subset: Subset = None,
    protocol: Annotated[str | None, typer.Option(help="activitynet (default) or thumos14.")] = None,
    device: o.Device = None,
    config: o.Config = [],
    sets: o.Sets = [],
    cache: o.CacheDir = None,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Write one HTML file to look at: videos, timelines, curves, scores; it opens from disk with no network.

    Of a run folder, its model, training and evaluation are shown, too. Videos are linked relative to the file, so move
    them together, or use --embed.

    Examples:
        tal report runs/stpn --videos videos/ --truth annotations.json

        tal report detections.json --truth annotations.json -o report.html

        tal report detections.json --videos videos/ --embed --min-score 0.2 --title "First try"
    """
    from tal import pipeline
    from tal.pipeline.reporting import report_settings

    given = {"evaluate.subset": subset, "evaluate.protocol": protocol, "runtime.device": device}
    settings = report_settings(source, config, sets, given)
    options = pipeline.ReportOptions(title, embed, min_score, thumbnails)
    with o.environment(cache, quiet=quiet, verbose=verbose) as env:
        made = pipeline.report(
            source,
            output,
            truth=truth,
            videos=videos,
            features=features,
            activations=activations,
            model=model,
            options=options,
            settings=settings,
            **env,
        )
    print(printable(made.path))
    tell(made)


def tell(made: Report) -> None:
    """Say on stderr what a report holds."""
    n = made.n_videos
    at_hand = f", {made.n_at_hand} of them at hand" if made.n_at_hand else ""
    what = f"{n} video{'s' * (n != 1)}{at_hand}, {made.n_bytes / 1e6:.1f} MB"
    print(f"report of {what}: open {printable(made.path)} in a browser", file=sys.stderr)
