"""One ``.npy`` file: its header, its numbers by memory map, its objects by the machine."""

from __future__ import annotations

import ast
import math
import mmap
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tal.errors import InputError
from tal.npy._array import Damaged, Stored, as_dtype, as_shape
from tal.npy._machine import Machine

MAGIC = b"\x93NUMPY"
MAX_HEADER = 10_000
_LENGTHS = {1: "<H", 2: "<I", 3: "<I"}
_KEYS = {"descr", "fortran_order", "shape"}


def read(path: Path) -> Stored:
    """Return the array of a ``.npy`` file; its numbers stay in the file until they are used.

    Raises:
        InputError: If the file is missing, cut short, or holds anything but numbers, texts, lists and arrays.
    """
    with naming(path):
        return parsed(_mapped(path))


def numbers(path: Path) -> NDArray[Any]:
    """Return the array of numbers or texts of a ``.npy`` file, mapped and read-only.

    Raises:
        InputError: As of `read`, and if it holds objects.
    """
    with naming(path):
        return parsed(_mapped(path)).load()


@contextmanager
def naming(place: Path | str) -> Iterator[None]:
    """Make one line with the file's name of what is wrong with it."""
    try:
        yield
    except Damaged as error:
        raise InputError(f"{place}: {error}") from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(f"{place}: cannot be read ({reason}); check the path") from error


def parsed(data: memoryview) -> Stored:
    """Return the array that the bytes of a ``.npy`` file hold.

    Raises:
        Damaged: If they do not.
    """
    header, start = _header(data)
    dtype, shape = as_dtype(header["descr"]), as_shape(header["shape"])
    if dtype is not None:
        n_bytes, found = math.prod(shape) * dtype.itemsize, len(data) - start
        if found != n_bytes:
            what = "cut short" if found < n_bytes else "damaged"
            raise Damaged(f"{what}: {found} bytes for {dtype} of shape {shape}, which take {n_bytes}")
        return Stored(shape, dtype, data[start:], fortran=bool(header["fortran_order"]))
    found_array = Machine(data[start:]).run()
    if not isinstance(found_array, Stored) or math.prod(found_array.shape) != math.prod(shape):
        raise Damaged("damaged: its pickle is not the array that its header tells of")
    return found_array


def _mapped(path: Path) -> memoryview:
    if not path.is_file():
        raise Damaged("no such file" if not path.exists() else "not a file")
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            raise Damaged("an empty file")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _header(data: memoryview) -> tuple[dict[str, Any], int]:
    """Return a file's header and where its content begins."""
    if bytes(data[:6]) != MAGIC:
        raise Damaged(f"not a .npy file (it begins with {bytes(data[:12])!r}); was it downloaded whole?")
    version = data[6] if len(data) > 6 else 0
    form = _LENGTHS.get(version)
    if form is None or len(data) < 12 or data[7]:
        raise Damaged(f"cut short, or of a version of .npy that is not known ({version})")
    (length,) = struct.unpack_from(form, data, 8)
    start = 8 + struct.calcsize(form) + length
    if length > MAX_HEADER or start > len(data):
        raise Damaged(f"cut short or damaged: a header of {length} bytes")
    return _dict(str(data[start - length : start], "utf-8" if version == 3 else "latin1", "replace")), start


def _dict(text: str) -> dict[str, Any]:
    """Return the header's literal; Python 2 may have written numbers as ``10L``."""
    try:
        found = ast.literal_eval(re.sub(r"(?<=\d)L(?=[,)])", "", text.strip(" \t\n")))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise Damaged("damaged: its header is no Python dict") from error
    if not isinstance(found, dict) or set(found) != _KEYS or not isinstance(found["fortran_order"], bool):
        raise Damaged("damaged: its header does not say type, order and shape")
    return found
