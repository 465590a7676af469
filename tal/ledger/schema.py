"""The SQLite file: its tables, how it is opened, and what becomes of a damaged one."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from filelock import FileLock

VERSION = 1
FOLDER, FILE = ".tal", "ledger.sqlite"
BUSY_S = 30.0
"""How long a writer waits for others."""
_SHARED = ("nfs", "cifs", "smb", "9p", "lustre", "gpfs", "beegfs", "ceph", "gluster", "afs", "ocfs2", "gfs2", "fuse")
_TABLES = """
CREATE TABLE IF NOT EXISTS videos (
    name TEXT PRIMARY KEY, path TEXT NOT NULL DEFAULT '', state TEXT NOT NULL DEFAULT 'waiting',
    note TEXT NOT NULL DEFAULT '', attempts INTEGER NOT NULL DEFAULT 0, crashes INTEGER NOT NULL DEFAULT 0,
    key TEXT NOT NULL DEFAULT '', digest TEXT NOT NULL DEFAULT '', duration_s REAL, n_snippets INTEGER,
    seconds TEXT NOT NULL DEFAULT '{}', source TEXT NOT NULL DEFAULT '', shard TEXT NOT NULL DEFAULT '',
    worker TEXT NOT NULL DEFAULT '', begun REAL, ended REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_state ON videos (state);
CREATE TABLE IF NOT EXISTS workers (
    id TEXT PRIMARY KEY, node TEXT NOT NULL, boot TEXT NOT NULL, space TEXT NOT NULL, pid INTEGER NOT NULL,
    started INTEGER NOT NULL, beats INTEGER NOT NULL DEFAULT 0, begun REAL, seen REAL, gone INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""


class NewerLedgerError(sqlite3.OperationalError):
    """The ledger was written by a newer version of tal."""


def ledger_path(folder: Path) -> Path:
    """Return where the ledger of a folder of shards lies."""
    return folder / FOLDER / FILE


def open_to_write(folder: Path) -> tuple[sqlite3.Connection, str]:
    """Open the ledger of a folder, made if need be; a damaged one is set aside.

    Returns:
        The connection, and why the ledger is new: ``none``, ``damaged``, or nothing where it is not.

    Raises:
        OSError: If the folder cannot be written.
        sqlite3.Error: If the file cannot be used.
    """
    path = ledger_path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(path) + ".lock"):
        why = "" if path.exists() else "none"
        try:
            return _opened(path), why
        except NewerLedgerError:
            raise
        except sqlite3.OperationalError as error:
            if not _is_damage(error):
                raise
        except sqlite3.DatabaseError:
            pass
        _set_aside(path)
        return _opened(path), "damaged"


def open_to_read(folder: Path) -> sqlite3.Connection:
    """Open the ledger of a folder without writing anything, on a read-only disk as well.

    Raises:
        sqlite3.Error: If there is none, or it cannot be read.
    """
    path = ledger_path(folder).absolute()
    address, problem = path.as_uri(), sqlite3.Error()
    # Where nobody has it open there is no log beside it; reading as of a file that may change would leave one there.
    in_use = path.with_name(f"{path.name}-wal").exists()
    for mode in ("mode=ro", "immutable=1") if in_use else ("immutable=1", "mode=ro"):
        found = None
        try:
            found = sqlite3.connect(f"{address}?{mode}", uri=True, timeout=2.0)
            _check_version(found)
            found.execute("SELECT count(*) FROM workers").fetchone()
            return found
        except sqlite3.Error as error:
            problem = error
            if found is not None:
                found.close()
    raise problem


def is_shared(path: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """Return whether a path lies on a network file system, where SQLite's write-ahead log may not be used."""
    try:
        lines = [line.split() for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return os.name == "nt" and str(path.absolute()).startswith("\\\\")
    real = os.path.realpath(path)
    above = [(len(at), kind) for _, at, kind, *_ in lines if real == at or real.startswith(at.rstrip("/") + "/")]
    return max(above, default=(0, ""))[1].startswith(_SHARED)


def _opened(path: Path) -> sqlite3.Connection:
    found = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        _check_version(found)
        found.execute(f"PRAGMA journal_mode={'DELETE' if is_shared(path.parent) else 'WAL'}").fetchone()
        found.execute("PRAGMA synchronous=NORMAL")
        (word,) = found.execute("PRAGMA quick_check(1)").fetchone()
        if word != "ok":
            raise sqlite3.DatabaseError(str(word))
        if not found.execute("PRAGMA user_version").fetchone()[0]:
            found.executescript(f"BEGIN IMMEDIATE;{_TABLES}PRAGMA user_version={VERSION};COMMIT;")
        found.execute("SELECT count(*) FROM workers").fetchone()
    except BaseException:
        found.close()
        raise
    return found


def _check_version(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise NewerLedgerError(f"written by a newer version of tal (format {version}, known: {VERSION})")


def _is_damage(error: sqlite3.Error) -> bool:
    return "no such table" in str(error) or "no such column" in str(error)


def _set_aside(path: Path) -> None:
    """Keep a damaged ledger beside the new one, once; what SQLite wrote beside it goes with it."""
    path.replace(path.with_name("ledger.damaged.sqlite"))
    for end in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + end).unlink(missing_ok=True)
