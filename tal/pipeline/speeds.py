"""How fast this machine extracted before, for estimates; kept in the cache folder, part of no key."""

from __future__ import annotations

import json
import os
import platform
from contextlib import suppress

from filelock import FileLock

from tal.cache import Cache
from tal.errors import StorageError
from tal.files import atomic_path, digest_of, storage_errors
from tal.pipeline.calibration import NOT_IN_KEY
from tal.settings import Settings

FILE = "speeds.json"
FEWEST = 8
"""Snippets below which opening the engines says more than the pass."""


def remember(cache: Cache, settings: Settings, n_snippets: int, seconds: float) -> None:
    """Keep the speed of an extraction; one of few snippets tells nothing.

    Args:
        cache: In whose folder.
        settings: With the engines that were really used.
        n_snippets: Snippets that were made.
        seconds: In how long.
    """
    if n_snippets < FEWEST or seconds <= 0:
        return
    # What was extracted is done; an estimate is not worth an error.
    with suppress(StorageError), storage_errors(cache.root):
        cache.root.mkdir(parents=True, exist_ok=True)
        with FileLock(str(cache.root / f".{FILE}.lock")), atomic_path(cache.root / FILE) as aside:
            speeds = {**_read(cache), _key(settings): n_snippets / seconds}
            aside.write_text(json.dumps(speeds, indent=1), encoding="utf-8")


def snippets_per_s(cache: Cache, settings: Settings) -> float | None:
    """Return the speed of the last extraction with such settings on this machine, if there was one."""
    found = _read(cache).get(_key(settings))
    return found if isinstance(found, float) and found > 0 else None


def _read(cache: Cache) -> dict[str, object]:
    try:
        found = json.loads((cache.root / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _key(settings: Settings) -> str:
    runtime = settings.runtime.model_dump(mode="json", include={"device", "workers", "batch"})
    machine = [platform.node(), os.cpu_count()]
    return digest_of(
        {
            "machine": machine,
            "runtime": runtime,
            "extract": settings.extract.model_dump(mode="json", exclude=NOT_IN_KEY),
        }
    )
