"""Writing one video's features for other people's code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tal.errors import InputError
from tal.files import atomic_path
from tal.types import STREAMS, Features, FloatArray

Add = Callable[[str, Features], None]


def beside(features: Features, both: bool = False) -> FloatArray:
    """Return the streams side by side, RGB first, (T, D).

    Args:
        features: One video's.
        both: Whether readers of the format need both streams.

    Raises:
        InputError: If one is missing that is needed.
    """
    there = [features.streams[name] for name in STREAMS if name in features.streams]
    if both and len(there) < len(STREAMS):
        raise InputError("it has one stream, the format needs rgb and flow; export to npy or npz")
    return np.concatenate(there, axis=1) if len(there) > 1 else there[0]


def fresh(path: Path, force: bool) -> Path:
    """Return a path that may be written.

    Raises:
        InputError: If a file is there already.
    """
    if path.exists() and not force:
        raise InputError(f"{path}: is there already; choose another folder, or --force to overwrite it")
    return path


def save(path: Path, values: NDArray[Any], force: bool) -> None:
    """Write a ``.npy`` file of numbers or texts that is whole or not there."""
    with atomic_path(fresh(path, force)) as aside, aside.open("wb") as file:
        np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)
