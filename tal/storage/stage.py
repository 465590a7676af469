"""Local copies of remote objects, bounded in size and shared by processes: decoders and memory maps need real files.

``<root>/<id[:2]>/<id>/<name>``, the id being the digest of an object's address and version: an object that is replaced
gets another place, so a copy is never stale. One process fetches a copy aside, syncs and renames it; others wait for
it. What is in use is pinned; of the rest, what was used longest ago goes when room is needed.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from tal.errors import RemoteError
from tal.files import atomic_path, sha256_file, storage_errors
from tal.storage import pins
from tal.storage.index import Index
from tal.storage.retrying import Patience
from tal.storage.store import Remote, Store
from tal.storage.urls import name_in, shown

GB = 10**9
_PROCESS = secrets.token_hex(4)
STAGED = "staged"
"""Name of the stage in a cache folder."""


class Stage:
    """The stage of one process.

    Args:
        root: Its folder, which processes share.
        limit_gb: Size of all copies, GB; only what several processes have in use at one time may exceed it.
        patience: How long stores are given.
    """

    def __init__(self, root: Path, limit_gb: float = 20.0, patience: Patience | None = None) -> None:
        self.root, self.limit_gb, self.patience = root, limit_gb, patience or Patience()
        self.index = Index(root / "index.sqlite")
        self._remotes: dict[Path, Remote] = {}
        self._paths: dict[str, Path] = {}
        self._folders: dict[str, str] = {}
        self._pins: dict[Path, list[int]] = {}
        self._lasting: list[int] = []
        self._kept: dict[str, int] = {}
        self._changed = threading.Condition()
        self._copy = re.compile(re.escape(str(root)) + r"[/\\]..[/\\]([0-9a-f]{32})[/\\]")

    def place(self, remotes: Iterable[Remote]) -> list[Path]:
        """Return where copies of objects will lie; nothing is fetched."""
        places = []
        for remote in remotes:
            path = self.folder_of(unit_of(remote)) / name_in(remote.url)
            self._remotes[path] = remote
            self._paths[unit_of(remote)] = path
            places.append(path)
        return places

    def remote(self, path: Path) -> Remote | None:
        """Return the object whose copy lies, or will lie, at a path; None for other paths."""
        return self._remotes.get(path)

    def sha256(self, path: Path) -> str:
        """Return the digest of an object's content; empty if it is not known without fetching it."""
        return self.index.sha256(unit_of(self._remotes[path]))

    def learn(self, path: Path, sha256: str) -> None:
        """Remember the digest of an object's content that is known from elsewhere."""
        self.index.learn(unit_of(self._remotes[path]), sha256)

    def pin(self, path: Path) -> None:
        """Have a copy at a path, fetched if need be, and keep it until `unpin`.

        Raises:
            RemoteError: If it cannot be fetched, or is larger than the stage.
            StorageError: If the disk is full or read-only.
        """
        with storage_errors(self.root):
            handle = pins.pin(path.parent)
            try:
                with FileLock(str(path.parent / ".lock")):
                    self._have(path)
            except BaseException:
                pins.unpin(handle)
                raise
        with self._changed:
            self._pins.setdefault(path, []).append(handle)

    def unpin(self, path: Path) -> None:
        """Let go of a copy that `pin` returned."""
        with self._changed:
            handles = self._pins[path]
            pins.unpin(handles.pop())
            if not handles:
                del self._pins[path]
            self._changed.notify_all()

    @contextmanager
    def at_hand(self, path: Path) -> Iterator[Path]:
        """Have a copy at a path for a while; paths that are not the stage's are as they are."""
        if path not in self._remotes:
            yield path
            return
        self.pin(path)
        try:
            yield path
        finally:
            self.unpin(path)

    def keep(self, path: Path) -> None:
        """Have a copy at a path until `close`; errors are those of `pin`."""
        remote = self._remotes[path]
        self._fit(unit_of(remote), remote.size or 0, shown(remote.url))
        self.pin(path)
        with self._changed:
            self._lasting.append(self._pins[path].pop())
            if not self._pins[path]:
                del self._pins[path]
        self._kept[unit_of(remote)] = path.stat().st_size

    def keep_folder(self, folder: Path) -> None:
        """Pin a unit's folder until `close`."""
        with storage_errors(folder):
            self._lasting.append(pins.pin(folder))

    def make_room_to_keep(self, unit: str, n_bytes: int, what: str) -> None:
        """Take room for a unit that is kept until `close`; errors are those of `make_room`."""
        self._fit(unit, n_bytes, what)
        self.make_room(unit, n_bytes, what)
        self._kept[unit] = n_bytes

    def remember_folder(self, folder: Path, url: str) -> None:
        """Have `named` call a folder, and what lies in it, by its address."""
        self._folders[str(folder)] = url

    def stop(self) -> None:
        """End fetching and waiting, on whatever thread: the results are not wanted any more."""
        self.patience.over.set()
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Let go of everything."""
        for path in [path for path, handles in self._pins.items() for _ in handles]:
            self.unpin(path)
        while self._lasting:
            pins.unpin(self._lasting.pop())
        self._kept.clear()

    def named(self, text: str) -> str:
        """Return a text in which copies are called by the addresses of their objects."""
        for unit in set(self._copy.findall(text)) & self._paths.keys():
            path = self._paths[unit]
            text = text.replace(str(path), shown(self._remotes[path].url))
        for folder, url in self._folders.items():
            text = text.replace(folder, shown(url).rstrip("/"))
        return text

    def folder_of(self, unit: str) -> Path:
        """Return the folder of a unit."""
        return self.root / unit[:2] / unit

    def make_room(self, unit: str, n_bytes: int, what: str) -> None:
        """Take room for a unit, waiting for what this process itself has pinned and will let go.

        Raises:
            RemoteError: If it is larger than the stage.
        """
        self._fit(unit, n_bytes, what)
        with self._changed:
            while not self.index.reserve(unit, n_bytes, int(self.limit_gb * GB), self._drop):
                if not self._pins:  # in use by other processes
                    self.index.hold(unit, n_bytes)
                    return
                self._changed.wait()
                self.patience.check()

    def _fit(self, unit: str, n_bytes: int, what: str) -> None:
        """Refuse what cannot lie beside what this process keeps, however long one waits."""
        kept = sum(size for other, size in self._kept.items() if other != unit)
        if kept + n_bytes > int(self.limit_gb * GB):
            beside = f" beside {kept / GB:.3g} GB in use" if kept else ""
            raise RemoteError(
                f"{what}: {n_bytes / GB:.3g} GB{beside}, but local copies may take {self.limit_gb:g} GB; "
                f"give them more with --set runtime.stage_gb={-(-(kept + n_bytes) // GB)}"
            )

    def _have(self, path: Path) -> None:
        """Fetch a copy unless it is there; its folder is pinned and locked."""
        remote = self._remotes[path]
        unit = unit_of(remote)
        if path.is_file():
            self.index.hold(unit, path.stat().st_size)
            if not self.index.sha256(unit):
                self.index.learn(unit, sha256_file(path))
            return
        self.make_room(unit, remote.size or 0, shown(remote.url))
        with atomic_path(path) as aside:
            Store(remote.url, self.patience).fetch(remote, aside)
            sha256 = sha256_file(aside)
        self.index.hold(unit, path.stat().st_size)
        self.index.learn(unit, sha256)

    def _drop(self, unit: str) -> bool:
        """Remove a unit's files unless somebody uses them."""
        folder = self.folder_of(unit)
        if not folder.exists():
            return True
        handle = pins.lock_free(folder)
        if handle is None:
            return False
        shutil.rmtree(folder, ignore_errors=True)
        pins.unpin(handle)
        return not folder.exists()


def unit_of(remote: Remote) -> str:
    """Return the id of an object as it looks now."""
    if not remote.version:  # what cannot be told apart later is not remembered
        return f"{_PROCESS}{hashlib.sha256(remote.url.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"
    return hashlib.sha256(f"{remote.url}\n{remote.look}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
