"""The commands about data sets: which are described, whether a copy is whole, whether a publication is met."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import completing
from cli import options as o
from cli.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tal.datasets import VideoSet
    from tal.datasets.published import Published
    from tal.pipeline.data_checking import DataReport
    from tal.pipeline.reproduction_reports import Counted, Reproduction

SHIPPED = "shipped"
WORDS = {"fits": "fits", "note": "note", "absent": "not here", "problem": "PROBLEM"}

data_app = typer.Typer(help="List described data sets, and check a copy of one.", no_args_is_help=True)


@data_app.command("ls")
def data_ls(as_json: o.Json = False) -> None:
    """List the data sets that are described: splits, counts, and the sets of test videos that papers use.

    Example:
        tal data ls
    """
    from cli import render
    from tal import datasets

    known = {name: datasets.load(name) for name in datasets.available()}
    if as_json:
        print(json.dumps({name: one.model_dump(mode="json") for name, one in known.items()}, indent=1))
        return
    columns = ("name", "split", "videos", "instances", "classes", "protocol", "sets of videos")
    rows = [
        (name, split, part.n_videos, part.n_instances or "?", one.n_classes, one.protocol, _sets(one.sets, split))
        for name, one in known.items()
        for split, part in one.splits.items()
    ]
    render.table("", columns, rows, texts=(0, 1, 5, 6))


def _sets(sets: Mapping[str, VideoSet], split: str) -> str:
    return ", ".join(name for name, one in sets.items() if one.split == split)


@data_app.command("check")
def data_check(
    name: Annotated[
        str,
        typer.Argument(help="A described data set; 'tal data ls' shows them.", autocompletion=completing.described),
    ],
    root: Annotated[Path, typer.Argument(help="Folder of your copy, or an annotation file.")],
    need: Annotated[
        str,
        typer.Option(
            metavar="PARTS",
            help="What must be there: videos, features, annotations, with commas.",
            autocompletion=completing.words(completing.PARTS),
        ),
    ] = "",
    values: Annotated[bool, typer.Option("--values/--no-values", help="Read all values of features.")] = True,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Check a copy of a data set: what is there, what is missing, what does not fit and what to do about it.

    ROOT may hold videos, features and annotations or some of them, in the usual layouts. Features made at another rate
    than they say are found by their snippet counts. Exit status 1 if something does not fit; a part that is not there
    is said, and fails only with --need.

    Examples:
        tal data check thumos14 data/thumos14

        tal data check thumos14 features --no-values

        tal data check activitynet13 data/anet --need videos,annotations --json
    """
    from cli.progress import display
    from tal import pipeline

    wanted = [part.strip() for part in need.split(",") if part.strip()]
    with display(quiet, verbose) as progress:
        report = pipeline.check_data(name, root, need=wanted, values=values, progress=progress)
    if as_json:
        print(json.dumps(report.to_dict(), indent=1))
    else:
        _show(report)
    if not report.fits:
        raise typer.Exit(1)


def _show(report: DataReport) -> None:
    for one in report.findings:
        print(f"{WORDS[one.level]:8}  {one.part:11}  {printable(one.line)}")
    n = sum(one.level == "problem" for one in report.findings)
    verdict = f"{n} {'thing does' if n == 1 else 'things do'} not fit" if n else "what is there fits"
    print(f"{report.title}: {verdict}", file=sys.stderr)


def reproduce(
    dataset: Annotated[
        str, typer.Argument(help="A described data set, such as thumos14.", autocompletion=completing.described)
    ],
    features: Annotated[Path, typer.Option("--features", "-f", help="Folder that holds shards of both splits.")],
    method: o.MethodName = None,
    annotations: Annotated[
        Path | None, typer.Option("--annotations", "-a", help="File or folder; default: looked for beside features.")
    ] = None,
    seeds: Annotated[int, typer.Option(metavar="N", help="Trainings: mean and deviation are shown.")] = 3,
    dataset_settings: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="shipped, or a data set's published ones; default: DATASET's.",
            autocompletion=completing.datasets,
        ),
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the models here; default: in the cache alone.")
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
    """Train a method with its published settings and set it beside the published numbers.

    Every published row is printed with its protocol, videos and features, beside ours counted the same way: mean and
    deviation over seeds of the mean over each run's last states, never the best one. What cannot be made equal is named
    with the verdict. What is finished is kept: the same command goes on from there.

    Examples:
        tal reproduce thumos14 --method stpn --features data/thumos14

        tal reproduce thumos14 -m ecm -f features -a annotations --seeds 5 --json

        tal reproduce thumos14 -m cmcs -f features -a annotations --dataset-settings shipped
    """
    from tal import config as configuration
    from tal import pipeline

    overlay = None if dataset_settings == SHIPPED else dataset_settings or dataset
    settings = configuration.load(method, config, sets, {"runtime.device": device}, dataset=overlay)
    with o.environment(cache, force, quiet, verbose) as env:
        found = pipeline.reproduce(
            dataset, features, settings, annotations=annotations, n_seeds=seeds, runs=runs, **env
        )
    if as_json:
        print(json.dumps(found.to_dict(), indent=1))
    else:
        _show_reproduction(found)


def _show_reproduction(found: Reproduction) -> None:
    from cli import render
    from tal.pipeline.reproduction_reports import RULE

    columns = ("mAP %", "protocol, videos", *(f"{t:g}" for t in found.tiou), "average")
    rows = []
    for ours in found.counted:
        rows.append(_ours(ours, found))
        rows += [_published(one.row, found.tiou) for one in found.rows if one.ours is ours]
    title = f"{found.method} on {found.title}, {found.schedule} settings, {found.n_updates} updates"
    render.table(printable(title), columns, rows, texts=(0, 1))
    for one in found.rows:
        print(printable(one.words))
    print(printable(f"features here: {found.features}"))
    print(printable(f"verdict: {found.verdict}"))
    print(RULE)
    states = f"{found.n_states} last states each" if found.n_states > 1 else "final state each"
    print(f"{len(found.seeds)} seeds, {states}; {found.n_trained} training videos", file=sys.stderr)
    if found.missing:
        n, first = len(found.missing), found.missing[0]
        print(f"{n} test videos have no features and count as missed: {first} ...", file=sys.stderr)


def _ours(one: Counted, found: Reproduction) -> tuple[str, ...]:
    from statistics import fmean

    from tal.pipeline.reproduction_reports import TIOU, spread

    figures = (spread(one.at(t)) if t == TIOU else f"{fmean(one.at(t)):.2f}" for t in found.tiou)
    return ("ours", f"{one.protocol}, {one.videos}", *figures, spread(one.average(found.tiou)))


def _published(row: Published, tiou: tuple[float, ...]) -> tuple[str, ...]:
    figures = (*(row.at(one) for one in tiou), row.average(tiou))
    shown = ("" if value is None else f"{value:.2f}" for value in figures)
    counted = f"{row.protocol or 'not stated'}, {row.videos or 'not stated'}"
    return (printable(f"{row.title} ({row.who})"), printable(counted), *shown)
