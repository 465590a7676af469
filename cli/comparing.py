"""The command that compares runs and detections: parse, call the pipeline, render."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import completing
from cli import options as o
from cli.evaluating import ProtocolOption, TiouOption, VideosOption
from cli.stages import Subset
from cli.text import printable

if TYPE_CHECKING:
    from tal.pipeline.comparison_reports import Comparison, Line, Pair


def compare(
    annotations: Annotated[Path, typer.Option("--annotations", "-a", help="Ground truth.")],
    entries: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN_OR_DETECTIONS...",
            help="Run folders, names of seeds' runs, detections files.",
            autocompletion=completing.runs_and_detections,
        ),
    ] = None,
    features: Annotated[
        Path | None, typer.Option("--features", "-f", help="Shards of the test videos, for run folders.")
    ] = None,
    group: Annotated[
        list[str], typer.Option(metavar="NAME=RUN,RUN,...", help="Runs taken as one; may be repeated.")
    ] = [],
    each: Annotated[bool, typer.Option("--each", help="Let runs stand alone that differ in the seed only.")] = False,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Compare all with this one; default: every two.",
            autocompletion=completing.runs_and_detections,
        ),
    ] = None,
    protocol: ProtocolOption = None,
    tiou: TiouOption = None,
    subset: Subset = None,
    videos: VideosOption = None,
    resamples: Annotated[int, typer.Option(metavar="N", min=1, help="Resamples of the bootstrap.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resamples.")] = 0,
    confidence: Annotated[float, typer.Option(metavar="P", help="Share of the resamples in an interval.")] = 0.95,
    device: o.Device = None,
    config: o.Config = [],
    sets: o.Sets = [],
    cache: o.CacheDir = None,
    force: o.Force = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Compare runs and detections files: mAP of each, and how sure the differences are.

    Runs that differ in the seed only are one line, mean ± standard deviation. Each difference of average mAP comes with
    the interval of a paired bootstrap over videos and the share of resamples in which its sign is another.

    Examples:
        tal compare runs/stpn runs/cmcs --annotations annotations.json --features features

        tal compare runs/cmcs runs/cmcs-train.lr=1e-3 -a annotations.json -f features --against runs/cmcs

        tal compare mine.json theirs.json -a annotations.json --protocol thumos14 --tiou 0.5 --subset test

        tal compare --group late=runs/a,runs/b --group early=runs/c,runs/d -a annotations.json -f features --json
    """
    from tal import config as configuration
    from tal import pipeline
    from tal.pipeline.comparing import Resampling
    from tal.pipeline.comparison_groups import find_groups

    given = {"protocol": protocol, "tiou": tiou, "subset": subset, "videos": videos}
    options = {"runtime.device": device, **{f"evaluate.{name}": value for name, value in given.items()}}
    settings = configuration.load(files=config, sets=sets, options=options)
    groups, how = find_groups(entries or [], group, each), Resampling(resamples, seed, confidence)
    with o.environment(cache, force, quiet, verbose) as env:
        found = pipeline.compare(
            groups, annotations, settings, features=features, against=against, resampling=how, **env
        )
    if as_json:
        print(json.dumps(found.to_dict(), indent=1))
    else:
        _show(found)


def _show(found: Comparison) -> None:
    from cli import render

    chosen = [found.subset and f"subset {found.subset}", found.videos]
    counted = ", ".join([f"{found.protocol} protocol", *filter(None, chosen)])
    title = f"{counted}: {found.n_videos} videos, {found.n_instances} instances"
    inside = f"{100 * found.confidence:g} %"
    columns = ["mAP %", "runs", *(f"{t:g}" for t in found.tiou), "average", inside]
    render.table(printable(title), columns, map(_cells, found.lines))
    if found.pairs:
        columns = ["difference of the average", "", "mAP %", inside, "other sign"]
        render.table("", columns, map(_differences, found.pairs), texts=(0, 1))
    for text in (f"intervals: {found.n_resamples} resamples of the videos, seed {found.seed}", *found.remarks):
        print(printable(text), file=sys.stderr)
    for pair in found.pairs:
        if n := len(pair.one_sided):
            who = f"{pair.first} and {pair.second}"
            print(printable(f"{who}: {n} videos are in one of them only: {_some(pair.one_sided)}"), file=sys.stderr)


def _cells(line: Line) -> list[str]:
    spread = line.deviation or (None,) * len(line.mean)
    values = [_percent(mean, deviation) for mean, deviation in zip(line.mean, spread, strict=True)]
    average = _percent(line.average.value, line.average_deviation)
    limits = f"{100 * line.average.low:.2f} to {100 * line.average.high:.2f}"
    return [printable(line.name), str(len(line.members)), *values, average, limits]


def _percent(mean: float, deviation: float | None) -> str:
    """Write a mean and, on a line of its own, the deviation: many thresholds must fit beside each other."""
    return f"{100 * mean:.2f}" + ("" if deviation is None else f"\n± {100 * deviation:.2f}")


def _differences(pair: Pair) -> list[str]:
    one = pair.difference
    limits = f"{100 * one.low:+.2f} to {100 * one.high:+.2f}"
    figures = [f"{100 * one.value:+.2f}", limits, f"{100 * one.other_sign:.1f} %"]
    return [printable(pair.first), f"less {printable(pair.second)}", *figures]


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
