"""The command that says why detections fail: parse, call the pipeline, render."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import completing
from cli import options as o
from cli.evaluating import VideosOption
from cli.stages import Subset
from cli.text import printable

if TYPE_CHECKING:
    from tal.diagnosis import CharacteristicReport, Diagnosis


def diagnose(
    detections: Annotated[Path, typer.Argument(help="ActivityNet-style JSON or THUMOS14 text lines.")],
    truth: Annotated[Path, typer.Argument(help="ActivityNet-style JSON, a THUMOS14 folder or CSV.")],
    tiou: Annotated[str | None, typer.Option(help="One threshold or FIRST:LAST:STEP; default 0.5.")] = None,
    subset: Subset = None,
    videos: VideosOption = None,
    buckets: Annotated[
        str | None,
        typer.Option(
            help="Bounds of the buckets: activitynet (default), thumos14 or quantiles.",
            autocompletion=completing.words(completing.BUCKETS),
        ),
    ] = None,
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw four pictures into this folder, as PNG and SVG.")
    ] = None,
    config: o.Config = [],
    sets: o.Sets = [],
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Say why detections fail, in the manner of DETAD (ECCV 2018).

    Tables of false positives by kind, of what mAP would be without them, and of how length, coverage and number of
    instances change AP and misses. Counted by the ActivityNet protocol; several thresholds are averaged.

    Examples:
        tal diagnose detections.json annotations.json

        tal diagnose detections.json annotations.json --subset test --buckets thumos14 --plots why

        tal diagnose detections.json annotations.json --tiou 0.5:0.95:0.05 --json
    """
    from cli.progress import display
    from tal import config as configuration
    from tal import pipeline
    from tal.diagnosis import DiagnoseSettings
    from tal.evaluation.remarks import remarks

    given = {"evaluate.tiou": tiou, "evaluate.subset": subset, "evaluate.videos": videos}
    settings = configuration.load(files=config, sets=sets, options=given)
    chosen = {} if buckets is None else {"buckets": buckets}
    how = configuration.check(DiagnoseSettings, chosen, "option")
    with display(quiet, verbose) as progress:
        found = pipeline.diagnose(detections, truth, settings, how, plots=plots, progress=progress)
    if as_json:
        print(json.dumps(found.to_dict(), indent=1))
    else:
        _show(found)
    for line in (*found.notes, *remarks(found.evaluation, str(detections), str(truth))):
        print(printable(line), file=sys.stderr)
    if plots is not None:
        print(f"pictures in {printable(plots)}", file=sys.stderr)


def _show(found: Diagnosis) -> None:
    from cli import render

    about, title = found.evaluation, printable(found.title)
    counts = f"{about.n_videos} videos, {about.n_instances} instances, {about.n_detections} detections"
    print(printable(f"mAP {_percent(about.average)} %, mAP_N {_percent(found.map_n.mean())} %: {title}; {counts}"))
    _show_profile(found, title)
    _show_gains(found, title)
    render.table(
        f"Sensitivity and missed instances: {title}",
        ("characteristic", "bucket", "values", "instances", "mAP_N %", "change", "missed %"),
        [row for one in found.characteristics for row in _bucket_rows(one, float(found.map_n.mean()))]
        + [("all", "", "", about.n_instances, _percent(found.map_n.mean()), "", _percent(found.missed.mean()))],
        texts=(0, 1, 2),
    )


def _show_profile(found: Diagnosis, title: str) -> None:
    from cli import render
    from tal.diagnosis.false_positives import KINDS

    rows = [(name, n, *map(_percent, shares)) for name, n, shares in found.profile() if n or name == "all"]
    columns = ("rank", "detections", *(f"{kind} %" for kind in KINDS))
    render.table(f"Detections by kind, G instances per class: {title}", columns, rows)


def _show_gains(found: Diagnosis, title: str) -> None:
    from cli import render
    from tal.diagnosis.false_positives import FIXES

    base = (100 * found.gains.base.mean(axis=1)).tolist()
    rows: list[tuple[str, ...]] = [("as it is", f"{base[0]:.2f}", "", f"{base[1]:.2f}", "")]
    for fix in FIXES:
        plain, normalised = (100 * gain for gain in found.gains.gain(fix))
        figures = (base[0] + plain, plain, base[1] + normalised, normalised)
        rows.append((f"without {fix}", *(f"{v:{'+' if i % 2 else ''}.2f}" for i, v in enumerate(figures))))
    what = f"mAP of the best {found.options.n_splits}G detections without the errors of a kind"
    render.table(f"{what}: {title}", ("", "mAP %", "gain", "mAP_N %", "gain_N"), rows)


def _bucket_rows(one: CharacteristicReport, base: float) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for b in one.buckets:
        score = float(b.map_n.mean())
        change = "" if math.isnan(score) else f"{100 * (score - base):+.2f}"
        figures = (b.n_instances, _percent(score), change, _percent(b.missed.mean()))
        rows.append((one.name, b.bucket.name, b.bucket.text, *figures))
    return rows


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.2f}"
