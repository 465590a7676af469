"""The command that draws one video's timeline, in the terminal or as a figure: parse, call the pipeline, render."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options as o
from cli.text import printable

if TYPE_CHECKING:
    from tal.figures.rows import Picture


def show(
    video: Annotated[str, typer.Argument(help="A video file, or the name of a video in the detections or features.")],
    detections: Annotated[
        list[str],
        typer.Option("--detections", "-d", metavar="[NAME=]FILE", help="Detections; repeated: a row for each."),
    ] = [],
    model: Annotated[
        list[str],
        typer.Option("--model", "-m", metavar="[NAME=]RUN", help="Localize with this run; repeated: a row for each."),
    ] = [],
    truth: Annotated[Path | None, typer.Option("--truth", "-a", help="Ground truth: JSON, CSV or THUMOS14.")] = None,
    features: Annotated[
        Path | None, typer.Option("--features", "-f", help="Folder of shards: for curves, and in place of the video.")
    ] = None,
    activations: Annotated[
        Path | None, typer.Option(metavar="DIR", help="For curves: what 'tal localize --activations' wrote.")
    ] = None,
    labels: Annotated[list[str], typer.Option("--class", metavar="LABEL", help="Only this label; repeatable.")] = [],
    min_score: Annotated[float | None, typer.Option(metavar="P", help="Leave out detections that score lower.")] = None,
    top: Annotated[int, typer.Option(metavar="N", min=0, help="At most so many detections per label; 0 for all.")] = 0,
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw a figure for papers, 300 dpi.")] = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="The same as vectors.")] = None,
    pdf: Annotated[Path | None, typer.Option(metavar="FILE", help="The same as vectors.")] = None,
    width: Annotated[
        float, typer.Option(metavar="IN", help="Width of the figure in inches: 3.25 fills a column, 6.875 a page.")
    ] = 6.875,
    curves: Annotated[bool, typer.Option("--curves/--no-curves", help="Draw the CAS, where it is known.")] = True,
    title: Annotated[str, typer.Option(help="Title of the figure; default: none.")] = "",
    cache: o.CacheDir = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Draw the timeline of one video: detections, truth and curves, in the terminal or as a figure.

    Heights tell scores: a full block is the best one. With --png, --svg or --pdf a figure is drawn in place of text,
    one row per method under the truth, the CAS below each. Detections and a model of one name are one row.

    Examples:
        tal show my_video --detections detections.json

        tal show videos/my_video.mp4 --model runs/stpn --truth annotations.json

        tal show my_video -d detections.json -m runs/stpn -f features -a annotations.json

        tal show my_video -m STPN=runs/stpn -m CMCS=runs/cmcs -f features --svg figure.svg --width 3.25
    """
    from tal.figures.rows import picture, to_dict
    from tal.pipeline.showing import parse_methods, show

    methods = parse_methods(detections, model)
    with o.environment(cache, quiet=quiet, verbose=verbose) as env:
        rows = show(video, methods, truth=truth, features=features, activations=activations, **env)
    shown = picture(rows, labels, min_score, top, curves)
    files = [path for path in (png, svg, pdf) if path is not None]
    if as_json:
        print(json.dumps(to_dict(shown), indent=1))
    for path in files:
        _draw(shown, path, width, title)
    if not files and not as_json:
        _print(shown)


def _draw(shown: Picture, path: Path, width_in: float, title: str) -> None:
    from tal.figures.paper import Look, write

    write(shown, path, Look(width_in, title))
    print(printable(path))


def _print(shown: Picture) -> None:
    """Print the timeline as wide as the terminal, with the characters and colours that it knows."""
    from rich.console import Console
    from rich.text import Text

    from tal.figures import terminal

    console = Console(markup=False, highlight=False, emoji=False)
    for line in terminal.draw(shown, console.width, terminal.glyphs_for(console.encoding)):
        text = Text.assemble(*((_writable(piece, console.encoding), style) for piece, style in line))
        text.rstrip()
        console.print(text, soft_wrap=True)


def _writable(text: str, encoding: str) -> str:
    """Return text with question marks for what an encoding cannot write."""
    return text.encode(encoding, "replace").decode(encoding)
