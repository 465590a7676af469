"""What feature files hold, without trusting them: shards, ``.npy`` and ``.npz``; nothing is unpickled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tal import npy, shards
from tal.datasets import FeatureGrid
from tal.datasets.layout import FeatureFile
from tal.errors import InputError, ShardError, TalError
from tal.types import STREAMS

Array = NDArray[np.floating]
ROWS = 4096
"""Snippets that are looked at in one go."""
_KEYS = ("feature", "features", *STREAMS)


@dataclass(frozen=True)
class Seen:
    """What is known of one video's features.

    Attributes:
        counts: Snippets of each stream; a stream without a name is called ``joint``.
        dims: Dimension of each stream.
        finite: Whether all values are; True where they were not looked at.
        grid: What the file says about its rate; None where it says nothing.
        origin: How the features were made, in a few words; empty where the file says nothing.
    """

    counts: Mapping[str, int]
    dims: Mapping[str, int]
    finite: bool = True
    grid: FeatureGrid | None = None
    origin: str = ""


@dataclass
class _Streams:
    counts: dict[str, int] = field(default_factory=dict)
    dims: dict[str, int] = field(default_factory=dict)
    finite: bool = True

    def add(self, name: str, values: Array, look: bool) -> None:
        self.counts[name], self.dims[name] = values.shape[-2], values.shape[-1]
        self.finite = self.finite and bool(values.size) and (not look or _finite(values))


def see(files: Sequence[FeatureFile], look: bool) -> Seen:
    """Look into the files of one video.

    Args:
        files: One file, or one per stream.
        look: Whether to read all values, too: a damaged shard and NaN are found only so.

    Raises:
        TalError: If a file cannot be read, or two hold the same stream.
    """
    if files[0].path.suffix == shards.SUFFIX:
        return _shard(files[0].path, look)
    found = _Streams()
    for file in files:
        name = file.stream or "joint"
        if name in found.counts:
            raise InputError(f"{file.path}: a second file of the same video; keep one of them")
        read = _npy if file.path.suffix == ".npy" else _npz
        read(file.path, name, look, found)
    return Seen(found.counts, found.dims, found.finite)


def _npy(path: Path, name: str, look: bool, found: _Streams) -> None:
    stored = npy.read(path)
    if stored.is_object:
        raise InputError(f"{path}: an array of objects, several videos in one; import it with 'tal import-features'")
    found.add(name, _table(npy.numbers(path), path), look)


def _npz(path: Path, name: str, look: bool, found: _Streams) -> None:
    with npy.Archive(path) as arrays:
        keys = [key for key in arrays.names if key in _KEYS]
        if not keys:
            held = ", ".join(arrays.names)[:60] or "no arrays"
            raise InputError(f"{path}: neither 'feature' nor 'rgb' nor 'flow' in it, but {held}; import it first")
        for key in keys:
            found.add(key if key in STREAMS else name, _table(arrays.numbers(key), path), look)


def _table(values: NDArray[Any], path: Path) -> Array:
    """Return features as they are if they are numbers, (T, D) or (crops, T, D)."""
    if values.ndim not in {2, 3} or values.dtype.kind != "f":
        held = f"{values.dtype} of shape {values.shape}"
        raise InputError(f"{path}: {held}, expected floating-point numbers (snippets, dimension)")
    return values


def _finite(values: Array) -> bool:
    """Return whether all values are finite, a block of snippets at a time."""
    tables = values.reshape(-1, values.shape[-1])
    return all(bool(np.isfinite(tables[i : i + ROWS]).all()) for i in range(0, len(tables), ROWS))


def _shard(path: Path, look: bool) -> Seen:
    about = shards.header(path)
    found = _Streams({s: about.shapes[s][0] for s in about.dims}, dict(about.dims))
    if look:
        for name, values in shards.read(path).streams.items():
            found.add(name, values, look)
    if not found.counts:
        raise ShardError(f"{path}: neither an rgb nor a flow stream; extract or import it again")
    grid = FeatureGrid.model_validate(
        {"name": "the shards", "fps": about.grid.fps, "stride": about.grid.stride, "length": about.grid.length}
    )
    return Seen(found.counts, found.dims, found.finite, grid, origin(about.provenance))


def origin(provenance: Mapping[str, object]) -> str:
    """Return how features were made, in a few words: network and weights, or that they were imported."""
    told = provenance.get("imported") or any(value == "imported" for value in provenance.values())
    if told:
        source = (told if isinstance(told, Mapping) else provenance).get("format", "")
        return f"imported ({source})" if source else "imported"
    made = provenance.get("settings")
    network = str(made.get("backbone", "")) if isinstance(made, Mapping) else ""
    weights = str(provenance.get("weights_spec", ""))
    if network or weights:
        return " ".join(filter(None, [network or "i3d", f"weights {weights}" if weights else ""]))
    return ", ".join(f"{key} {value}" for key, value in sorted(provenance.items()) if isinstance(value, str | int))[:60]


def readable(call: Callable[[], Seen]) -> tuple[Seen | None, str]:
    """Return what is seen, or why nothing is."""
    try:
        return call(), ""
    except TalError as error:
        return None, str(error)
