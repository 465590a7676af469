"""The ledger of a folder of shards, as those who fill it write it."""

from __future__ import annotations

import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tal import shards
from tal.errors import ShardError
from tal.ledger import rows
from tal.ledger.records import SUSPECT, Record, of_shard, shards_in
from tal.ledger.store import Say, Store
from tal.ledger.workers import BEAT_S, Pulse, Worker

_EXPECT = """
INSERT INTO videos (name, path, key, crashes) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET
    path = excluded.path, state = 'waiting', note = '', key = excluded.key, source = '', shard = '', worker = '',
    attempts = CASE WHEN key IN ('', excluded.key) THEN attempts ELSE 0 END, crashes = excluded.crashes, ended = NULL
WHERE state != 'running'
"""
_CLAIM = """
INSERT INTO videos (name, path, state, key, attempts, worker, begun) VALUES (?, ?, 'running', ?, 1, ?, ?)
ON CONFLICT (name) DO UPDATE SET state = 'running', note = '', key = excluded.key, attempts = attempts + 1,
    crashes = crashes + ?, worker = excluded.worker, begun = excluded.begun, ended = NULL
"""
_RELEASE = "UPDATE videos SET state = 'waiting', worker = '' WHERE name = ? AND state = 'running' AND worker = ?"
_LEAVE = "UPDATE videos SET state = 'waiting', worker = '' WHERE state = 'running' AND worker = ?"
_DOUBT = "UPDATE videos SET state = 'waiting', crashes = max(crashes, ?) WHERE state = 'running' AND worker = ?"
_REAP = "UPDATE videos SET state = 'waiting', crashes = crashes + ? WHERE state = 'running' AND worker = ?"
_BLAME = """
UPDATE videos SET state = 'waiting', worker = '', crashes = max(crashes, ?)
WHERE worker = ? AND state IN ('running', 'waiting')
"""


_OPEN: weakref.WeakSet[Ledger] = weakref.WeakSet()


def leave_all() -> None:
    """Give back what this process has in work, from any thread: it was told to end and may be given no time to."""
    for one in list(_OPEN):
        one.leave()


class Ledger:
    """The ledger of one folder, for one worker in it; safe to use from several threads.

    It is a record, never the truth: what counts are the shards on disk and, between processes, the lock of each video.
    Where it cannot be opened or written, the batch goes on without it; one that is lost or damaged is written anew from
    the shards' headers. No clock decides anything: wall time is written down for people.

    Args:
        folder: The folder of shards.
        say: Told once if the ledger cannot be used, and if it was written anew.
        pulse: How workers on other machines are judged.
    """

    def __init__(self, folder: Path, say: Say = lambda text: None, pulse: Pulse | None = None) -> None:
        self.worker = Worker.here()
        self._folder, self._say, self._pulse = folder, say, pulse or Pulse()
        self._over = threading.Event()
        self._heart: threading.Thread | None = None
        self._claimed: set[str] = set()
        self._store = Store(folder, say)
        _OPEN.add(self)
        if self._store.why_new:
            self._rebuild(self._store.why_new)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether anything is written down."""
        return self._store.is_open

    def close(self) -> None:
        """End the heartbeat and let go of the file."""
        self._over.set()
        if self._heart is not None:
            self._heart.join()
            self._heart = None
            self.leave()  # what was not written down while the file could not be reached
            change = "UPDATE workers SET gone = 1, seen = ? WHERE id = ?"
            self._store.do(lambda db: _run(db, change, (time.time(), self.worker.id)), None)
        self._store.close()

    def records(self) -> dict[str, Record]:
        """Return what is known of each video."""
        return self._store.do(lambda db: {one.name: one for one in rows.records(db)}, {})

    def reap(self) -> int:
        """Give back what dead processes of this machine had in work; return how many videos."""
        return self._store.do(self._reap, 0)

    def expect(self, videos: Iterable[Record]) -> None:
        """Write down videos that are to be made, with their paths, keys and crashes.

        Those that somebody works on stay as they are.
        """
        waiting = [(one.name, one.path, one.key, one.crashes) for one in videos]
        self._store.do(lambda db: db.executemany(_EXPECT, waiting) and None, None)

    def put(self, records: Iterable[Record]) -> None:
        """Write records down as they are; attempts already counted stay."""
        self._store.do(lambda db: rows.put(db, records), None)

    def mend(self, record: Record) -> None:
        """Write down a shard that somebody made, unless that is written down."""
        self._store.do(lambda db: rows.put(db, [record], "WHERE videos.state NOT IN ('done', 'damaged')"), None)

    def claim(self, name: str, path: str, key: str) -> bool:
        """Take a video whose lock is held, unless a worker that may live has it in work."""
        self._store.complain()
        self._start_heart()
        self._claimed.add(name)
        return self._store.do(lambda db: self._claim(db, name, path, key), True)

    def finish(self, record: Record) -> None:
        """Write down how a video of ours ended."""
        self.put([replace(record, worker=self.worker.id, ended=time.time())])
        self._claimed.discard(record.name)

    def release(self, name: str) -> None:
        """Give back a video of ours that did not end, as after an interruption; nothing where it did."""
        if name in self._claimed:  # else there is nothing to be written
            self._claimed.discard(name)
            self._store.do(lambda db: _run(db, _RELEASE, (name, self.worker.id)), None)

    def leave(self) -> None:
        """Give back all videos of ours that have not ended."""
        self._store.do(lambda db: _run(db, _LEAVE, (self.worker.id,)), None)

    def doubt(self) -> None:
        """Give back all videos of ours that have not ended, as suspects: memory ran out with them in work."""
        self._store.do(lambda db: _run(db, _DOUBT, (SUSPECT, self.worker.id)), None)

    def blame(self, pid: int) -> list[str]:
        """Note that a process of this machine was seen to die; return the videos it had in work, now suspects."""
        return self._store.do(lambda db: self._blame(db, pid), [])

    def ended_by(self, pid: int) -> list[Record]:
        """Return the videos that a process of this machine ended, well or not."""
        return self._store.do(lambda db: self._ended_by(db, pid), [])

    def _reap(self, db: sqlite3.Connection) -> int:
        n = 0
        for one in rows.workers(db, "WHERE gone = 0"):
            if one.is_alive(self.worker) is False:
                n += db.execute(_REAP, (int(one.is_neighbour(self.worker)), one.id)).rowcount
                db.execute("UPDATE workers SET gone = 1 WHERE id = ?", (one.id,))
        return n

    def _claim(self, db: sqlite3.Connection, name: str, path: str, key: str) -> bool:
        where = "WHERE id = (SELECT worker FROM videos WHERE name = ? AND state = 'running') AND id != ?"
        others = rows.workers(db, where, (name, self.worker.id))
        if any(self._may_work(db, one) for one in others):
            return False
        deaths = sum(one.is_neighbour(self.worker) for one in others)
        db.execute(_CLAIM, (name, path, key, self.worker.id, time.time(), deaths))
        return True

    def _may_work(self, db: sqlite3.Connection, other: Worker) -> bool:
        alive = other.is_alive(self.worker)
        if alive is not None:
            return alive
        beats, gone = db.execute("SELECT beats, gone FROM workers WHERE id = ?", (other.id,)).fetchone()
        return not gone and not self._pulse.stands_still(other.id, beats)

    def _blame(self, db: sqlite3.Connection, pid: int) -> list[str]:
        names: list[str] = []
        for one in self._neighbours(db, pid):
            where = "WHERE worker = ? AND state IN ('running', 'waiting')"
            names += [found.name for found in rows.records(db, where, (one.id,))]
            db.execute(_BLAME, (SUSPECT, one.id))
            db.execute("UPDATE workers SET gone = 1 WHERE id = ?", (one.id,))
        return names

    def _ended_by(self, db: sqlite3.Connection, pid: int) -> list[Record]:
        where = "WHERE worker = ? AND state NOT IN ('waiting', 'running')"
        return [found for one in self._neighbours(db, pid) for found in rows.records(db, where, (one.id,))]

    def _neighbours(self, db: sqlite3.Connection, pid: int) -> list[Worker]:
        return [w for w in rows.workers(db, "WHERE pid = ?", (pid,)) if w.is_neighbour(self.worker)]

    def _rebuild(self, why: str) -> None:
        """Write a new ledger from the shards that are there."""
        found = []
        for name in sorted(shards_in(self._folder)):
            try:
                found.append(of_shard(self._folder / f"{name}{shards.SUFFIX}"))
            except ShardError:  # it will be made again, or is none of ours
                continue
        self.put(found)
        if found or why == "damaged":
            state = "damaged, set aside" if why == "damaged" else "not there"
            self._say(f"{self._store.path}: {state}; written anew from the headers of {len(found)} shards")

    def _start_heart(self) -> None:
        """Start the heartbeat, with the first video."""
        if self._heart is not None or not self.is_open:
            return
        w, now = self.worker, time.time()
        enter = "INSERT INTO workers (id, node, boot, space, pid, started, begun, seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        values = (w.id, w.node, w.boot, w.space, w.pid, w.started, now, now)
        self._store.do(lambda db: _run(db, enter, values), None)
        self._heart = threading.Thread(target=self._beat, name="ledger", daemon=True)
        self._heart.start()

    def _beat(self) -> None:
        change = "UPDATE workers SET beats = beats + 1, seen = ? WHERE id = ?"
        while not self._over.wait(BEAT_S):
            now = time.time()
            self._store.do(lambda db, now=now: _run(db, change, (now, self.worker.id)), None)  # type: ignore[misc]


def _run(db: sqlite3.Connection, query: str, values: tuple[object, ...]) -> None:
    db.execute(query, values)
