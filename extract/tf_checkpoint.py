"""TensorFlow's checkpoints (V2, "tensor bundles"), read without TensorFlow.

``PREFIX.index`` is a table (`extract.sstable`) of TensorFlow's ``tensor_bundle.proto``: under the empty key a
BundleHeaderProto, under each variable's name a BundleEntryProto that says where in ``PREFIX.data-00000-of-00001`` its
values lie. Nothing is run, and every tensor's CRC32C is checked as it is read.
"""

from __future__ import annotations

import glob
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from extract.sstable import Unreadable, fields, masked_crc32c, read_table
from tal.errors import WeightsError

SUFFIX = ".index"
FLOAT32 = 1  # DataType.DT_FLOAT of types.proto
MAX_INDEX_BYTES = 4 << 20
MAX_DATA_BYTES = 1 << 30
MAX_AXES = 8


@dataclass(frozen=True)
class Variable:
    """Where one variable's values are (BundleEntryProto).

    Attributes:
        dtype: TensorFlow's number of the type.
        shape: Sizes of its axes.
        shard: Which data file.
        offset: First byte there.
        n_bytes: Bytes there.
        crc32c: Their masked CRC32C.
        sliced: Whether the values are spread over several entries.
    """

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    n_bytes: int
    crc32c: int
    sliced: bool


@dataclass(frozen=True)
class Checkpoint:
    """What an index lists.

    Attributes:
        index: The file ``PREFIX.index``.
        n_shards: Number of data files.
        variables: Name to place.
    """

    index: Path
    n_shards: int
    variables: Mapping[str, Variable]

    def data_file(self, shard: int) -> Path:
        """Return the path of a data file."""
        prefix = self.index.name.removesuffix(SUFFIX)
        return self.index.with_name(f"{prefix}.data-{shard:05d}-of-{self.n_shards:05d}")


def index_of(path: Path) -> Path | None:
    """Return the index of a checkpoint that is named by its prefix or by any of its files, if it is there."""
    prefix = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", path.name)
    index = path.with_name(prefix + SUFFIX) if prefix else path
    return index if index.is_file() else None


def files_of(path: Path) -> list[Path]:
    """Return all files of weights that `path` names: of a checkpoint's index also its data files, else the file."""
    data = path.parent.glob(f"{glob.escape(path.name.removesuffix(SUFFIX))}.data-*") if path.suffix == SUFFIX else ()
    return [path, *data]


def open_checkpoint(index: Path) -> Checkpoint:
    """Read an index.

    Raises:
        WeightsError: If it is damaged or not that of a V2 checkpoint.
    """
    try:
        if index.stat().st_size > MAX_INDEX_BYTES:
            raise Unreadable(f"larger than {MAX_INDEX_BYTES >> 20} MiB")
        table = read_table(index.read_bytes())
        n_shards = _n_shards(table.get(b""))
        variables = {key.decode(): _variable(message) for key, message in table.items() if key}
    except (Unreadable, UnicodeDecodeError) as error:
        raise WeightsError(f"{index}: not readable as a TensorFlow checkpoint: {error}") from error
    except OSError as error:
        raise WeightsError(f"{index}: cannot be read: {error.strerror}") from error
    return Checkpoint(index, n_shards, variables)


def _n_shards(header: bytes | None) -> int:
    """Return the number of data files (BundleHeaderProto)."""
    found = dict(fields(header)) if header is not None else {}
    n_shards = found.get(1)
    if not isinstance(n_shards, int) or not 0 < n_shards < 100_000:
        raise Unreadable("it has no header of a V2 checkpoint (older checkpoints are not supported)")
    if found.get(2, 0) != 0:
        raise Unreadable("its numbers are big-endian, which is not supported")
    return n_shards


def _variable(message: bytes) -> Variable:
    numbers, shape, sliced = dict.fromkeys((1, 3, 4, 5, 6), 0), b"", False
    for number, value in fields(message):
        if number in numbers:
            numbers[number] = _number(value)
        elif number == 2:
            shape = _message(value)
        sliced = sliced or number == 7
    return Variable(numbers[1], _shape(shape), numbers[3], numbers[4], numbers[5], numbers[6], sliced)


def _shape(message: bytes) -> tuple[int, ...]:
    """Read a TensorShapeProto: one message per axis, in it the size."""
    axes = [_message(value) for number, value in fields(message) if number == 2]
    if len(axes) > MAX_AXES:
        raise Unreadable(f"a tensor has {len(axes)} axes")
    return tuple(_number(dict(fields(axis)).get(1, 0)) for axis in axes)


def _number(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise Unreadable("a number is missing in an entry")
    return value


def _message(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise Unreadable("a number stands where a shape should be")
    return value


def read_variables(checkpoint: Checkpoint, names: Mapping[str, str]) -> dict[str, np.ndarray[Any, Any]]:
    """Read some variables, each checked against its CRC32C.

    Args:
        checkpoint: What `open_checkpoint` gave.
        names: Names of the variables to read -> names to return them under.

    Returns:
        Float32 arrays in TensorFlow's layout.

    Raises:
        WeightsError: If a data file is missing or cut short, or a variable is damaged or not float32.
    """
    if sum(checkpoint.variables[name].n_bytes for name in names) > MAX_DATA_BYTES:
        raise WeightsError(f"{checkpoint.index}: not I3D weights: its variables take more than 1 GiB")
    return {key: _read(checkpoint, name) for name, key in names.items()}


def _read(checkpoint: Checkpoint, name: str) -> np.ndarray[Any, Any]:
    place = checkpoint.variables[name]
    size = math.prod(n for n in place.shape if n)  # an empty tensor may still have an axis that NumPy cannot count
    if place.dtype != FLOAT32 or place.sliced or place.n_bytes != 4 * math.prod(place.shape) or size > MAX_DATA_BYTES:
        raise WeightsError(f"{checkpoint.index}: variable '{name}' is not one whole tensor of float32 numbers")
    if place.shard >= checkpoint.n_shards:
        raise WeightsError(f"{checkpoint.index}: damaged: variable '{name}' lies in a data file that does not exist")
    content = _bytes(checkpoint.data_file(place.shard), name, place)
    if masked_crc32c(content) != place.crc32c:
        file = checkpoint.data_file(place.shard)
        raise WeightsError(f"{file}: damaged: variable '{name}' does not match its CRC32C; get the checkpoint again")
    return np.frombuffer(content, "<f4").astype(np.float32).reshape(place.shape)


def _bytes(file: Path, name: str, place: Variable) -> bytes:
    if not file.is_file():
        raise WeightsError(f"{file}: not there; a TensorFlow checkpoint is its .index and all its .data files")
    try:
        if place.offset + place.n_bytes > file.stat().st_size:
            raise WeightsError(f"{file}: cut short or of another checkpoint: variable '{name}' lies outside it")
        with file.open("rb") as handle:
            handle.seek(place.offset)
            return handle.read(place.n_bytes)
    except OSError as error:
        raise WeightsError(f"{file}: cannot be read: {error.strerror}") from error
