"""A cache that is only looked into, for saying what would be done."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tal.cache import Cache, Entry, Stage
from tal.pipeline.digests import many_digests


class _Peek(Cache):
    """A cache in which nothing is written; digests are remembered elsewhere."""

    def __init__(self, cache: Cache, memo: Cache) -> None:
        super().__init__(cache.root, cache.force)
        self._memo_cache = memo

    def sha256(self, path: Path) -> str:
        """Return a file's SHA-256, from what the cache remembers if it does."""
        return self._memo_cache.sha256(path)

    def get(self, stage: Stage, fields: Mapping[str, Any], make: Callable[[Path], None]) -> Entry:
        """Return an output that is there, or make a small one elsewhere, such as the digest of flow images."""
        return self.find(stage, fields) or self._memo_cache.get(stage, fields, make)


@contextmanager
def peeking(cache: Cache) -> Iterator[Cache]:
    """Open a cache so that nothing in it is written: digests it remembers are copied to a folder that goes again."""
    with TemporaryDirectory(prefix="tal-dry-run-") as folder:
        known, copy = cache.root / "digests.sqlite", Path(folder) / "digests.sqlite"
        if known.is_file():
            _copy_database(known, copy)
        with many_digests(Cache(Path(folder))) as memo:
            yield _Peek(cache, memo)


def _copy_database(source: Path, target: Path) -> None:
    """Copy a database that others may be writing to; one that cannot be read is left out."""
    address = f"{source.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=60)) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)
    except sqlite3.Error:
        target.unlink(missing_ok=True)
