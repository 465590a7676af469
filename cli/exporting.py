"""The commands that write detections for other programs and read their annotations."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, TextIO

import typer

from cli import options as o
from cli.text import printable

VideosOption = Annotated[
    list[Path], typer.Option("--videos", metavar="PATH", help="Video files or folders of them; may be repeated.")
]
FpsOption = Annotated[str | None, typer.Option(help="Frames per second of all videos, e.g. 25 or 30000/1001.")]


def _list(asked: bool) -> None:
    if asked:
        from cli import render
        from tal import exports

        read, rows = exports.readable(), []
        for name in exports.writable():
            layout = exports.load(name, "export").LAYOUT
            files = "per video" if layout.per_video else "one"
            needs = ", ".join(sorted(layout.needs))
            rows.append((name, layout.suffix, files, needs, "yes" if name in read else "", layout.about))
        render.table("", ("format", "suffix", "files", "needs", "read", "what"), rows, texts=tuple(range(6)))
        raise typer.Exit


def export(
    detections: Annotated[Path, typer.Argument(help="ActivityNet-style JSON or THUMOS14 text lines.")],
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help="csv, vtt, srt, elan, ...; --list tells all.")],
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Folder, or file for one-file formats; - for stdout. Default: FORMAT/ or -."),
    ] = None,
    videos: VideosOption = [],
    min_score: Annotated[float | None, typer.Option(help="Leave out weaker detections.")] = None,
    top: Annotated[int | None, typer.Option(metavar="N", help="Keep the N strongest of each video.")] = None,
    labels: Annotated[
        list[str], typer.Option("--class", metavar="LABEL", help="Only this class; may be repeated.")
    ] = [],
    fps: FpsOption = None,
    prefix: Annotated[
        str | None, typer.Option(metavar="URL", help="What stands before a file's name in Label Studio's tasks.")
    ] = None,
    pad: Annotated[float, typer.Option(metavar="S", min=0, help="Seconds that clips hold before and behind.")] = 0.0,
    exact: Annotated[
        bool | None,
        typer.Option(
            "--exact/--copy", help="Clips: encode all anew, or copy all from key frames; default: as it fits."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there and differ.")] = False,
    listing: Annotated[
        bool, typer.Option("--list", callback=_list, is_eager=True, help="Show the formats and exit.")
    ] = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Write detections for other programs: tables, subtitles, annotation tools, edit lists, clips.

    A video that fails is told at the end, the others are done. --json prints what was written.

    Examples:
        tal export detections.json --to csv > detections.csv

        tal export detections.json --to vtt -o videos/ --min-score 0.5

        tal export detections.json --to elan --videos videos/ --class Diving

        tal export detections.json --to clips --videos videos/ -o clips --top 5 --pad 0.5
    """
    from cli.feature_files import _rate
    from cli.progress import display
    from tal import exports, pipeline
    from tal.errors import BatchError

    target = _target(out, to, as_json)
    cut: Literal["auto", "copy", "exact"] = "auto" if exact is None else "exact" if exact else "copy"
    asked = exports.ExportOptions(min_score, top, tuple(labels), _rate(fps), pad_s=pad, cut=cut)
    asked = asked if prefix is None else replace(asked, prefix=prefix)
    with display(quiet, verbose) as progress:
        into = target or _plain_stdout()
        report = pipeline.export_detections(detections, to, into, asked, videos=videos, force=force, progress=progress)
    sys.stdout.flush()
    for name, note in report.notes.items():
        print(printable(f"{name}: {note}"), file=sys.stderr)
    if as_json:
        print(json.dumps(report.to_dict(), indent=1))
    where = f"{len(report.files)} files in {out or to} ({report.made} new): " if target else ""
    left = f", {report.n_left_out} left out" if report.n_left_out else ""
    print(printable(f"{where}{report.n_detections} detections of {report.n_videos} videos{left}"), file=sys.stderr)
    if failed := len(report.failures):
        raise BatchError(f"{failed} of {failed + report.n_videos} videos failed", dict(report.failures))


def _plain_stdout() -> TextIO:
    """Return stdout so that it writes what a file would hold, whatever the terminal's encoding."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="")
    return sys.stdout


def _target(out: str | None, to: str, as_json: bool) -> Path | None:
    """Return where to write to; None for stdout."""
    from tal import exports
    from tal.errors import ConfigError

    layout = exports.load(to, "export").LAYOUT
    chosen = out or (to if layout.per_video else "-")
    if chosen != "-":
        return Path(chosen)
    if as_json:
        raise ConfigError("--json and the export cannot both go to stdout; name a file with -o")
    return None


def import_annotations(
    sources: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files, or folders of files.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Ground truth to write, ActivityNet-style JSON.")],
    from_: Annotated[
        str | None, typer.Option("--from", metavar="FORMAT", help="csv, vtt, elan, cvat, via, label-studio, fiftyone.")
    ] = None,
    fps: FpsOption = None,
    videos: VideosOption = [],
    subset: Annotated[str, typer.Option(help="Name of the split that the videos are in.")] = "",
    as_json: o.Json = False,
) -> None:
    """Turn annotations of other programs into ground truth for 'tal evaluate'.

    .csv, .vtt, .eaf and .xml tell their format; JSON needs --from. Formats that count frames need --fps or --videos,
    unless their files tell the rate.

    Examples:
        tal import-annotations elan/ -o truth.json

        tal import-annotations project.json --from via -o truth.json

        tal import-annotations annotations.xml --from cvat --videos videos/ -o truth.json
    """
    from cli.feature_files import _rate
    from tal import pipeline

    truth = pipeline.import_annotations(sources, from_, fps=_rate(fps), videos=videos, subset=subset)
    pipeline.write_truth(out, truth)
    n = sum(len(video.instances) for video in truth.videos.values())
    if as_json:
        counts = {"out": str(out), "n_videos": len(truth.videos), "n_instances": n}
        print(json.dumps({**counts, "classes": list(truth.classes)}, indent=1))
    told = f"{out}: {n} instances of {len(truth.classes)} classes in {len(truth.videos)} videos"
    print(printable(told), file=sys.stderr)
