"""What the stage holds and knows, in one SQLite file that processes share: sizes, order of use, digests."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tal.errors import StorageError

_TABLE = """
CREATE TABLE IF NOT EXISTS units (
    id TEXT PRIMARY KEY, sha256 TEXT NOT NULL DEFAULT '', bytes INTEGER NOT NULL DEFAULT 0,
    used INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID
"""
_HOLD = """
INSERT INTO units (id, bytes, used) VALUES (?, ?, (SELECT ifnull(max(used), 0) + 1 FROM units))
ON CONFLICT (id) DO UPDATE SET bytes = excluded.bytes, used = excluded.used
"""


class Index:
    """Rows for units of the stage: one object, or one folder of objects.

    A digest is remembered after its object has left. No clock decides what leaves first, a counter does.

    Args:
        file: The SQLite file; made when it is first needed.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def sha256(self, unit: str) -> str:
        """Return the digest of an object; empty where it is not known."""
        if not self._file.exists():
            return ""
        with self._open() as db:
            row = db.execute("SELECT sha256 FROM units WHERE id = ?", (unit,)).fetchone()
        return str(row[0]) if row else ""

    def learn(self, unit: str, sha256: str) -> None:
        """Remember a digest."""
        change = "INSERT INTO units (id, sha256) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET sha256 = excluded.sha256"
        with self._open() as db:
            db.execute(change, (unit, sha256))

    def hold(self, unit: str, n_bytes: int) -> None:
        """Note that a unit takes so much room and is used now."""
        with self._open() as db:
            db.execute(_HOLD, (unit, n_bytes))

    def reserve(self, unit: str, n_bytes: int, limit_bytes: int, drop: Callable[[str], bool]) -> bool:
        """Take room for a unit; the units used longest ago make it.

        Args:
            unit: Its id; what it takes already counts.
            n_bytes: Room it will take.
            limit_bytes: Of all units.
            drop: Removes a unit's files; returns False where they are in use.

        Returns:
            Whether there is room. What could be dropped is gone either way.
        """
        with self._open() as db:
            query = "SELECT id, bytes FROM units WHERE bytes > 0 AND id != ? ORDER BY used"
            others = db.execute(query, (unit,)).fetchall()
            total = n_bytes + sum(size for _, size in others)
            for other, size in others:
                if total <= limit_bytes:
                    break
                if drop(other):
                    db.execute("UPDATE units SET bytes = 0 WHERE id = ?", (other,))
                    total -= size
            if total <= limit_bytes:
                db.execute(_HOLD, (unit, n_bytes))
        return bool(total <= limit_bytes)

    def total_bytes(self) -> int:
        """Return the room that all units take."""
        with self._open() as db:
            (found,) = db.execute("SELECT total(bytes) FROM units").fetchone()
        return int(found)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open one transaction that writes."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._file, timeout=60, isolation_level=None)) as db:
                db.execute(_TABLE)
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            raise StorageError(
                f"cannot use the cache {self._file.parent}: {error}; name another with --cache"
            ) from error
