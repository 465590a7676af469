"""The commands that read public feature sets and write features for other people's code."""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli import completing
from cli import options as o
from cli.text import printable

if TYPE_CHECKING:
    from tal.pipeline import ImportReport


def _list(asked: bool) -> None:
    if asked:
        from cli import render
        from tal import feature_sets

        written = feature_sets.exportable()
        rows = []
        for name in feature_sets.importable():
            layout = feature_sets.load(name, "import").LAYOUT
            rate = f"{float(layout.fps):g}" if layout.rate == "fixed" else layout.rate
            stride = layout.stride if layout.rate in ("fixed", "native") else ""
            rows.append((name, "yes" if name in written else "", rate, stride, layout.about))
        names = ("format", "export", "fps", "stride", "what lies where")
        if "--json" in sys.argv:  # --list ends the parsing before other options are looked at
            render.records(names, rows)
        else:
            render.table("", names, rows, texts=(0, 1, 2, 4))
        raise typer.Exit


def import_features(
    format_name: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT", help="wtalc, basnet, cmcs ...; --list tells all.", autocompletion=completing.layouts
        ),
    ],
    source: Annotated[Path, typer.Argument(metavar="SRC", help="The file or folder of features.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of feature shards.")],
    durations: Annotated[
        Path | None, typer.Option(metavar="FILE", help="ActivityNet-style JSON, or CSV with video and duration.")
    ] = None,
    fps: Annotated[str | None, typer.Option(help="Frames per second, if not as published, e.g. 30000/1001.")] = None,
    stride: Annotated[int | None, typer.Option(min=1, help="Frames between two rows, if not as published.")] = None,
    length: Annotated[int | None, typer.Option(min=1, help="Frames that one row sees, if not as published.")] = None,
    time: Annotated[
        str | None,
        typer.Option(
            help="start or centre: what a row's time is, where length and stride differ.",
            autocompletion=completing.words(completing.CONVENTIONS),
        ),
    ] = None,
    streams: Annotated[
        str | None,
        typer.Option(
            help="rgb,flow, flow,rgb, rgb or flow: what the columns are, if not as published.",
            autocompletion=completing.words(completing.STREAMS),
        ),
    ] = None,
    crop: Annotated[str, typer.Option(metavar="mean|N", help="Mean over the crops, or crop N from 0.")] = "mean",
    names: Annotated[Path | None, typer.Option(metavar="FILE", help="The videos' names, one per line (stpn).")] = None,
    annotations: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of videoname.npy and others (wtalc).")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the labels that travel with the features, as CSV.")
    ] = None,
    strip: Annotated[str, typer.Option(metavar="TEXT", help="Take this off the videos' names, e.g. v_.")] = "",
    keep_misfits: Annotated[
        bool, typer.Option("--keep-misfits", help="Take videos whose snippets do not fit their duration.")
    ] = False,
    listing: Annotated[
        bool, typer.Option("--list", callback=_list, is_eager=True, help="Show the formats and exit.")
    ] = False,
    cache: o.CacheDir = None,
    force: o.Force = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Turn a public feature set into one shard per video, each snippet at its right time.

    Shards that are there and were made of the same files with the same options are kept. Nothing in a file is run.

    Examples:
        tal import-features --list

        tal import-features wtalc Thumos14reduced-I3D-JOINTFeatures.npy features --labels labels.csv

        tal import-features cmcs I3D-4 features --crop 4 --durations thumos14.json

        tal import-features bsn csv_mean_100 features --durations activity_net.v1-3.json --strip v_

        tal import-features npy my_features features --fps 25 --stride 16 --streams rgb,flow
    """
    from tal import pipeline

    options = pipeline.ImportOptions(
        fps=_rate(fps),
        stride=stride,
        length=length,
        convention=_convention(time),
        crop=_crop(crop),
        streams=None if streams is None else tuple(part.strip() for part in streams.split(",")),
        durations=durations,
        names=names,
        annotations=annotations,
        strip=strip,
        keep_misfits=keep_misfits,
    )
    with o.environment(cache, force, quiet, verbose) as env:
        report = pipeline.import_features(format_name, source, out, options, labels=labels, **env)
    _show_import(report, out, as_json)


def _show_import(report: ImportReport, out: Path, as_json: bool) -> None:
    """Print what was made; end with exit status 1 if a video failed."""
    from tal.errors import BatchError

    for note, n in report.notes.items():
        print(printable(f"{n} video{'s' * (n > 1)}: {note}"), file=sys.stderr)
    kept, failed = len(report.shards) - len(report.made), len(report.failures)
    if as_json:
        print(json.dumps(report.to_dict(), indent=1))
    told = f"{len(report.shards)} shards in {out} ({len(report.made)} made, {kept} kept), {report.n_snippets} snippets"
    print(printable(told), file=sys.stderr)
    if failed:
        raise BatchError(f"{failed} of {failed + len(report.shards)} videos failed", dict(report.failures))


def _rate(text: str | None) -> Fraction | None:
    from tal.errors import ConfigError

    try:
        rate = None if text is None else Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ConfigError(f"--fps '{text}': write a number such as 25, 29.97 or 30000/1001") from error
    if rate is not None and not 0 < rate <= 1000:
        raise ConfigError(f"--fps '{text}': frames per second lie between 0 and 1000")
    return rate


def _convention(text: str | None) -> Literal["centre", "start"] | None:
    from tal.errors import ConfigError, suggest

    known: dict[str, Literal["centre", "start"]] = {"start": "start", "centre": "centre"}
    if text is not None and text not in known:
        raise ConfigError(f"--time '{text}'{suggest(text, known)}")
    return None if text is None else known[text]


def _crop(text: str) -> int | None:
    from tal.errors import ConfigError

    if text != "mean" and not (text.isascii() and text.isdigit() and len(text) < 6):
        raise ConfigError(f"--crop '{text}': write mean, or the number of a crop from 0")
    return None if text == "mean" else int(text)


def export_features(
    features: Annotated[Path, typer.Argument(metavar="FEATURES", help="Folder of feature shards.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to.")],
    to: Annotated[
        str,
        typer.Option(
            metavar="FORMAT",
            help="npy, npz, actionformer, basnet or wtalc.",
            autocompletion=completing.written_layouts,
        ),
    ] = "npy",
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Write shards as the files that other people's code reads; grids.json beside them keeps the videos' times.

    npy and actionformer: VIDEO.npy, both streams side by side, RGB first. basnet: rgb/VIDEO.npy and flow/VIDEO.npy.
    npz: VIDEO.npz with streams, motion and times. wtalc: one joint file, read with np.load(..., allow_pickle=True).

    Examples:
        tal export-features features out --to npy

        tal export-features features out --to wtalc
    """
    from cli.progress import display
    from tal import pipeline
    from tal.errors import BatchError

    with display(quiet, verbose) as progress:
        report = pipeline.export_features(features, out, to, force=force, progress=progress)
    if as_json:
        print(json.dumps(report.to_dict(), indent=1))
    print(printable(f"{len(report.videos)} videos in {out}"), file=sys.stderr)
    if failed := len(report.failures):
        raise BatchError(f"{failed} of {failed + len(report.videos)} videos failed", dict(report.failures))
