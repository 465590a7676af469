"""Folders that are in use and may not go: a shared lock on the folder itself, which ends with its process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform != "win32":
    import fcntl


def pin(folder: Path) -> int:
    """Make a folder, keep it from being removed by those who got `lock_free`, and return the handle for `unpin`."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        if sys.platform == "win32":  # which does not remove a file that is open
            return -1
        try:
            handle = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # removed this moment
            continue
        fcntl.flock(handle, fcntl.LOCK_SH)
        if _is(folder, handle):
            return handle
        os.close(handle)


def unpin(handle: int) -> None:
    """Let a folder go."""
    if handle >= 0:
        os.close(handle)


def lock_free(folder: Path) -> int | None:
    """Return a handle that keeps others from pinning a folder, or None if somebody has pinned it."""
    if sys.platform == "win32":
        return -1
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _is(folder: Path, handle: int) -> bool:
    """Return whether a handle is that of the folder which is there now."""
    try:
        return os.path.samestat(folder.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
