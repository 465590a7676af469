"""Importing a feature set in a test, and what its shards say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import public_sets as sets

from tal import pipeline, shards
from tal.cache import Cache
from tal.pipeline import ImportOptions, ImportReport
from tal.types import Features


def imported(tmp_path: Path, name: str, source: Path, **options: Any) -> ImportReport:
    return pipeline.import_features(
        name, source, tmp_path / "out", ImportOptions(**options), cache=Cache(tmp_path / "c")
    )


def shard(report: ImportReport, name: str) -> Features:
    assert not report.failures
    return shards.read(report.shards[name])


def same(found: Features, streams: sets.Streams) -> bool:
    return set(found.streams) == set(streams) and all(
        np.array_equal(found.streams[name], values) for name, values in streams.items()
    )


def peak_s(found: Features) -> float:
    """Return when the snippet of the planted peak begins, with a cell per snippet as everything else uses it."""
    return found.grid.time_s(int(found.streams["rgb"][:, 0].argmax()))


def durations(tmp_path: Path, **seconds: float) -> Path:
    path = tmp_path / "durations.csv"
    path.write_text("video,duration\n" + "".join(f"{name},{value}\n" for name, value in seconds.items()))
    return path
