"""The command that imports authors' checkpoints: parse, call the pipeline, render."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import completing
from cli import options as o
from cli.text import printable


def import_model(
    source: Annotated[str, typer.Argument(metavar="FILE", help="A checkpoint, or rgb=FILE,flow=FILE.")],
    classes: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Its classes in its order, one per line; or thumos14, alphabetical.",
            autocompletion=completing.words(("thumos14",)),
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write the model to.")],
    method: Annotated[
        str,
        typer.Option(
            "--method", "-m", help="Whose checkpoint it is: stpn, cmcs or ecm.", autocompletion=completing.methods
        ),
    ],
    dataset: o.Dataset = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Convention of extracting for the model; default: the method's, if it has one.",
            autocompletion=completing.presets,
        ),
    ] = None,
    config: o.Config = [],
    sets: o.Sets = [],
    force: Annotated[bool, typer.Option("--force", help="Overwrite a model that is there.")] = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Turn checkpoints of a method's authors into a model, and print its folder.

    Known are those of Finspire13's CMCS, of the official ECM, and of bellos1203's STPN (TensorFlow, or its variables as
    .npz). Pickles are read as tensors alone: nothing in a file is run.

    Examples:
        tal import-model rgb=model-rgb-15000,flow=model-flow-15000 --method cmcs --classes thumos14 -o runs/cmcs-authors

        tal import-model rgb=rgb_23100.index,flow=flow_23100.index -m stpn --classes thumos14 -o runs/stpn-public

        tal import-model checkpoint.pth -m ecm --dataset activitynet13 --classes classes.txt -o runs/ecm-official
    """
    from tal import config as configuration
    from tal import pipeline

    own = method if method in configuration.presets() else None
    settings = configuration.load(method, config, sets, preset=preset or own, dataset=dataset)
    with o.busy("import the model", quiet, verbose):
        found = pipeline.import_model(source, classes, out, settings, force=force)
    dims = ", ".join(f"{name} {n_channels}-d" for name, n_channels in found.meta.networks.items())
    print(f"{method}: {dims}, {len(found.meta.classes)} classes", file=sys.stderr)
    if as_json:
        about = {"method": method, "networks": dict(found.meta.networks), "classes": list(found.meta.classes)}
        print(json.dumps({"path": str(found.path), **about}, indent=1))
    else:
        print(printable(found.path))
