"""Content-addressed outputs of stages: ``<root>/<stage>/<key[:2]>/<key>/``.

The key is the SHA-256 of a readable preimage (stage, version, inputs' digests, settings), which lies beside the output
in ``entry.json`` so that a miss can be explained by a diff. An entry is made in a work folder under a lock, synced and
renamed: nothing half-written is ever read, and of several processes that need one key, one makes it. A work folder
outlives a kill, so that a stage which writes checkpoints goes on from them.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from tal.errors import InputError, StorageError
from tal.files import (
    canonical_json,
    changed_ns,
    digest_of,
    is_settled,
    sha256_file,
    storage_errors,
    sync,
    write_atomic,
)

ENTRY = "entry.json"


@dataclass(frozen=True)
class Stage:
    """A stage's name and the version that is raised by hand when its results change.

    Attributes:
        resumable: The work folder of an interrupted run is kept and handed to the next.
    """

    name: str
    version: int = 1
    resumable: bool = False


@dataclass(frozen=True)
class Entry:
    """A finished output: its folder, its key's preimage, and whether it was there already."""

    path: Path
    key: str
    preimage: Mapping[str, Any]
    hit: bool = True

    @property
    def n_bytes(self) -> int:
        """Size of all files in the entry."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())


def default_root() -> Path:
    """Return ``$TAL_CACHE`` or the platform's cache folder."""
    named = os.environ.get("TAL_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("tal", appauthor=False))


class Cache:
    """Outputs of stages under one folder.

    Args:
        root: The folder; default `default_root`.
        force: Make every entry anew, even one that is there.
    """

    def __init__(self, root: Path | None = None, force: bool = False) -> None:
        self.root = root or default_root()
        self.force = force

    def get(self, stage: Stage, fields: Mapping[str, Any], make: Callable[[Path], None]) -> Entry:
        """Return the output for `fields`, calling `make(folder)` only if it is not there whole.

        Args:
            stage: The stage.
            fields: JSON-ready values that determine the output.
            make: Writes the output into the folder it is given.
        """
        preimage = {"stage": stage.name, "version": stage.version, **fields}
        key = digest_of(preimage)
        final = self.root / stage.name / key[:2] / key
        with storage_errors(final):
            final.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(str(final) + ".lock"):
                if not self.force and (found := _read(final)):
                    return found
                self._make(stage, preimage, final, make)
        return Entry(final, key, preimage, hit=False)

    def _make(self, stage: Stage, preimage: Mapping[str, Any], final: Path, make: Callable[[Path], None]) -> None:
        work = final.with_name(final.name + ".work")
        if work.exists() and (self.force or not stage.resumable):
            shutil.rmtree(work)
        work.mkdir(exist_ok=True)
        make(work)
        files = {str(file.relative_to(work)): sha256_file(file) for file in sorted(work.rglob("*")) if file.is_file()}
        for name in files:
            sync(work / name)
        write_atomic(work / ENTRY, json.dumps({"preimage": preimage, "files": files, "made": time.time()}, indent=1))
        shutil.rmtree(final, ignore_errors=True)
        work.rename(final)
        sync(final.parent)

    def find(self, stage: Stage, fields: Mapping[str, Any]) -> Entry | None:
        """Return the output for `fields` if it is there whole."""
        key = digest_of({"stage": stage.name, "version": stage.version, **fields})
        return _read(self.root / stage.name / key[:2] / key)

    def entries(self, stage: str | None = None) -> Iterator[Entry]:
        """Yield every finished entry, oldest first."""
        found = self.root.glob(f"{stage or '*'}/??/*/{ENTRY}")
        for path in sorted(found, key=lambda p: p.stat().st_mtime):
            if not path.parent.name.endswith(".work"):
                yield Entry(path.parent, path.parent.name, json.loads(path.read_text())["preimage"])

    def clear(self, stage: str | None = None) -> int:
        """Remove finished entries, work folders and locks; return the number of bytes freed."""
        freed = 0
        for folder in self.root.glob(f"{stage or '*'}/??"):
            freed += sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            shutil.rmtree(folder, ignore_errors=True)
        return freed

    def sha256(self, path: Path) -> str:
        """Return a file's SHA-256, remembered by (path, size, time of its last change)."""
        stat = path.stat()
        identity = (os.fsencode(path.resolve()), stat.st_size, changed_ns(stat))
        try:
            with closing(self._memo()) as memo:
                row = memo.execute(
                    "SELECT sha256 FROM digests WHERE path=? AND size=? AND mtime_ns=?", identity
                ).fetchone()
                if row:
                    return str(row[0])
                digest = sha256_file(path)
                if is_settled(stat):
                    memo.execute("REPLACE INTO digests VALUES (?, ?, ?, ?)", (*identity, digest))
                    memo.commit()
                return digest
        except sqlite3.Error as error:
            raise StorageError(f"cannot use the cache {self.root}: {error}; name another with --cache") from error

    def _memo(self) -> sqlite3.Connection:
        with storage_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        memo = sqlite3.connect(self.root / "digests.sqlite", timeout=60)
        columns = "path TEXT PRIMARY KEY, size INT, mtime_ns INT, sha256 TEXT"
        memo.execute(f"CREATE TABLE IF NOT EXISTS digests ({columns})")
        return memo


def difference(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return lines ``key: a -> b`` for the values in which two preimages differ."""
    lines = []
    for key in sorted({*one, *other}):
        a, b, name = one.get(key), other.get(key), f"{prefix}{key}"
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            lines += difference(a, b, f"{name}.")
        elif a != b:
            lines.append(f"{name}: {canonical_json(a)} -> {canonical_json(b)}")
    return lines


def _read(folder: Path) -> Entry | None:
    """Return the entry if it is whole: every file there with the digest it was written with."""
    try:
        record = json.loads((folder / ENTRY).read_text())
        whole = all(sha256_file(folder / name) == digest for name, digest in record["files"].items())
    except (OSError, ValueError, KeyError):
        return None
    return Entry(folder, folder.name, record["preimage"]) if whole else None


def explain(cache: Cache, key: str, other: str | None = None) -> str:
    """Return what a key is made of and how it differs from another entry of its stage.

    Raises:
        InputError: If no entry, or more than one, begins with the given characters.
    """
    one = _pick(cache, key)
    text = json.dumps(one.preimage, indent=1, ensure_ascii=False)
    beside = [e for e in cache.entries(str(one.preimage["stage"])) if e.key != one.key]
    if other is not None:
        nearest: Entry | None = _pick(cache, other)
    else:
        nearest = min(beside, key=lambda e: len(difference(e.preimage, one.preimage)), default=None)
    if nearest is None:
        return f"{text}\nno other entry of this stage"
    changes = "\n".join(f"  {line}" for line in difference(nearest.preimage, one.preimage))
    return f"{text}\ndiffers from {nearest.key[:12]} in\n{changes}"


def _pick(cache: Cache, key: str) -> Entry:
    found = [entry for entry in cache.entries() if entry.key.startswith(key)]
    if len(found) != 1:
        raise InputError(f"{len(found)} entries in {cache.root} begin with '{key}'; 'tal cache ls' shows the keys")
    return found[0]
