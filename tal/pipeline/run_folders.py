"""Where a chain of stages puts its outputs: a folder, or a remote one that a local one stands for.

The local folder lies in the cache and outlives the run, like that of remote shards: what was sent is not sent again
while both sides are as they were, and what could not be sent is sent by the next run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tal import shards
from tal.errors import RemoteError
from tal.files import sha256_file, write_atomic
from tal.pipeline.context import Context
from tal.pipeline.outlets import local_folder
from tal.pipeline.sources import open_sources
from tal.storage import Remote, Stage, Store, join, path_of, shown, stage_folder, url_of
from tal.storage.edge import WANTED

FEATURES, RUNS = "features", "runs"
DETECTIONS, EVALUATION = "detections.json", "evaluation.json"
LATER = (DETECTIONS, EVALUATION)
"""Files of a run's folder that are made after training."""
SENT = ".tal-sent.json"
"""In the local folder: name of each file that was sent to its digest and what the store then said of it."""


class RunFolder:
    """A folder on this machine.

    Args:
        folder: Holds ``features/`` and ``runs/``.

    Attributes:
        features: Where shards go: a folder or URL, as `extract` takes it.
        runs: Folder of runs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.features: Path | str = folder / FEATURES
        self.runs = folder / RUNS

    def local(self, made: Mapping[str, Path]) -> tuple[Path, dict[str, Path]]:
        """Return a folder with all shards, and where in it those of some videos lie.

        Args:
            made: Video to shard, as `extract` reports them.
        """
        return self.folder / FEATURES, dict(made)

    def send(self, run: Path, *names: str) -> None:
        """Send files of a run's folder; nothing to do here."""

    def address(self, path: Path) -> str:
        """Return where people find a file of the run."""
        return str(path)


class RemoteRunFolder(RunFolder):
    """A remote folder.

    Args:
        url: Of it.
        root: Of the cache, where the local one lies.
        stage: Where shards are brought for training.
    """

    def __init__(self, url: str, root: Path, stage: Stage) -> None:
        super().__init__(local_folder(url, root))
        self.url, self.features, self._stage = url, join(url, FEATURES), stage
        stage.remember_folder(self.folder, url)

    def local(self, made: Mapping[str, Path]) -> tuple[Path, dict[str, Path]]:
        """Return a copy of the folder with all shards, of which only what is new is fetched.

        Raises:
            RemoteError: If the store cannot be reached or used.
        """
        folder = stage_folder(self._stage, join(self.url, FEATURES), WANTED["shards"])
        return folder, {name: folder / f"{name}{shards.SUFFIX}" for name in made}

    def send(self, run: Path, *names: str) -> None:
        """Send what is new of a run's folder, each file whole or not at all, in the order of their names.

        Args:
            run: The folder.
            names: Files; none: all that training leaves there.

        Raises:
            RemoteError: If the store cannot be reached or used.
        """
        store = Store(join(self.url, run.relative_to(self.folder).as_posix()), self._stage.patience)
        try:
            self._send(run, names or _trained(run), store)
        except RemoteError as error:
            raise RemoteError(f"{error}; what was made is kept here, and sent by the next run") from error

    def address(self, path: Path) -> str:
        """Return the URL of a file of the run, for people."""
        return shown(join(self.url, path.relative_to(self.folder).as_posix()))

    def _send(self, run: Path, names: Iterable[str], store: Store) -> None:
        there, sent = store.list(), self._sent()
        for name in sorted(names):
            key, sha256 = (run / name).relative_to(self.folder).as_posix(), sha256_file(run / name)
            if sent.get(key, []) != _told(sha256, there.get(name)) or not sent.get(key):
                sent[key] = _told(sha256, store.put(run / name, join(store.url, name)))
                write_atomic(self.folder / SENT, json.dumps(sent))

    def _sent(self) -> dict[str, list[str]]:
        try:
            found = json.loads((self.folder / SENT).read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _trained(run: Path) -> Iterator[str]:
    """Yield the names of the files that training leaves in a run's folder, without those of later stages."""
    for path in run.rglob("*"):
        name = path.relative_to(run).as_posix()
        if path.is_file() and name not in LATER and not path.name.startswith("."):
            yield name


def _told(sha256: str, remote: Remote | None) -> list[str]:
    """Return what must not have changed; nothing where the store does not tell."""
    return [sha256, remote.look] if remote and remote.version else []


@contextmanager
def open_run_folder(out: Path | str, ctx: Context) -> Iterator[tuple[RunFolder, Context]]:
    """Open where a chain's outputs go; what is told and raised meanwhile calls local copies by their addresses."""
    url = url_of(out)
    if url is None:
        yield RunFolder(path_of(out)), ctx
        return
    with open_sources([url], ctx) as (sources, told):
        if sources.stage is None:
            raise ValueError("no stage")
        yield RemoteRunFolder(url, ctx.cache.root, sources.stage), replace(ctx, progress=told.progress)
