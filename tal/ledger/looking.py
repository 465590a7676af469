"""A look at a batch from outside, without writing anything: how far it is, how fast, who works on it."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tal import shards
from tal.errors import InputError, ShardError
from tal.ledger import rows
from tal.ledger.records import FINISHED, STATES, Record, of_shard, plain, shards_in
from tal.ledger.schema import ledger_path, open_to_read
from tal.ledger.workers import LEASE_S, Worker

WINDOW_S = 600.0
"""The rate is that of so long before the last video that ended."""
FEWEST = 2
"""Videos below which no rate is told."""
_UNSORTED = "WHERE +state IN ('done', 'damaged')"
"""The sign keeps SQLite from its index: row by row as they lie is faster where most rows are wanted."""


@dataclass(frozen=True)
class AtWork:
    """A living worker.

    Attributes:
        id: As in `Record.worker`.
        node: Its machine.
        pid: Its process.
        seconds: For how long it has been at work, by the wall clock.
        n_videos: Videos it has in work.
    """

    id: str
    node: str
    pid: int
    seconds: float
    n_videos: int


@dataclass(frozen=True)
class Status:
    """How far a batch is.

    Attributes:
        folder: Of shards.
        counts: State to the number of videos, all states.
        lost: Videos whose shard was made and is no longer there: they will be made again.
        others: Shards of which the ledger does not know.
        duration_s: Length of the finished videos, seconds.
        workers: Living workers, first the longest at work.
        running: What they have in work.
        troubles: Videos that failed or are poison, by name; with `look`'s `failed` alone.
        videos_per_s: Videos that ended per second of wall time; None while too few have.
        duration_per_s: Seconds of video per second of wall time.
        note: What is to be said of the ledger, in one line; else empty.
        address: Where the shards lie, if not in the folder.
    """

    folder: Path
    counts: Mapping[str, int]
    lost: int = 0
    others: int = 0
    duration_s: float = 0.0
    workers: tuple[AtWork, ...] = ()
    running: tuple[Record, ...] = ()
    troubles: tuple[Record, ...] = ()
    videos_per_s: float | None = None
    duration_per_s: float | None = None
    note: str = ""
    address: str = ""

    @property
    def left(self) -> int:
        """Videos that are still to be made."""
        return self.counts["waiting"] + self.counts["running"] + self.lost

    @property
    def n_finished(self) -> int:
        """Videos whose shard is there."""
        return sum(self.counts[state] for state in FINISHED) - self.lost + self.others

    @property
    def eta_s(self) -> float | None:
        """Seconds until the rest is done at this rate; None where nobody works or no rate is known."""
        return self.left / self.videos_per_s if self.workers and self.videos_per_s else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "folder": self.address or str(self.folder),
            "counts": dict(self.counts),
            "finished": self.n_finished,
            "left": self.left,
            "lost": self.lost,
            "others": self.others,
            "duration_s": self.duration_s,
            "videos_per_s": self.videos_per_s,
            "duration_per_s": self.duration_per_s,
            "eta_s": self.eta_s,
            "workers": [vars(one) for one in self.workers],
            "running": [plain(one) for one in self.running],
            "troubles": [plain(one) for one in self.troubles],
            "note": self.note,
        }


def look(folder: Path, failed: bool = False, there: set[str] | None = None) -> Status:
    """Return how far the batch in a folder is; a ledger that is missing or damaged is replaced by shards' headers.

    Args:
        folder: Of shards.
        failed: Whether the videos that failed are told, too.
        there: Names of the videos whose shard is there, where the shards lie elsewhere.

    Raises:
        InputError: If it is not a folder in which anything was extracted.
    """
    there = shards_in(folder) if there is None else there
    if not there and not ledger_path(folder).exists():
        raise InputError(f"{folder}: no shards and no ledger here; name the folder that 'tal extract' fills")
    try:
        with closing(open_to_read(folder)) as db:
            return _from_ledger(folder, there, db, failed)
    except sqlite3.Error as error:
        return _from_headers(folder, there, error)


def recorded(folder: Path) -> dict[str, Record]:
    """Return what is known of each video by name, without writing anything; nothing where there is no ledger."""
    try:
        with closing(open_to_read(folder)) as db:
            return {one.name: one for one in rows.records(db)}
    except sqlite3.Error:
        return {}


def _from_ledger(folder: Path, there: set[str], db: sqlite3.Connection, failed: bool) -> Status:
    finished = _names(db, "IN ('done', 'damaged')")
    living = {one.id: one for one in rows.workers(db, "WHERE gone = 0") if _lives(db, one)}
    in_work = list(rows.records(db, "WHERE state = 'running' ORDER BY begun"))
    running = tuple(one for one in in_work if one.worker in living)
    by_state = dict(db.execute("SELECT state, count(*) FROM videos GROUP BY state").fetchall())
    counts: dict[str, int] = {**dict.fromkeys(STATES, 0), **by_state}
    counts["running"], counts["waiting"] = len(running), counts["waiting"] + len(in_work) - len(running)
    (duration_s,) = db.execute(f"SELECT total(duration_s) FROM videos {_UNSORTED}").fetchone()  # noqa: S608
    troubles = rows.records(db, "WHERE state IN ('failed', 'poison') ORDER BY name") if failed else ()
    return Status(
        folder,
        counts,
        len(finished - there),
        len(there - finished - _names(db, "NOT IN ('done', 'damaged')")),
        duration_s,
        _at_work(db, living, running),
        running,
        tuple(troubles),
        *_rates(db),
    )


def _names(db: sqlite3.Connection, states: str) -> set[str]:
    """Return the names of the videos in some states; `states` is the rest of the query."""
    return {name for (name,) in db.execute(f"SELECT name FROM videos WHERE state {states}")}  # noqa: S608 - see above


def _lives(db: sqlite3.Connection, one: Worker) -> bool:
    """Say whether a worker lives; of other machines by when it was last seen, for people to see alone."""
    alive = one.is_alive(Worker.here())
    if alive is not None:
        return alive
    (seen,) = db.execute("SELECT seen FROM workers WHERE id = ?", (one.id,)).fetchone()
    return bool(abs(time.time() - seen) < LEASE_S)


def _at_work(db: sqlite3.Connection, living: Mapping[str, Worker], running: Sequence[Record]) -> tuple[AtWork, ...]:
    begun = dict(db.execute("SELECT id, begun FROM workers WHERE gone = 0 ORDER BY begun").fetchall())
    busy = Counter(one.worker for one in running)
    now = time.time()
    return tuple(
        AtWork(name, living[name].node, living[name].pid, max(0.0, now - since), busy[name])
        for name, since in begun.items()
        if name in living
    )


def _rates(db: sqlite3.Connection) -> tuple[float | None, float | None]:
    """Return videos and seconds of video per second, over the last `WINDOW_S` in which videos ended.

    What ended in the future ended before the clock was set back, and does not count.
    """
    query = """
    SELECT count(*), total(duration_s), max(ended) - min(begun) FROM videos
    WHERE ended > (SELECT max(ended) FROM videos WHERE ended <= :now) - :window AND ended <= :now AND begun <= ended
    """
    n, duration_s, span_s = db.execute(query, {"now": time.time(), "window": WINDOW_S}).fetchone()
    return (n / span_s, duration_s / span_s) if n >= FEWEST and span_s > 0 else (None, None)


def _from_headers(folder: Path, there: set[str], error: sqlite3.Error) -> Status:
    """Return what the shards alone tell."""
    duration_s, unreadable = 0.0, 0
    for name in there:
        try:
            duration_s += of_shard(folder / f"{name}{shards.SUFFIX}").duration_s or 0.0
        except ShardError:
            unreadable += 1
    what = f"cannot be read ({error})" if ledger_path(folder).exists() else "is not there"
    note = f"{ledger_path(folder)}: {what}; told from the headers of {len(there)} shards"
    counts: dict[str, int] = {**dict.fromkeys(STATES, 0), "done": len(there) - unreadable, "waiting": unreadable}
    return Status(folder, counts, duration_s=duration_s, note=note)
