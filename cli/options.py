"""Options that several commands share, and what they become."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

CONFIG = typer.Option("--config", "-c", help="YAML file of settings; may be repeated, later ones win.")
SET = typer.Option("--set", metavar="KEY=VALUE", help="One setting, e.g. train.lr=1e-4; may be repeated.")

Config = Annotated[list[Path], CONFIG]
Sets = Annotated[list[str], SET]
CacheDir = Annotated[Path | None, typer.Option("--cache", envvar="TAL_CACHE", help="Cache folder.")]
Force = Annotated[bool, typer.Option("--force", help="Make everything anew, even what is there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only results and problems.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Workers = Annotated[int | None, typer.Option(help="Threads for optical flow; default: all cores.")]
Decoder = Annotated[str | None, typer.Option(help="auto, pyav, nvdec, decord or opencv.")]
Flow = Annotated[str | None, typer.Option(help="auto, native, opencv or opencv-cuda.")]
Preset = Annotated[str | None, typer.Option(help="Convention of extracting: deepmind, stpn, cmcs or wtalc.")]
Backbone = Annotated[
    str | None, typer.Option(help="Network: i3d (two streams), or an RGB one such as slow_r50, r3d_18.")
]
Precision = Annotated[str | None, typer.Option(help="fp32, bf16, fp16 or auto; what I3D computes in.")]
Weights = Annotated[
    str | None,
    typer.Option(
        help="default (fetched once), a file, a TensorFlow checkpoint, a folder, rgb=FILE,flow=FILE or random:SEED."
    ),
]
MethodName = Annotated[str | None, typer.Option("--method", "-m", help="Method to train; default: stpn.")]
Dataset = Annotated[
    str | None,
    typer.Option(help="The method's settings for another data set: thumos14 (the paper's schedule), activitynet13 ..."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON in place of a table.")]


@contextmanager
def environment(cache: Path | None, force: bool = False, quiet: bool = False) -> Iterator[dict[str, Any]]:
    """Open the cache and the progress display as keyword arguments for a pipeline function."""
    from cli.progress import display
    from tal.cache import Cache

    with display(quiet) as progress:
        yield {"cache": Cache(cache, force), "progress": progress}
