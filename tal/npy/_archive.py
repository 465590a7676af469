"""A ``.npz`` archive: several arrays in one ZIP file, each read whole and checked by its CRC."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any

from numpy.typing import NDArray

from tal.npy._array import Damaged, Stored
from tal.npy._file import naming, parsed

HARMLESS_BYTES = 64 << 20
MAX_RATIO = 20
"""An array of more bytes may be so much larger than its archive: features, at most half of them zeros, are not."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError)


class Archive:
    """The arrays of a ``.npz`` file by name; a context manager.

    Raises:
        InputError: If the file is missing, or not a whole ZIP archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with naming(path):
            if not path.is_file():
                raise Damaged("no such file" if not path.exists() else "not a file")
            self._n_bytes = path.stat().st_size
            try:
                self._zip = zipfile.ZipFile(path)
            except _DAMAGE as error:
                raise Damaged("not a .npz file, or cut short; was it downloaded whole?") from error

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._zip.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(name.removesuffix(".npy") for name in self._zip.namelist() if name.endswith(".npy"))

    def read(self, name: str) -> Stored:
        """Return one array.

        Raises:
            InputError: If it is not there, is damaged, or holds anything but numbers, texts, lists and arrays.
        """
        with naming(f"{self.path}, '{name}'"):
            if name not in self.names:
                raise Damaged(f"not there; the file holds {', '.join(self.names[:8]) or 'no arrays'}")
            return parsed(memoryview(self._content(f"{name}.npy")))

    def numbers(self, name: str) -> NDArray[Any]:
        """Return one array of numbers or texts.

        Raises:
            InputError: As of `read`, and if it holds objects.
        """
        stored = self.read(name)
        with naming(f"{self.path}, '{name}'"):
            return stored.load()

    def _content(self, member: str) -> bytes:
        try:
            about = self._zip.getinfo(member)
            if about.compress_type not in _METHODS:
                raise Damaged("compressed in a way that NumPy does not use")
            if about.file_size > max(HARMLESS_BYTES, MAX_RATIO * self._n_bytes):
                raise Damaged(f"refused: it would unpack to {about.file_size >> 20} MiB from {self._n_bytes >> 10} KiB")
            return self._zip.read(about)
        except Damaged:
            raise
        except _DAMAGE as error:
            raise Damaged("damaged: it cannot be unpacked; download it again") from error
