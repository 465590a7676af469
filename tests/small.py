"""A small data set and settings under which the whole pipeline runs in seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from tal import config
from tal.demo.scripts import DemoOptions
from tal.demo.videos import DemoSet, render
from tal.settings import Settings

SETS = [
    "extract.weights=random:0",
    "extract.fps=5",
    "extract.short_side=32",
    "extract.crop=0",
    "extract.length=8",
    "extract.stride=4",
    "extract.calibration_videos=2",
    "train.steps=20",
    "train.n_snippets=16",
    "method.hidden=16",
]
OPTIONS = [part for text in SETS for part in ("--set", text)]


@dataclass(frozen=True)
class World:
    """Rendered videos, and a cache that tests of one module share."""

    data: DemoSet
    cache: Path
    folder: Path


def settings(*sets: str) -> Settings:
    return config.load(sets=[*SETS, *sets])


def make_world(folder: Path) -> World:
    options = DemoOptions(n_train=5, n_test=5, size=(64, 48), fps=Fraction(5))
    return World(render(folder / "data", options), folder / "cache", folder)


def tal(*arguments: object, cwd: Path, cache: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own."""
    environment = {**os.environ, "TAL_CACHE": str(cache), "COLUMNS": "160", **more}
    command = [sys.executable, "-m", "cli.app", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)
