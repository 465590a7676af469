"""Records and workers <-> rows of the ledger's tables."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from tal.ledger.records import Record
from tal.ledger.workers import Worker

_COLUMNS = tuple(field.name for field in fields(Record))
_SECONDS = _COLUMNS.index("seconds")
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM videos "  # noqa: S608 - the names above
_KEPT = {"name", "attempts", "begun"}
_PUT = (
    f"INSERT INTO videos ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608
    "ON CONFLICT (name) DO UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in _COLUMNS if column not in _KEPT)
    + ", begun = coalesce(videos.begun, excluded.begun)"
)


def records(db: sqlite3.Connection, where: str = "", values: Sequence[object] = ()) -> Iterator[Record]:
    """Yield the records of videos; `where` is the rest of the query."""
    for row in db.execute(_SELECT + where, values):
        told = list(row)
        told[_SECONDS] = json.loads(row[_SECONDS]) if row[_SECONDS] != "{}" else {}
        yield Record(*told)


def put(db: sqlite3.Connection, found: Iterable[Record], where: str = "") -> None:
    """Write records down, over others where those are so; attempts and beginnings that are there already stay."""
    db.executemany(f"{_PUT} {where}", (_row(one) for one in found))


def workers(db: sqlite3.Connection, where: str = "", values: Sequence[object] = ()) -> list[Worker]:
    """Return workers; `where` is the rest of the query."""
    found = db.execute("SELECT id, node, boot, space, pid, started FROM workers " + where, values)  # noqa: S608
    return [Worker(*row) for row in found]


def _row(one: Record) -> list[Any]:
    values = {**vars(one), "seconds": json.dumps(dict(one.seconds))}
    return [_text(value) if isinstance(value, str) else value for value in (values[column] for column in _COLUMNS)]


def _text(value: str) -> str:
    """Return a text that SQLite can hold: a file's name may be no Unicode."""
    return value.encode("utf-8", "backslashreplace").decode()
