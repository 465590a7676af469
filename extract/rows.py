"""Feature vectors of a video in the making: in memory while they are few, in a temporary file once they are many."""

from __future__ import annotations

import io
import tempfile
import weakref
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tal.files import storage_errors
from tal.types import FloatArray

IN_MEMORY = 8 << 20  # bytes; 2,048 vectors of 1,024 numbers, about 20 minutes of video


class Rows:
    """A growing float32 array (T, D) whose size in memory is bounded.

    Args:
        in_memory: Bytes that are kept in memory; beyond, rows lie in a file without a name that ends with its user.
    """

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._limit = in_memory
        self._file: BinaryIO = io.BytesIO()
        self._width = 0
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def append(self, row: FloatArray) -> None:
        """Add a vector (D,).

        Raises:
            StorageError: If the folder for temporary files is full.
        """
        with storage_errors(Path(tempfile.gettempdir())):
            if isinstance(self._file, io.BytesIO) and self._file.tell() + row.nbytes > self._limit:
                self._move()
            self._file.write(np.ascontiguousarray(row, np.float32).data)
        self._width, self._n = len(row), self._n + 1

    def array(self) -> FloatArray:
        """Return all rows, (T, D), read-only; of a file they are mapped, not read."""
        if isinstance(self._file, io.BytesIO):
            return np.frombuffer(self._file.getbuffer(), np.float32).reshape(self._n, self._width)
        self._file.flush()
        return np.memmap(self._file, np.float32, "r", shape=(self._n, self._width))

    def _move(self) -> None:
        there = self._file
        self._file = tempfile.TemporaryFile(prefix="tal-")  # noqa: SIM115 - lives as long as the rows
        weakref.finalize(self, self._file.close)  # what `array` has mapped stays
        if isinstance(there, io.BytesIO):
            self._file.write(there.getbuffer())
