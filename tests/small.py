"""A small data set and settings under which the whole pipeline runs in seconds."""

from __future__ import annotations

import contextlib
import io
import math
import os
import shutil
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from unittest import mock

from tal import config
from tal.demo.scripts import DemoOptions
from tal.demo.videos import DemoSet, render
from tal.settings import Settings

SETS = [
    "extract.weights=random:0",
    "extract.fps=5/2",
    "extract.short_side=32",
    "extract.crop=0",
    "extract.length=8",
    "extract.stride=4",
    "extract.calibration_videos=2",
    "train.steps=20",
    "train.n_snippets=16",
    "method.hidden=16",
]
OPTIONS = [part for text in (*SETS, "runtime.isolate=none") for part in ("--set", text)]  # a process less to start


@dataclass(frozen=True)
class World:
    """Rendered videos, and a cache that tests of one module share."""

    data: DemoSet
    cache: Path
    folder: Path


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


def settings(*sets: str) -> Settings:
    return config.load(sets=[*SETS, *sets])


def make_world(folder: Path) -> World:
    options = DemoOptions(n_train=5, n_test=5, size=(64, 48), fps=Fraction(5))
    return World(render(folder / "data", options), folder / "cache", folder)


def with_features(world: World, folder: Path) -> Path:
    """Copy the shards of the run that all share: a test may go on from there with other settings and leave it alone."""
    shutil.copytree(world.folder / "out" / "features", folder / "features")
    return folder


def tal(*arguments: object, cwd: Path, cache: Path, **more: str) -> Done:
    """Run the command line in this process, as `main` would."""
    from cli.app import main

    out, err = io.StringIO(), io.StringIO()
    environment = {"TAL_CACHE": str(cache), "COLUMNS": "160", **more}
    before = Path.cwd()
    with (
        mock.patch.dict(os.environ, environment),
        mock.patch.object(sys, "argv", ["tal", *map(str, arguments)]),
        mock.patch("cli.progress.PLAIN_EVERY_S", math.inf),  # what is said does not depend on how long it takes
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        os.chdir(cwd)
        try:
            main()
            status: object = 0
        except SystemExit as leaving:
            status = leaving.code or 0
        finally:
            os.chdir(before)
    return Done(int(str(status)), out.getvalue(), err.getvalue())
