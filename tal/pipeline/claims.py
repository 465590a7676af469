"""Locks on the videos of a folder of shards, and what those who had one left there when they were killed."""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock

from extract.video import video_name
from tal import shards


def half_written(folder: Path) -> dict[str, list[Path]]:
    """Return, by video name, what killed processes left of shards they were writing; removed under the video's lock."""
    found: dict[str, list[Path]] = {}
    try:
        with os.scandir(folder) as entries:
            halves = [entry.name for entry in entries if entry.name[0] == "." and entry.name.endswith(".part")]
    except OSError:
        return found
    for half in halves:
        name = half[1:].rsplit(f"{shards.SUFFIX}.", 1)[0]
        found.setdefault(name, []).append(folder / half)
    return found


def locked(folder: Path, video: Path, wait: bool) -> FileLock:
    """Have one process at a time work on a video's shard; the lock is taken on one thread, given back on another.

    Raises:
        Timeout: If another process has it and is not waited for.
    """
    (folder / ".locks").mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(folder / ".locks" / f"{video_name(video)}.lock"), thread_local=False)
    lock.acquire(blocking=wait)
    return lock
