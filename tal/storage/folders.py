"""Local copies of remote folders, each one unit of the stage: shards for training, a run, a folder of annotations."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from tal.errors import RemoteError
from tal.files import atomic_path, storage_errors
from tal.storage.stage import Stage
from tal.storage.store import Remote, Store
from tal.storage.urls import is_inside, name_in, shown

THREADS = 8
"""Objects that are fetched at once: most are small, and a request takes longer than their bytes."""
LOG = ".tal-staged.jsonl"


def stage_folder(stage: Stage, url: str, want: Callable[[str], bool] = lambda name: True) -> Path:
    """Return a local folder with copies of the objects below a URL; it is kept until the stage closes.

    Only what is not there as the store now has it is fetched; what the store no longer has goes.

    Args:
        stage: Where it lies.
        url: Of the folder.
        want: Tells by an object's name below the URL, such as ``a/b.csv``, whether it is wanted.

    Raises:
        RemoteError: If there is nothing wanted, it is larger than the stage, a name would lead out of the folder, or
            the store cannot be reached or used.
    """
    store = Store(url, replace(stage.patience, over=threading.Event()))
    found = {name: remote for name, remote in store.list().items() if want(name)}
    if not found:
        raise RemoteError(f"{shown(url)}: nothing there that can be used; check the address and that the bucket exists")
    for name in found:
        if not is_inside(name):
            raise RemoteError(f"{shown(url)}: the name '{name}' would lead out of the folder; rename it")
    unit = hashlib.sha256(f"folder\n{url}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
    base = stage.folder_of(unit)
    stage.keep_folder(base)
    with storage_errors(base), FileLock(str(base / ".lock")):
        stage.make_room_to_keep(unit, sum(remote.size or 0 for remote in found.values()), shown(url))
        _sync(base / name_in(url), found, store)
    stage.remember_folder(base / name_in(url), url)
    return base / name_in(url)


def _sync(folder: Path, found: Mapping[str, Remote], store: Store) -> None:
    """Make a folder hold these objects and no others of the store's."""
    folder.mkdir(exist_ok=True)
    have = dict(_logged(folder / LOG))
    for name in have.keys() - found.keys():
        (folder / name).unlink(missing_ok=True)
    due = {
        name: remote for name, remote in found.items() if have.get(name) != remote.look or not (folder / name).is_file()
    }
    with (folder / LOG).open("a", encoding="utf-8") as log, ThreadPoolExecutor(THREADS) as pool:
        futures = {name: pool.submit(_fetch, store, remote, folder / name) for name, remote in due.items()}
        try:
            for name, future in futures.items():
                future.result()
                log.write(json.dumps([name, due[name].look]) + "\n")
        except BaseException:
            store.patience.over.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch(store: Store, remote: Remote, path: Path) -> None:
    with atomic_path(path) as aside:
        store.fetch(remote, aside)


def _logged(log: Path) -> Iterator[tuple[str, str]]:
    """Yield what was fetched and how it looked; a line that was cut short is left out."""
    try:
        lines = log.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            name, look = json.loads(line)
        except ValueError:
            continue
        if is_inside(name):
            yield name, look
