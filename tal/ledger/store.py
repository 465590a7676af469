"""A connection that a batch can lose: what fails to be written is said once, and the batch goes on.

On a network folder that is away for a while the file cannot be reached either: it is opened again after a moment.
"""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tal.files import AWAY
from tal.ledger.schema import ledger_path, open_to_write

T = TypeVar("T")
Say = Callable[[str], None]
AGAIN_S = 10.0
"""Between two tries to open a file again that could not be reached."""
_PASSING = ("disk I/O error", "unable to open database file")
"""What SQLite says of a file that cannot be reached, maybe for a while."""


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
        self._folder, self._trouble, self._complained = folder, "", False
        self._again_s = math.inf
        self._db: sqlite3.Connection | None = None
        try:
            self._db, self.why_new = open_to_write(folder)
        except (OSError, sqlite3.Error) as error:
            self._trouble, self._again_s = self._line(error), _again_s(error)

    @property
    def is_open(self) -> bool:
        """Whether anything is written down."""
        return self._db is not None

    def complain(self) -> None:
        """Say why there is no ledger, if that was not said before."""
        with self._lock:
            trouble, self._trouble = self._trouble, ""
            is_new, self._complained = not self._complained, self._complained or bool(trouble)
        if trouble and is_new:
            self._say(trouble)

    def do(self, action: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Run `action` in a transaction; return its result, or `otherwise` where there is no ledger."""
        with self._lock:
            self._open_again()
            if self._db is None:
                return otherwise
            try:
                return _in_transaction(self._db, action)
            except sqlite3.Error as error:
                self._trouble = self._line(error)
                self.close()
                self._again_s = _again_s(error)
        self.complain()
        return otherwise

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            db, self._db, self._again_s = self._db, None, math.inf
            if db is not None:
                db.close()

    def _open_again(self) -> None:
        """Open a file that could not be reached, if it can be now."""
        if time.monotonic() < self._again_s:
            return
        try:
            self._db, _ = open_to_write(self._folder)
            self._again_s = math.inf
        except (OSError, sqlite3.Error):
            self._again_s = time.monotonic() + AGAIN_S

    def _line(self, error: Exception) -> str:
        word = (error.strerror if isinstance(error, OSError) else "") or str(error)
        return f"{self.path}: {word}; going on without the ledger, the shards are what counts"


def _again_s(error: OSError | sqlite3.Error) -> float:
    """Return when to try again, on the monotonic clock: never where the file can be reached, but not be used."""
    passing = error.errno in AWAY if isinstance(error, OSError) else str(error) in _PASSING
    return time.monotonic() + AGAIN_S if passing else math.inf


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
