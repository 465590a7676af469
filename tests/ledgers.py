"""Folders of shards with ledgers for tests: shards, workers, processes that have ended."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np

from tal import shards
from tal.ledger import Ledger
from tal.ledger.workers import Worker
from tal.types import Features, SnippetGrid


def add_shard(folder: Path, name: str, value: float = 1.0, duration_s: float = 2.0) -> Path:
    path = folder / f"{name}{shards.SUFFIX}"
    vectors = np.full((2, 4), value, np.float32)
    grid = SnippetGrid(2, Fraction(25), 16, 16, 0)
    about = {"video": {"name": f"{name}.mp4"}}
    shards.write(path, Features({"rgb": vectors}, grid, duration_s, None, about), f"key of {name}")
    return path


def enter(folder: Path, worker: Worker, name: str) -> None:
    """Write down a worker with a video in work, as it would have done itself."""
    with Ledger(folder) as ledger:
        ledger.worker = worker
        assert ledger.claim(name, "", "k")
        ledger._over.set()
        ledger._heart.join()  # type: ignore[union-attr]
        ledger._heart = None  # it does not sign off


def dead() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid
