"""Named tensors out of checkpoints that others wrote: PyTorch, safetensors, TensorFlow, NumPy.

Nothing in them is run.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from extract import tf_checkpoint
from extract.weights_formats import MAX_BYTES, Format, sniff
from tal import npy
from tal.errors import InputError, ModelError, WeightsError
from tal.parsing import shown

if TYPE_CHECKING:
    from torch import Tensor

_SLOTS = ("/Adam", "/Adam_1", "/Momentum")  # the optimizer's
_WRAPPED = "module."  # how PyTorch's DataParallel calls what it wraps


def read(path: Path) -> dict[str, Tensor]:
    """Read a checkpoint's tensors, float32, under the names it gives them.

    Args:
        path: A PyTorch file, whose ``state_dict`` is read where it has one, a safetensors file, a TensorFlow
            checkpoint's prefix or one of its files, or an archive of NumPy arrays.

    Raises:
        WeightsError: If the file is missing, damaged, of no known format, or a pickle with code in it.
        ModelError: If something in it is no tensor of finite floating-point numbers.
    """
    path = tf_checkpoint.index_of(path) or path
    values = _read_npz(path) if _is_npz(path) else _read_known(path)
    return {str(key).removeprefix(_WRAPPED): _checked(path, str(key), value) for key, value in values.items()}


def _read_known(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        raise WeightsError(f"{path}: no such file; give a checkpoint, or rgb=FILE,flow=FILE")
    if sniff(path) == Format.TENSORFLOW:
        return _read_tensorflow(path)
    from extract import weights_files

    return weights_files.read(path)


def _read_tensorflow(path: Path) -> dict[str, Tensor]:
    import torch

    checkpoint = tf_checkpoint.open_checkpoint(path)
    names = {
        name: name
        for name, variable in checkpoint.variables.items()
        if variable.dtype == tf_checkpoint.FLOAT32 and not name.endswith(_SLOTS)
    }
    found = tf_checkpoint.read_variables(checkpoint, names)
    return {name: torch.from_numpy(values) for name, values in found.items()}


def _is_npz(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return path.suffix == ".npz" and path.is_file()
    return bool(names) and all(name.endswith(".npy") for name in names)


def _read_npz(path: Path) -> dict[str, Tensor]:
    import torch

    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise WeightsError(f"{path}: its arrays take more than {MAX_BYTES >> 30} GiB; not a checkpoint")
        with npy.Archive(path) as arrays:
            return {name: torch.from_numpy(_native(arrays.numbers(name))) for name in arrays.names}
    except (OSError, ValueError, TypeError, NotImplementedError, zipfile.BadZipFile, InputError) as error:
        raise WeightsError(f"{path}: damaged, cut short or not numbers alone; get it again") from error


def _native(values: NDArray[Any]) -> NDArray[Any]:
    """Return a copy that PyTorch can write to, in this machine's order of bytes."""
    return np.array(values, values.dtype.newbyteorder("="), order="C")


def _checked(path: Path, key: str, value: Any) -> Tensor:
    from extract.weights_files import is_plain

    # A tensor of few numbers may say that it repeats them a trillion times.
    if not is_plain(value) or value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise ModelError(f"{path}: {shown(key)} is not a tensor of floating-point numbers; give the weights alone")
    tensor: Tensor = value.detach().float().contiguous()
    if not bool(tensor.isfinite().all()):
        raise ModelError(f"{path}: damaged: {shown(key)} holds values that are not finite; get it again")
    return tensor
