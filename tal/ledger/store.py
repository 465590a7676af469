"""A connection that a batch can lose: what fails to be written is said once, and the batch goes on."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tal.ledger.schema import ledger_path, open_to_write

T = TypeVar("T")
Say = Callable[[str], None]


class Store:
    """The SQLite file of a folder's ledger, or nothing where it cannot be used; serves several threads.

    Args:
        folder: The folder of shards.
        say: Told once why there is no ledger, as soon as something was to be written.

    Attributes:
        why_new: ``none`` or ``damaged`` where the file was made now, else empty.
    """

    def __init__(self, folder: Path, say: Say) -> None:
        self.path = ledger_path(folder)
        self.why_new = ""
        self._say, self._lock = say, threading.RLock()
        self._trouble = ""
        self._db: sqlite3.Connection | None = None
        try:
            self._db, self.why_new = open_to_write(folder)
        except (OSError, sqlite3.Error) as error:
            self._trouble = self._line(error)

    @property
    def is_open(self) -> bool:
        """Whether anything is written down."""
        return self._db is not None

    def complain(self) -> None:
        """Say why there is no ledger, if that was not said before."""
        with self._lock:
            trouble, self._trouble = self._trouble, ""
        if trouble:
            self._say(trouble)

    def do(self, action: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Run `action` in a transaction; return its result, or `otherwise` where there is no ledger."""
        with self._lock:
            if self._db is None:
                return otherwise
            try:
                return _in_transaction(self._db, action)
            except sqlite3.Error as error:
                self._trouble = self._line(error)
                self.close()
        self.complain()
        return otherwise

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            db, self._db = self._db, None
            if db is not None:
                db.close()

    def _line(self, error: Exception) -> str:
        word = (error.strerror if isinstance(error, OSError) else "") or str(error)
        return f"{self.path}: {word}; going on without the ledger, the shards are what counts"


def _in_transaction(db: sqlite3.Connection, action: Callable[[sqlite3.Connection], T]) -> T:
    db.execute("BEGIN IMMEDIATE")
    try:
        found = action(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return found
