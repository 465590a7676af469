"""The command ``tal probe``: what the reader sees in videos, as a block for one, a table for several, or JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options as o
from cli import surveys
from cli.text import printable

if TYPE_CHECKING:
    from extract.reports import Survey
    from tal.pipeline import Probed

NO_LIMIT = 100_000
"""Width that no line reaches, characters: where stdout is no terminal, each video is one line."""


def probe(
    videos: Annotated[list[Path], typer.Argument(help="Video files, or folders that are searched for them.")],
    full: Annotated[bool, typer.Option("--full", help="Decode every frame, not only the first 100.")] = False,
    decoder: o.Decoder = None,
    max_gap: Annotated[
        float, typer.Option(metavar="SECONDS", help="Longest gap without pictures in a video that can be used.")
    ] = 2.0,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Show what the reader sees in videos: format, size, rate, frames, time and damage.

    Only the first 100 frames of each are decoded; damage behind them shows with --full. --json prints a list with one
    object per file; a file that cannot be used has its reason in "error", and the exit status is 1.

    Examples:
        tal probe my_video.mp4

        tal probe videos/ --full --json > videos.json
    """
    from cli.progress import display
    from tal import pipeline

    with display(quiet, verbose) as progress:
        found = pipeline.probe(videos, full=full, decoder=decoder or "auto", max_gap_s=max_gap, progress=progress)
    if as_json:
        print(json.dumps([one.to_dict() for one in found], indent=1))
    elif len(found) > 1:
        _print(_overview(found))
    elif found[0].survey:
        _print([_block(found[0].path, found[0].survey)])
    _raise_failures(found)


def _raise_failures(found: Sequence[Probed]) -> None:
    """End with exit status 1 if a file cannot be used."""
    from tal.errors import BatchError, InputError

    failed = [one for one in found if one.error]
    if failed and len(found) == 1:
        raise InputError(_reason(failed[0]))
    if failed:
        raise BatchError(f"{len(failed)} of {len(found)} videos cannot be used", {})


def _reason(one: Probed) -> str:
    return f"{printable(one.path)}: {printable(one.error)}"


def _print(drawn: Sequence[Any]) -> None:
    """Print tables and lines; what stdout's encoding lacks is escaped."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else NO_LIMIT, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        for one in drawn:
            console.print(one, soft_wrap=isinstance(one, str))
    encoding = sys.stdout.encoding or "utf-8"
    for line in captured.get().removesuffix("\n").split("\n"):
        print(line.rstrip().encode(encoding, "backslashreplace").decode(encoding))


def _overview(found: Sequence[Probed]) -> list[Any]:
    """Draw a table of the videos that can be read, then one line per video that cannot be used."""
    seen = {one.path: one.survey for one in found if one.survey}
    drawn: list[Any] = _table(seen) if seen else []
    if n_partial := sum(not survey.complete for survey in seen.values()):
        drawn.append(f"{n_partial} of {len(seen)} videos: only the first 100 frames were decoded; --full decodes all")
    if failed := [_reason(one) for one in found if one.error]:
        drawn += ["cannot be used:", *(f"  {line}" for line in failed)]
    return drawn


def _table(seen: dict[Path, Survey]) -> list[Any]:
    """Draw one row per video; a terminal, being narrow, gets the folder that all are in as a line of its own."""
    from rich.table import Table
    from rich.text import Text

    folder = _common_folder(list(seen)) if sys.stdout.isatty() else ""
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    for name in ("video", *surveys.COLUMNS):
        is_text = name in {"video", "remarks"}
        table.add_column(name, justify="left" if is_text else "right", no_wrap=not is_text, overflow="fold")
    for path, survey in seen.items():
        name = printable(path.relative_to(folder) if folder else path)
        table.add_row(Text(name), *map(Text, surveys.cells(survey)))
    return [f"in {printable(folder)}:", table] if folder else [table]


def _common_folder(paths: Sequence[Path]) -> str:
    try:
        return os.path.commonpath([path.parent for path in paths])
    except ValueError:  # absolute and relative ones
        return ""


def _block(path: Path, survey: Survey) -> Any:
    """Draw everything about one video in two columns."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(Text("video"), Text(printable(path)))
    for name, value in surveys.lines(survey).items():
        table.add_row(Text(name), Text(value))
    return table
