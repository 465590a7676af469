"""Options that several commands share, and what they become."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import completing

CONFIG = typer.Option("--config", "-c", help="YAML file of settings; may be repeated, later ones win.")
SET = typer.Option(
    "--set",
    metavar="KEY=VALUE",
    help="One setting, e.g. train.lr=1e-4; may be repeated.",
    autocompletion=completing.settings,
)

Config = Annotated[list[Path], CONFIG]
Sets = Annotated[list[str], SET]
CacheDir = Annotated[Path | None, typer.Option("--cache", envvar="TAL_CACHE", help="Cache folder.")]
Force = Annotated[bool, typer.Option("--force", help="Make everything anew, even what is there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only results and problems.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Also tell what was found in the cache, what computes, and timings.")
]
Device = Annotated[
    str | None,
    typer.Option(help="auto, cpu, cuda, cuda:1 or mps.", autocompletion=completing.words(completing.DEVICES)),
]
Workers = Annotated[int | None, typer.Option(help="Threads for optical flow; default: all cores.")]
Decoder = Annotated[
    str | None, typer.Option(help="auto, pyav, nvdec, decord or opencv.", autocompletion=completing.decoders)
]
Flow = Annotated[str | None, typer.Option(help="auto, native, opencv or opencv-cuda.", autocompletion=completing.flows)]
Preset = Annotated[
    str | None,
    typer.Option(help="Convention of extracting: deepmind, stpn, cmcs or wtalc.", autocompletion=completing.presets),
]
Backbone = Annotated[
    str | None,
    typer.Option(
        help="Network: i3d (two streams), or an RGB one such as slow_r50, r3d_18.", autocompletion=completing.backbones
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        help="fp32, bf16, fp16 or auto; what I3D computes in.", autocompletion=completing.words(completing.PRECISIONS)
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="default (fetched once), a file, a TensorFlow checkpoint, a folder, rgb=FILE,flow=FILE or random:SEED.",
        autocompletion=completing.words(completing.WEIGHTS),
    ),
]
MethodName = Annotated[
    str | None,
    typer.Option("--method", "-m", help="Method to train; default: stpn.", autocompletion=completing.methods),
]
Dataset = Annotated[
    str | None,
    typer.Option(
        help="The method's settings for another data set: thumos14 (the paper's schedule), activitynet13 ...",
        autocompletion=completing.datasets,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON in place of a table.")]


@contextmanager
def environment(
    cache: Path | None, force: bool = False, quiet: bool = False, verbose: bool = False
) -> Iterator[dict[str, Any]]:
    """Open the cache and the progress display as keyword arguments for a pipeline function."""
    from cli.progress import display
    from cli.telling import TellingCache
    from tal.cache import Cache

    with display(quiet, verbose) as progress:
        yield {"cache": TellingCache(cache, force, progress) if verbose else Cache(cache, force), "progress": progress}


@contextmanager
def busy(title: str, quiet: bool = False, verbose: bool = False) -> Iterator[None]:
    """Show that something is being done, where nothing tells how much of it is left."""
    from cli.progress import display

    with display(quiet, verbose) as progress, progress.task(title, None, ""):
        yield
