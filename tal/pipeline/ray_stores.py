"""Stores in place of shared folders: how nodes find out that they use the same one, and how workers send shards there.

Nothing secret travels: every node uses the credentials of its own environment.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from tal import shards
from tal.cache import Cache
from tal.errors import ConfigError, RemoteError, StorageError
from tal.files import storage_errors, write_atomic
from tal.pipeline.context import patience_of
from tal.pipeline.outlets import Outlet, RemoteOutlet, local_folder
from tal.pipeline.sources import Sources, StagedCache
from tal.settings import RuntimeSettings
from tal.storage import Patience, Remote, Store, join, path_of, shown, url_of

MARK = ".tal/mark"
"""Object beside the shards whose text no other store has under the same address."""
_MARK_BYTES = 64
_N_PROBES = 3


class Sender(RemoteOutlet):
    """The outlet of a worker: it asks for single objects and never lists them all.

    Args:
        url: Of the remote folder.
        folder: The local one.
        patience: How long the store is given.
    """

    def __init__(self, url: str, folder: Path, patience: Patience) -> None:
        Outlet.__init__(self, folder)
        self.url, self._store, self._found = url, Store(url, patience), {}


def outlet_on(out: str, root: Path, runtime: RuntimeSettings) -> Outlet:
    """Return where a worker puts its shards, `root` being the cache folder of its node."""
    url = url_of(out)
    if url is None:
        return Outlet(path_of(out))
    return Sender(url, local_folder(url, root), patience_of(runtime))


def without_password(url: str) -> str:
    """Return a URL that may travel to other nodes.

    Raises:
        ConfigError: If it holds a password.
    """
    if urlsplit(url).password is not None:
        raise ConfigError(
            f"{shown(url)}: the password in it would be sent to all nodes; leave it out and give each node its own"
        )
    return url


@contextmanager
def meeting(outlet: Outlet, runtime: RuntimeSettings) -> Iterator[str]:
    """Leave something by which nodes see that they use the same outlet: a file for a while, or an object's text.

    Raises:
        StorageError: If the folder cannot be written.
        RemoteError: If the store cannot be reached or used.
    """
    if isinstance(outlet, RemoteOutlet):
        yield _token_of(Store(outlet.url, patience_of(runtime)))
        return
    token = outlet.folder / ".tal" / f"ray-{uuid.uuid4().hex}"
    with storage_errors(outlet.folder):
        write_atomic(token, "")
    try:
        yield str(token)
    finally:
        token.unlink(missing_ok=True)


def check_outlet(out: str, token: str, runtime: RuntimeSettings) -> None:
    """Refuse to work where shards would not be seen.

    Raises:
        StorageError: If this node does not see the folder.
        RemoteError: If it cannot read or write the store, or it is another one.
    """
    url = url_of(out)
    if url is None:
        if not Path(token).exists():
            raise StorageError(f"does not see {out}; name a folder that all nodes share")
        return
    store = Store(url, patience_of(runtime))
    if _read(store) != token:
        raise RemoteError(f"{shown(url)}: not the store that the driver uses; name the same server on all nodes")
    _put(store, token)  # which tells whether it may


def check_sources(probes: Sequence[Remote], runtime: RuntimeSettings) -> None:
    """Refuse to work where videos cannot be fetched.

    Args:
        probes: Some of them, of which one at least should be as the driver saw it.
        runtime: How long a store is given.

    Raises:
        RemoteError: If the store cannot be reached or used, or none of them is there.
    """
    patience = patience_of(runtime)
    if probes and not any(Store(one.url, patience).look() == one for one in probes):
        raise RemoteError(f"{shown(probes[0].url)}: not there as the driver sees it; name the same server on all nodes")


def remote_of(cache: Cache, path: Path) -> Remote | None:
    """Return the object that a video's path stands for; None for a local video."""
    return cache.stage.remote(path) if isinstance(cache, StagedCache) else None


def probes_of(cache: Cache, videos: Sequence[Path]) -> tuple[Remote, ...]:
    """Return a few of the remote videos: the first, the last and one between."""
    remotes = [remote for path in videos if (remote := remote_of(cache, path))]
    picked = {round(i * (len(remotes) - 1) / (_N_PROBES - 1)) for i in range(_N_PROBES)} if remotes else set[int]()
    return tuple(remotes[i] for i in sorted(picked))


def placed(path: str, remote: Remote | None, sources: Sources) -> Path:
    """Return the path of a video on this node: its own, or that of its copy, which need not be there yet."""
    if remote is None or sources.stage is None:
        return Path(path)
    return sources.stage.place([remote])[0]


def header_in(outlet: Outlet, shard: Path) -> shards.ShardHeader:
    """Return the header of a shard that is there.

    Raises:
        ShardError: If it is none.
        RemoteError: If the store cannot be reached or used.
    """
    return outlet._header(shard) if isinstance(outlet, RemoteOutlet) else shards.header(shard)


def _token_of(store: Store) -> str:
    if store.look(join(store.url, MARK)) is None:
        _put(store, uuid.uuid4().hex)
    return _read(store)


def _read(store: Store) -> str:
    return store.read(join(store.url, MARK), 0, _MARK_BYTES).decode("ascii", "replace")


def _put(store: Store, token: str) -> None:
    with TemporaryDirectory(prefix="tal-") as folder:
        write_atomic(Path(folder) / "mark", token)
        store.put(Path(folder) / "mark", join(store.url, MARK))
