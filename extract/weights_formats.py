"""What kind of file holds weights, told from its first and last bytes, before anything in it is trusted.

Needs no PyTorch. What is no weight file, and what would need much memory or a program to be run, is refused here with
a line that says what it is.
"""

from __future__ import annotations

import struct
import tarfile
import zipfile
from enum import Enum
from pathlib import Path

from extract import sstable
from tal.errors import WeightsError

MAX_BYTES = 1 << 30
"""No weight file is larger: I3D takes 51 MB, with an optimizer's state 153 MB."""

_NOT_WEIGHTS = (  # first bytes -> what that is, what to do
    (b"version https://git-lfs", "a Git LFS pointer, not the file it stands for; run 'git lfs pull' where it is from"),
    (b"<", "a web page or XML, not a weight file; download the file itself"),
    (b"\x89HDF", "an HDF5 file (Keras), which is not read; use the weights of another project"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
)


class Format(Enum):
    """Formats that are read."""

    PYTORCH = "PyTorch (zip)"
    PICKLE = "PyTorch (before 1.6)"
    SAFETENSORS = "safetensors"
    TENSORFLOW = "TensorFlow checkpoint"


def sniff(path: Path) -> Format:
    """Return a file's format.

    Raises:
        WeightsError: If it is no file, too large, of no known format, or an archive that PyTorch does not write.
    """
    head, tail = _ends(path)
    for first, what in _NOT_WEIGHTS:
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(first):
            raise WeightsError(f"{path}: {what}")
    if tail == sstable.MAGIC or path.suffix == ".index":
        return Format.TENSORFLOW
    if head.startswith(b"PK\x03\x04"):
        _check_archive(path)
        return Format.PYTORCH
    if head[8:9] == b"{":
        return Format.SAFETENSORS
    # A tar archive, which PyTorch before 2.6 unpickles without restriction, may begin as anything.
    if head.startswith(b"\x80") and not tarfile.is_tarfile(path):
        return Format.PICKLE
    raise WeightsError(f"{path}: damaged, cut short or not a weight file; get it again")


def _ends(path: Path) -> tuple[bytes, bytes]:
    """Read the first bytes and the last 8 of a file that may hold weights."""
    if path.exists() and not path.is_file():
        raise WeightsError(
            f"{path}: {'a folder' if path.is_dir() else 'a device or pipe'}, not a weight file; name the file itself"
        )
    try:
        with path.open("rb") as file:
            n_bytes = path.stat().st_size
            head = file.read(64)
            file.seek(max(0, n_bytes - 8))
            tail = file.read(8)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    if not head:
        raise WeightsError(f"{path}: empty; get it again")
    if n_bytes > MAX_BYTES:
        raise WeightsError(
            f"{path}: not I3D weights: {n_bytes / 1e9:.1f} GB, where I3D takes 0.05 GB; name another file"
        )
    return head, tail


def _check_archive(path: Path) -> None:
    """Refuse a zip archive that would unpack to more than it is, or that holds a program."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, struct.error, OSError, ValueError, NotImplementedError, OverflowError) as error:
        raise WeightsError(f"{path}: damaged, cut short or not a weight file; get it again") from error
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or (
        sum(entry.file_size for entry in entries) > path.stat().st_size
    ):
        raise WeightsError(
            f"{path}: refused: a zip archive with packed parts, which PyTorch does not write; get it again"
        )
    names = {entry.filename.rpartition("/")[2] for entry in entries}
    if "constants.pkl" in names:
        raise WeightsError(f"{path}: refused: a TorchScript archive, which holds a program; weights hold tensors only")
    if "data.pkl" not in names:
        raise WeightsError(f"{path}: a zip archive, but not one that PyTorch wrote; unpack it if weights are inside")
