"""An array of arrays written one after the other, as NumPy would have pickled it: for files larger than memory."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from tal.files import atomic_path

_HEAD_BYTES = 128
# An array without content: NumPy's function, the class, the shape (0,), the type b"b".
_ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
# The end of a type's state: no fields, no sizes of its own.
_NONE = b"J\xff\xff\xff\xff"
_TYPE = b"cnumpy\ndtype\nX\x02\x00\x00\x00%s\x89\x88\x87R(K\x03X\x01\x00\x00\x00%sNNN" + 2 * _NONE + b"K%ctb\x89"


@contextmanager
def joint(path: Path) -> Iterator[Callable[[NDArray[np.float32]], None]]:
    """Lend what appends a float32 array to a ``.npy`` file of objects, which is whole at the end or not there.

    The file needs Python 3.4 or later and any NumPy: ``np.load(path, allow_pickle=True)``.
    """
    with atomic_path(path) as aside, aside.open("wb") as file:
        n_arrays = 0
        _begin(file, n_arrays)

        def append(values: NDArray[np.float32]) -> None:
            nonlocal n_arrays
            _append(file, np.ascontiguousarray(values, "<f4"))
            n_arrays += 1

        yield append
        file.write(b"etb.")
        file.seek(0)
        _begin(file, n_arrays)


def _begin(file: BinaryIO, n_arrays: int) -> None:
    """Write all before the first array, which takes the same room for any number of them."""
    head = f"{{'descr': '|O', 'fortran_order': False, 'shape': ({n_arrays},), }}"
    text = head.encode().ljust(_HEAD_BYTES - 11) + b"\n"
    file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)
    file.write(b"\x80\x04" + _ARRAY + b"(K\x01" + _integer(n_arrays) + b"\x85" + _TYPE % (b"O8", b"|", 63) + b"](")


def _append(file: BinaryIO, values: NDArray[np.float32]) -> None:
    t, d = values.shape
    file.write(_ARRAY + b"(K\x01" + _integer(t) + _integer(d) + b"\x86" + _TYPE % (b"f4", b"<", 0))
    file.write(b"\x8e" + struct.pack("<Q", values.nbytes))
    file.write(values.data)
    file.write(b"tb")


def _integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)
