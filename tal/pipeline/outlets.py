"""Where the shards of a batch go: a folder, or a remote one, with a local folder for the ledger and what is not sent.

A shard is made in the local folder in both cases. If the outlet is remote it is sent, whole or not at all, and the
local file goes; one that could not be sent stays and is sent by the next run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tal import shards
from tal.errors import RemoteError, ShardError
from tal.files import storage_errors, write_atomic
from tal.ledger import STATES, Record, Status, ledger_path, look, of_header, of_shard, stamp
from tal.pipeline.context import patience_of
from tal.settings import RuntimeSettings
from tal.storage import AwayError, Patience, Remote, Store, join, path_of, shown, url_of

OUTPUTS = "outputs"
"""Name of the local folders of remote outputs in a cache folder."""
SOURCES = ".tal/sources"
"""Where a remote outlet keeps, for each video that came from a store, what it looked like and its digest."""
_NOTE = "The shards beside this folder were made by tal, which keeps here what it knows of their videos.\n"


class Outlet:
    """A folder of shards on this machine.

    Attributes:
        folder: Where shards, locks and the ledger lie.
        is_remote: Whether the shards go elsewhere from there.
    """

    is_remote = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def is_current(self, shard: Path, key: str, fresh: bool = False) -> bool:
        """Return whether a whole shard with this key is there.

        Args:
            shard: Its place in the local folder.
            key: What determines it.
            fresh: Whether others may have made it since the batch began.
        """
        return shard.exists() and shards.is_current(shard, key)

    def has(self, shard: Path, key: str, fresh: bool = False) -> bool:
        """Return the same as `is_current`, and change nothing."""
        return self.is_current(shard, key, fresh)

    def stamp(self, shard: Path) -> str:
        """Return what changes when a shard is replaced; empty where there is none."""
        return stamp(shard)

    def record(self, shard: Path, source: str = "", video: str = "") -> Record:
        """Return what a shard's header tells.

        Raises:
            ShardError: If it is not one.
        """
        return of_shard(shard, source, video)

    def publish(self, shard: Path, source: Mapping[str, str] | None = None) -> None:
        """Give a shard that was made its place, and note what its remote video looked like."""

    def source(self, name: str) -> Mapping[str, str]:
        """Return what `publish` noted of a video, or nothing."""
        return {}

    def address(self, shard: Path) -> Path:
        """Return where people find a shard; a URL is folded as `tal.storage` allows."""
        return shard


class RemoteOutlet(Outlet):
    """A remote folder of shards.

    Args:
        url: Of the remote folder.
        folder: The local one.
        patience: How long the store is given.
        read_only: Whether nothing will be written.

    Raises:
        RemoteError: If the store cannot be reached or used, or there is no such bucket.
    """

    is_remote = True

    def __init__(self, url: str, folder: Path, patience: Patience, read_only: bool = False) -> None:
        super().__init__(folder)
        self.url, self._store = url, Store(url, patience)
        self._found = self._store.list()
        if not read_only:
            self._note()

    def is_current(self, shard: Path, key: str, fresh: bool = False) -> bool:
        """Return whether a whole shard with this key is there; one that was left unsent is sent."""
        if shard.exists() and shards.is_current(shard, key):
            self.publish(shard)
            return True
        return self.has(shard, key, fresh)

    def has(self, shard: Path, key: str, fresh: bool = False) -> bool:
        """Return the same, but send nothing."""
        if fresh and (now := self._store.look(self._url(shard))):
            self._found[shard.name] = now
        try:
            return shard.name in self._found and self._header(shard).key == key
        except ShardError:
            return False

    def stamp(self, shard: Path) -> str:
        """Return size and version of the object."""
        found = self._found.get(shard.name)
        return found.look if found and found.version else ""

    def record(self, shard: Path, source: str = "", video: str = "") -> Record:
        """Return what the header of the object tells, read without the rest of it."""
        about = self._header(shard)
        return of_header(shard, about, source, video, self.stamp(shard) if source else "")

    def publish(self, shard: Path, source: Mapping[str, str] | None = None) -> None:
        """Send a shard and remove the local file."""
        name = f"{SOURCES}/{shard.name.removesuffix(shards.SUFFIX)}.json"
        if source:
            self._found[name] = self._send_text(name, json.dumps(source))
        self._found[shard.name] = self._store.put(shard, self._url(shard))
        with storage_errors(shard):
            shard.unlink()

    def source(self, name: str) -> Mapping[str, str]:
        """Return what is noted of a video."""
        note = self._found.get(f"{SOURCES}/{name}.json")
        if note is None:
            return {}
        try:
            told = json.loads(self._store.read(note.url, 0, 1 << 16))
        except AwayError:
            raise
        except (ValueError, RemoteError):
            return {}
        return {key: str(value) for key, value in told.items()} if isinstance(told, dict) else {}

    def address(self, shard: Path) -> Path:
        """Return the object's URL."""
        return Path(self._url(shard))

    def names(self) -> set[str]:
        """Return the names of the videos whose shards are there."""
        return shard_names(self._found)

    def _note(self) -> None:
        """Find out, before anything is decoded, whether there is a bucket that may be written to."""
        if not self._found:
            self._send_text(".tal/README", _NOTE)

    def _send_text(self, name: str, text: str) -> Remote:
        with TemporaryDirectory(prefix="tal-") as folder:
            write_atomic(Path(folder) / "text", text)
            return self._store.put(Path(folder) / "text", join(self.url, name))

    def _url(self, shard: Path) -> str:
        return join(self.url, shard.name)

    def _header(self, shard: Path) -> shards.ShardHeader:
        found = self._found[shard.name]
        return shards.header_of(shown(found.url), found.size, lambda a, b: self._store.read(found.url, a, b))


def open_outlet(out: str, root: Path, runtime: RuntimeSettings, read_only: bool = False) -> Outlet:
    """Return where shards go.

    Args:
        out: A folder or URL.
        root: Of the cache, which holds the local folders of remote outputs.
        runtime: How long a store is given.
        read_only: Whether nothing will be written.
    """
    url = url_of(out)
    if url is None:
        return Outlet(path_of(out))
    return RemoteOutlet(url, local_folder(url, root), patience_of(runtime), read_only)


def local_folder(url: str, root: Path) -> Path:
    """Return the local folder of a remote output, with its ledger."""
    unit = hashlib.sha256(url.rstrip("/").encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return root / OUTPUTS / unit


def shard_names(found: Mapping[str, Any]) -> set[str]:
    """Return the names of the videos among the names of objects."""
    inside = (name for name in found if name.endswith(shards.SUFFIX) and "/" not in name and name[0] != ".")
    return {name.removesuffix(shards.SUFFIX) for name in inside}


def remote_status(url: str, root: Path, failed: bool = False) -> Status:
    """Return how far the batch in a remote folder is, as the ledger on this machine and the names there tell.

    Raises:
        RemoteError: If the store cannot be reached or used, or there are no shards.
    """
    local, there = local_folder(url, root), shard_names(Store(url).list())
    if ledger_path(local).exists():
        return replace(look(local, failed, there), address=shown(url))
    if not there:
        raise RemoteError(f"{shown(url)}: no shards there; name the address that 'tal extract' fills")
    note = f"{shown(url)}: its ledger is not on this machine; told from the names of the shards"
    return Status(local, {**dict.fromkeys(STATES, 0), "done": len(there)}, note=note, address=shown(url))
