"""Digests of many files: the cache's memory of them, asked over one connection and written in batches.

`tal.cache.Cache.sha256` opens, writes and syncs for each file, which takes longer than digesting a short video.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tal.cache import Cache, Entry, Stage
from tal.errors import StorageError
from tal.files import changed_ns, is_settled, sha256_file, storage_errors

EVERY_S = 1.0
"""Between two times that digests are written: so much hashing is lost by a kill."""
_Look = tuple[bytes, int, int]


@contextmanager
def many_digests(cache: Cache) -> Iterator[Cache]:
    """Lend a cache like this one that is quick at digests of many files.

    Raises:
        StorageError: If the cache cannot be used.
    """
    with storage_errors(cache.root):
        cache.root.mkdir(parents=True, exist_ok=True)
    with _unusable(cache.root), closing(_opened(cache.root)) as memo:
        lent = _Many(cache, memo)
        try:
            yield lent
        finally:
            lent.write()


class _Many(Cache):
    """A cache that keeps new digests for a moment before it writes them; used by several threads."""

    def __init__(self, cache: Cache, memo: sqlite3.Connection) -> None:
        super().__init__(cache.root, cache.force)
        self._cache, self._memo_file, self._lock = cache, memo, threading.RLock()
        self._new: dict[_Look, str] = {}
        self._written_s = time.monotonic()

    def get(self, stage: Stage, fields: Mapping[str, Any], make: Callable[[Path], None]) -> Entry:
        """Return an output as the cache does."""
        return self._cache.get(stage, fields, make)

    def find(self, stage: Stage, fields: Mapping[str, Any]) -> Entry | None:
        """Return an output as the cache does."""
        return self._cache.find(stage, fields)

    def sha256(self, path: Path) -> str:
        """Return a file's SHA-256, remembered by (path, size, time of its last change)."""
        stat = path.stat()
        look = (os.fsencode(path.resolve()), stat.st_size, changed_ns(stat))
        with self._lock, _unusable(self.root):
            known = self._new.get(look) or self._asked(look)
        if known:
            return known
        digest = sha256_file(path)
        if not is_settled(stat):
            return digest
        with self._lock, _unusable(self.root):
            self._new[look] = digest
            if time.monotonic() - self._written_s >= EVERY_S:
                self.write()
        return digest

    def write(self) -> None:
        """Write what is new."""
        with self._lock:
            with self._memo_file:
                rows = [(*look, digest) for look, digest in self._new.items()]
                self._memo_file.executemany("REPLACE INTO digests VALUES (?, ?, ?, ?)", rows)
            self._new.clear()
            self._written_s = time.monotonic()

    def _asked(self, look: _Look) -> str:
        query = "SELECT sha256 FROM digests WHERE path = ? AND size = ? AND mtime_ns = ?"
        row = self._memo_file.execute(query, look).fetchone()
        return str(row[0]) if row else ""


def _opened(root: Path) -> sqlite3.Connection:
    memo = sqlite3.connect(root / "digests.sqlite", timeout=60, check_same_thread=False)
    memo.execute("CREATE TABLE IF NOT EXISTS digests (path TEXT PRIMARY KEY, size INT, mtime_ns INT, sha256 TEXT)")
    return memo


@contextmanager
def _unusable(root: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(f"cannot use the cache {root}: {error}; name another with --cache") from error
