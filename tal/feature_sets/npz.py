"""One ``VIDEO.npz`` of named arrays per video: what `tal export-features --to npz` writes, grid and all.

``rgb`` and ``flow`` (T, D), ``motion`` (T,), and single numbers: ``fps``, ``stride``, ``length``, ``offset``,
``centred`` (whether a row's time is the middle of its frames) and ``duration_s``. Of other people's files ``rgb`` or
``flow`` are enough; what they do not say about time must be told.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from tal import npy
from tal.errors import InputError
from tal.feature_sets._base import Content, ImportOptions, Item, Layout
from tal.feature_sets._files import files_of, per_video
from tal.feature_sets._writing import Add, fresh
from tal.files import atomic_path
from tal.types import STREAMS, Features

LAYOUT = Layout("VIDEO.npz: rgb, flow (T, D); fps, stride, length and duration_s where known", "unknown")
_MAX = 1e6
_TOLD = {"fps": 1e-3, "stride": 1, "length": 1, "offset": 0, "centred": 0, "duration_s": 1e-3}
"""The single numbers and the least that each can be."""


def find(source: Path, asked: ImportOptions) -> Iterator[Item]:
    """Yield the videos of a folder."""
    return per_video(files_of(source, ".npz"), lambda path: _read(path, asked.streams or STREAMS))


def _read(path: Path, streams: tuple[str, ...]) -> Content:
    with npy.Archive(path) as archive:
        there = {name: archive.numbers(name) for name in streams if name in archive.names}
        told = {key: _number(archive, key, least) for key, least in _TOLD.items() if key in archive.names}
        motion = archive.numbers("motion") if "motion" in archive.names else None
    if not there:
        raise InputError(f"{path}: neither rgb nor flow in it; name the arrays so")
    return Content(
        there,
        fps=Fraction(str(told["fps"])).limit_denominator(10_000) if "fps" in told else None,
        stride=int(told["stride"]) if "stride" in told else None,
        length=int(told["length"]) if "length" in told else None,
        convention="centre" if told.get("centred") else None,
        offset=int(told.get("offset", 0)),
        duration_s=told.get("duration_s"),
        motion=motion,
    )


def _number(archive: npy.Archive, key: str, least: float) -> float:
    values = archive.numbers(key)
    if values.size != 1 or values.dtype.kind not in "fiub" or not least <= float(values.item()) < _MAX:
        raise InputError(f"{archive.path}, '{key}': not a number from {least:g}; remove the key or write one")
    return float(values.item())


@contextmanager
def exporting(out: Path, force: bool) -> Iterator[Add]:
    """Lend what writes a file per video."""

    def add(name: str, features: Features) -> None:
        grid = features.grid
        arrays: dict[str, Any] = {**features.streams, "fps": float(grid.fps), "stride": grid.stride}
        arrays["offset"] = grid.offset
        arrays |= {"length": grid.length, "duration_s": features.duration_s, "centred": grid.convention == "centre"}
        if features.motion is not None:
            arrays["motion"] = features.motion
        with atomic_path(fresh(out / f"{name}.npz", force)) as aside, aside.open("wb") as file:
            np.savez(file, **arrays)

    yield add
