"""Files that are whole or not there: atomic writing, digests, data shipped with the package."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tal.errors import StorageError

CHUNK = 1 << 20
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOLCK}
_AWAY = (
    "EIO",
    "ESTALE",
    "ETIMEDOUT",
    "ENOTCONN",
    "EHOSTDOWN",
    "EHOSTUNREACH",
    "EREMOTEIO",
    "ENOLINK",
    "ENODEV",
    "ENXIO",
)
AWAY = frozenset(getattr(errno, name) for name in _AWAY if hasattr(errno, name))
"""What a disk or a mounted network folder says that is out of reach, maybe for a while."""
_REMEDIES = {
    **dict.fromkeys(_FULL, "free some space and run it again"),
    **dict.fromkeys(_CLOSED, "choose another place"),
    **dict.fromkeys(AWAY, "see that the disk or network folder is there and run it again"),
}
SETTLED_NS = 2 * 10**9
"""A file that changed so recently may change again without a later time: file systems count in steps of up to 2 s."""


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn a disk that is full, read-only or gone into one line that names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REMEDIES:
            raise
        remedy = _REMEDIES[error.errno]
        raise StorageError(f"cannot write {error.filename or path}: {error.strerror}; {remedy}") from error


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced to disk and renamed, else removed."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}.part")
        aside.unlink(missing_ok=True)  # a link planted there would be written through
        try:
            yield aside
            sync(aside)
            aside.replace(path)
            sync(path.parent)
        except BaseException:
            with suppress(OSError):
                aside.unlink()
            raise


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a small file at once or not at all."""
    with atomic_path(path) as aside:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def changed_ns(found: os.stat_result) -> int:
    """Return when a file was last written to, or was given another time by hand; nanoseconds since 1970."""
    return max(found.st_mtime_ns, found.st_ctime_ns)


def is_settled(found: os.stat_result) -> bool:
    """Return whether the next change of a file will show in its times, see `SETTLED_NS`."""
    return abs(time.time_ns() - changed_ns(found)) > SETTLED_NS


def canonical_json(value: Any) -> str:
    """Return JSON that is the same for equal values, whatever the order of keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a JSON-ready value."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def place(source: Path, target: Path) -> None:
    """Copy a file so that `target` is whole or not there."""
    with atomic_path(target) as aside:
        shutil.copyfile(source, aside)


def shipped(folder: str) -> Path:
    """Return a folder that travels with the package (``configs``, ``benchmarks``), from a wheel or a checkout."""
    inside = Path(__file__).parent / folder
    return inside if inside.is_dir() else Path(__file__).parent.parent / folder


def shipped_module(name: str) -> Path:
    """Return the source file of a module of this package, without importing it."""
    return Path(__file__).parent.parent / (name.replace(".", "/") + ".py")
