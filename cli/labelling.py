"""The command that helps with labels: parse, call the pipeline, render."""

from __future__ import annotations

import json
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options as o
from cli.text import printable

if TYPE_CHECKING:
    from tal.pipeline.labelling import LabelCheck, Template

MAX_LINES = 10


def label(
    videos: Annotated[list[Path], typer.Argument(help="Video files, or folders that are searched for them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV file of labels.")] = Path("labels.csv"),
    check: Annotated[bool, typer.Option("--check", help="Say what is wrong with the file; change nothing.")] = False,
    as_json: o.Json = False,
) -> None:
    """Write a table to type the videos' labels into, or check one.

    One row per video, columns video and label. A video with two actions has two rows. Run it again when there are more
    videos: rows that are there stay as they are. Tables that Excel wrote with semicolons are read, too.

    Examples:
        tal label videos/

        tal label videos/ --check

        tal label videos/ more_videos/ -o all.csv --json
    """
    from tal.pipeline.labelling import check_labels, make_template

    if check:
        _show_check(check_labels(videos, output), as_json)
    else:
        _show_template(make_template(videos, output), as_json)


def _show_template(made: Template, as_json: bool) -> None:
    print(json.dumps(made.to_dict(), indent=1) if as_json else printable(made.path))
    lines = [f"{len(made.added)} videos added, {made.n_kept} rows kept as they were"]
    if made.n_unlabelled:
        lines.append(f"{made.n_unlabelled} videos have no label yet: write the action beside each, then add --check")
    for line in lines:
        print(line, file=sys.stderr)


def _show_check(found: LabelCheck, as_json: bool) -> None:
    """Print what was found; end with exit status 1 if the file cannot be used."""
    from tal.errors import AnnotationError

    if as_json:
        print(json.dumps(found.to_dict(), indent=1))
    else:
        _show_findings(found)
    labels = f"{len(found.classes)} label" + ("s" if len(found.classes) != 1 else "")
    print(f"{found.n_labelled} of {found.n_videos} videos have a label; {labels}", file=sys.stderr)
    if n := found.n_unusable:
        what = "1 thing keeps" if n == 1 else f"{n} things keep"
        raise AnnotationError(f"{found.path}: {what} it from being used; correct what is listed above")


def _show_findings(found: LabelCheck) -> None:
    """Print a line each, of one kind no more than fit on a screen."""
    for _, group in groupby(sorted(found.findings, key=lambda f: (not f.fatal, f.code)), key=lambda f: f.code):
        findings = list(group)
        for one in findings[:MAX_LINES]:
            where = "" if one.line is None else f", line {one.line}"
            print(printable(f"{found.path}{where}: {one.text}; {one.remedy}"))
        if more := len(findings) - MAX_LINES:
            print(f"... and {more} more lines like this: --json shows all") if more > 0 else None
    for label, n in found.classes.items():
        print(printable(f"{n:6d}  {label}"), file=sys.stderr)
