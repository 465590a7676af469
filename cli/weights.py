"""The commands ``tal weights``: which I3D weights are here, fetching, verifying and converting them."""

from __future__ import annotations

import json
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options as o
from cli.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extract.weights import Inspection
    from tal.pipeline.i3d_weights import Checked, WeightsFile

SHOWN = 4
"""Tensors that differ and are named; --json names all."""

weights_app = typer.Typer(help="Find, fetch, verify and convert I3D weights.", no_args_is_help=True)


class Which(str, Enum):
    """Streams to fetch weights for."""

    RGB = "rgb"
    FLOW = "flow"
    ALL = "all"


class Keys(str, Enum):
    """Whose names the tensors get."""

    OURS = "ours"
    PIERGIAJ = "piergiaj"
    HASSONY2 = "hassony2"


@weights_app.command("ls")
def weights_ls(as_json: o.Json = False, cache: o.CacheDir = None) -> None:
    """List the files that 'default' finds or would fetch: path, size, where from, and whether the digest is right.

    Example:
        tal weights ls
    """
    from tal.cache import Cache
    from tal.pipeline import i3d_weights
    from tal.types import STREAMS

    _show_files(i3d_weights.list_files(STREAMS, Cache(cache)), as_json)


@weights_app.command("fetch")
def weights_fetch(
    which: Annotated[Which, typer.Argument(help="Stream.")] = Which.ALL,
    as_json: o.Json = False,
    cache: o.CacheDir = None,
    force: Annotated[bool, typer.Option("--force", help="Fetch even what is here.")] = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Fetch the published weights that are not here, and verify their digests.

    They go into $TAL_WEIGHTS if that names a folder, else into the cache. A download that was cut goes on where it
    ended.

    Examples:
        tal weights fetch

        tal weights fetch rgb --cache /data/tal
    """
    from tal.errors import BatchError, TalError
    from tal.pipeline import i3d_weights
    from tal.types import STREAMS

    streams = [stream for stream in STREAMS if which.value in {stream, "all"}]
    files, failures = [], {}
    with o.environment(cache, force, quiet, verbose) as env:
        for stream in streams:
            try:
                files.append(i3d_weights.fetch_file(stream, **env))
            except TalError as error:
                if len(streams) == 1:
                    raise
                failures[stream] = str(error)
    if files or as_json:
        _show_files(files, as_json)
    if failures:
        raise BatchError(f"{len(failures)} of {len(streams)} weight files could not be fetched", failures)


@weights_app.command("verify")
def weights_verify(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Weight files of any format.")],
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Tell what weight files are, and compare each tensor with DeepMind's checksums.

    The exit status is 1 if a file cannot be used, and 0 for usable weights that are not DeepMind's.

    Example:
        tal weights verify rgb_imagenet.pt model_flow.pth
    """
    from cli.progress import display
    from tal.errors import BatchError, WeightsError
    from tal.pipeline import i3d_weights

    with display(quiet, verbose) as progress:
        checked = i3d_weights.check_files(files, progress)
    if as_json:
        print(json.dumps([one.to_dict() for one in checked], indent=1))
    else:
        _show_checked(checked)
    failed = [one.error for one in checked if one.error]
    if failed and len(checked) == 1:
        raise WeightsError(failed[0])
    if failed:
        raise BatchError(f"{len(failed)} of {len(checked)} weight files cannot be used", {})


@weights_app.command("convert")
def weights_convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Weight file of any format.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="A .safetensors file, or a folder.")],
    keys: Annotated[Keys, typer.Option(help="Names of the tensors; ours are piergiaj's.")] = Keys.OURS,
    force: Annotated[bool, typer.Option("--force", help="Overwrite DST.")] = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Write weights of any format as safetensors; prints the file.

    Examples:
        tal weights convert rgb_imagenet.pt i3d_rgb.safetensors

        tal weights convert rgb_imagenet/model.ckpt weights/
    """
    from tal.pipeline import i3d_weights

    with o.busy("convert", quiet, verbose):
        path, found = i3d_weights.convert(source, target, keys.value, force)
    print(_judgement(found), file=sys.stderr)
    if as_json:
        print(json.dumps({"path": str(path), "stream": found.stream, "judgement": _judgement(found)}, indent=1))
    else:
        print(printable(path))


def _show_files(files: Sequence[WeightsFile], as_json: bool) -> None:
    from cli import render

    if as_json:
        print(json.dumps([file.to_dict() for file in files], indent=1))
        return
    for file in files:
        if file.digest == "wrong":
            print(f"{printable(file.path or '')}: not the published file of that name", file=sys.stderr)
    render.table("I3D weights: default", ["stream", "file", "size", "digest", "where from"], map(_row, files))


def _row(file: WeightsFile) -> list[str]:
    size = f"{file.n_bytes / 1e6:.1f} MB" if file.n_bytes else "?"
    return [file.stream, printable(file.path) if file.path else "not here", size, file.digest, printable(file.origin)]


def _show_checked(checked: Sequence[Checked]) -> None:
    """Print a few lines for each file; the error of the only one is told at the end."""
    for one in checked:
        if one.found:
            for line in (printable(one.path), *(f"  {line}" for line in _lines(one.found))):
                print(line)
        elif len(checked) > 1:
            print(printable(one.error))


def _lines(found: Inspection) -> list[str]:
    known = found.published
    digest = f"that of {known.url}" if known else "not that of a published file"
    return [
        f"{found.format.value}, stream {found.stream}, {len(found.state)} tensors, every shape right",
        f"digest: {digest} (SHA-256 {found.digests.sha256})",
        _judgement(found),
    ]


def _judgement(found: Inspection) -> str:
    """Say whose weights these are."""
    report = found.report
    if report.identical:
        return str(report)
    names = ", ".join(report.different[:SHOWN]) + (", … (--json lists all)" if len(report.different) > SHOWN else "")
    return f"usable, but not DeepMind's: {report}; different: {names}"
