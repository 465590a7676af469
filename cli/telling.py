"""A stage cache that tells what it finds and what it makes: ``--verbose``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tal.cache import Cache, Entry, Stage
from tal.progress import Progress

SHOWN = 12
"""Characters of a key, as many as ``tal cache ls`` shows."""


class TellingCache(Cache):
    """A cache whose every answer is a detail of the progress.

    Args:
        root: The folder; default the usual one.
        force: Make every entry anew.
        progress: Who is told.
    """

    def __init__(self, root: Path | None, force: bool, progress: Progress) -> None:
        super().__init__(root, force)
        self._progress = progress
        progress.detail(f"cache {self.root}")

    def get(self, stage: Stage, fields: Mapping[str, Any], make: Callable[[Path], None]) -> Entry:
        """Return the output as `Cache.get` does, and tell whether it was there or how long it took."""
        start = time.monotonic()
        entry = super().get(stage, fields, make)
        how = "found" if entry.hit else f"made in {time.monotonic() - start:.2f} s"
        self._progress.detail(f"cache: {stage.name} {entry.key[:SHOWN]} {how}")
        return entry

    def find(self, stage: Stage, fields: Mapping[str, Any]) -> Entry | None:
        """Return the output as `Cache.find` does, and tell whether it was there."""
        entry = super().find(stage, fields)
        known = f"{entry.key[:SHOWN]} found" if entry else "not there"
        self._progress.detail(f"cache: {stage.name} {known}")
        return entry
