"""A store behind fsspec: list, look, read a range, fetch, put, with patience.

What is put is there whole or not at all. Object stores do that by nature: an object appears when its last byte has
arrived. Elsewhere a file is written under a hidden name and moved.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from tal.errors import RemoteError
from tal.files import storage_errors
from tal.storage import transfers
from tal.storage.retrying import Patience, StoppedError, missing
from tal.storage.urls import join, scheme_of, shown
from tal.storage.watching import watched

T = TypeVar("T")
_VERSIONS = (
    *("ETag", "etag", "generation", "md5Hash", "content_md5", "blob_id", "oid", "Content-MD5", "LastModified"),
    *("Last-Modified", "last_modified", "last_commit", "mtime", "modificationTime", "updated", "modified", "created"),
)
"""What stores say of an object that changes with it; the first that is there counts."""


@dataclass(frozen=True)
class Remote:
    """An object in a store, as it looked.

    Attributes:
        url: Its address.
        size: In bytes; None where the store does not tell.
        version: Changes when it is replaced: an ETag, a generation or a time; empty where the store does not tell.
    """

    url: str
    size: int | None
    version: str

    @property
    def look(self) -> str:
        """Size and version in one text."""
        return f"{self.size}:{self.version}"


@dataclass
class Store:
    """Objects at and below one URL; safe to use from several threads.

    Attributes:
        url: Of an object or of a folder of objects.
        patience: How long the store is given.
    """

    url: str
    patience: Patience = field(default_factory=Patience)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _opened: list[tuple[Any, str]] = field(default_factory=list, repr=False)

    def look(self, url: str | None = None) -> Remote | None:
        """Return what is known of an object; None if there is none, or it is a folder.

        Raises:
            RemoteError: If the store cannot be reached or used.
        """
        url = url or self.url
        fs = self._fs()

        def info() -> Mapping[str, Any]:
            fs.invalidate_cache()
            found: Mapping[str, Any] = fs.info(self._key(url))
            return found

        try:
            found = self._ask("read", url, info)
        except FileNotFoundError:
            return None
        return None if found.get("type") == "directory" else _remote(url, found)

    def list(self) -> dict[str, Remote]:
        """Return all objects below the URL by their names there, such as ``a/b.mp4``, sorted; none if there are none.

        Raises:
            RemoteError: If the store cannot be reached or used, or there is no such bucket.
        """
        fs, base = self._fs(), self._key(self.url).rstrip("/")

        def find() -> Mapping[str, Mapping[str, Any]]:
            fs.invalidate_cache()
            found: Mapping[str, Mapping[str, Any]] = fs.find(base, detail=True)
            return found

        try:
            found = self._ask("listed", self.url, find, stall_s=self.patience.stall_s * transfers.LIST_CALLS)
        except FileNotFoundError:
            return {}
        names = ((str(key)[len(base) :].lstrip("/"), info) for key, info in sorted(found.items()))
        listed = {name: _remote(join(self.url, name), info) for name, info in names if name}
        return {name: one if one.version else self.look(one.url) or one for name, one in listed.items()}

    def read(self, url: str, start: int, end: int) -> bytes:
        """Return bytes `start` to `end` of an object, as many as there are.

        Raises:
            RemoteError: If there is no such object, or the store cannot be reached or used.
        """
        fs = self._fs()
        try:
            return bytes(self._ask("read", url, lambda: fs.cat_file(self._key(url), start=start, end=end)))
        except FileNotFoundError as error:
            raise missing(url) from error

    def fetch(self, remote: Remote, path: Path) -> None:
        """Copy an object to a new file, which the caller makes appear when it is whole.

        Raises:
            RemoteError: If it is not there, is no longer what it was, or the store cannot be reached or used.
            StorageError: If the disk is full or read-only.
        """
        fs, key = self._fs(), self._key(remote.url)
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._get(fs, key, path, remote)
            except FileNotFoundError as error:
                raise missing(remote.url) from error
        now = self.look(remote.url)
        if now is None or (remote.version and now.version != remote.version):
            raise RemoteError(f"{shown(remote.url)}: changed while it was fetched; run again when nothing writes to it")

    def put(self, path: Path, url: str) -> Remote:
        """Copy a file to an object that is whole or not there; return what the store then says of it.

        Raises:
            RemoteError: If the store cannot be reached or used.
        """
        fs, key, size = self._fs(), self._key(url), path.stat().st_size
        stall_s = self.patience.stall_s + size / transfers.LEAST_BYTES_PER_S

        def send() -> None:
            transfers.send(fs, path, key, scheme_of(url) in transfers.ATOMIC)

        try:
            self._ask("written", url, send, stall_s=stall_s)
        except FileNotFoundError as error:
            raise missing(url) from error
        found = self.look(url)
        if found is None or found.size not in (None, size):
            raise RemoteError(f"{shown(url)}: not there as it was written; run it again")
        return found

    def _get(self, fs: Any, key: str, path: Path, remote: Remote) -> None:
        """Copy an object; each try into a file of its own, into which one that hung may write when it goes on."""
        tries, n_blocks = list[Path](), [0]

        def get() -> Path:
            own = path.with_name(f".{secrets.token_hex(4)}.part")
            tries.append(own)

            def check(*_: object, **__: object) -> None:
                n_blocks[0] += 1
                self.patience.check()
                if own not in tries:
                    raise StoppedError

            try:
                transfers.get(fs, key, own, remote.size, check)
            finally:
                if own not in tries:
                    own.unlink(missing_ok=True)
            return own

        try:
            self._ask("read", remote.url, get, lambda: (*n_blocks, *map(transfers.size_of, tries))).replace(path)
        finally:
            while tries:
                tries.pop().unlink(missing_ok=True)

    def _ask(
        self,
        what: str,
        url: str,
        function: Callable[[], T],
        moved: Callable[[], object] = lambda: None,
        stall_s: float | None = None,
    ) -> T:
        """Return what a call of the store returns, again and again while it fails or hangs."""
        patience = self.patience
        limit_s = patience.stall_s if stall_s is None else stall_s
        return patience.call(what, url, lambda: watched(function, patience.check, moved, limit_s))

    def _fs(self) -> Any:
        with self._lock:
            if not self._opened:
                self._opened.append(self.patience.call("used", self.url, lambda: transfers.opened(self.url)))
            return self._opened[0][0]

    def _key(self, url: str) -> str:
        """Return what the file system calls an object."""
        key: str = self._fs()._strip_protocol(url)
        return key


def _remote(url: str, info: Mapping[str, Any]) -> Remote:
    size = info.get("size")
    version = next((info[name] for name in _VERSIONS if info.get(name)), "")
    if isinstance(version, datetime):
        version = version.timestamp()
    text = f"{version:.6f}" if isinstance(version, float) else str(version).strip('"')
    return Remote(url, None if size is None else int(size), text)
