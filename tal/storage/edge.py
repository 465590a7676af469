"""Arguments that are URLs become local files before a command runs; what it wrote is sent when it is done."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Literal

from tal.errors import RemoteError
from tal.parsing import VIDEO_SUFFIXES
from tal.storage.folders import stage_folder
from tal.storage.stage import Stage
from tal.storage.store import Store
from tal.storage.urls import join, name_in

Kind = Literal["in", "shards", "run", "videos", "out", "outdir"]
"""What an argument is: a file or folder, a folder of shards, a run or model, videos; a file or folder to be written."""
OUTGOING = "outgoing"
RUN_FILES = ("model.safetensors", "config.yaml", "metrics.jsonl", "environment.json", "advice.json", "detections.json")


class Edge:
    """Stands between URLs and a command that knows files.

    Args:
        stage: Of the local copies.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._out: dict[Path, str] = {}
        self._aside = stage.root / OUTGOING / secrets.token_hex(8)

    def local(self, url: str, kind: Kind) -> Path:
        """Return the local file or folder that stands for a URL until `close`.

        Raises:
            RemoteError: If an input cannot be fetched.
        """
        if kind in ("out", "outdir"):
            return self._outgoing(url, kind)
        store = Store(url, self.stage.patience)
        remote = None if url.endswith("/") else store.look()
        if remote is None:
            return stage_folder(self.stage, url, WANTED[kind])
        (path,) = self.stage.place([remote])
        self.stage.keep(path)
        return path

    def send(self) -> None:
        """Send what was written, each object whole or not at all; files of a folder in the order of their names.

        Raises:
            RemoteError: If a store cannot be reached or used; what was not sent stays in the stage's folder, which the
                error names.
        """
        for path, url in self._out.items():
            files = [path] if path.is_file() else [one for one in sorted(path.rglob("*")) if one.is_file()]
            try:
                for one in files:
                    name = one.relative_to(path).as_posix()
                    Store(url, self.stage.patience).put(one, url if one == path else join(url, name))
            except RemoteError as error:
                raise RemoteError(f"{error}; until then it is kept in {self._aside / path.parent.name}") from error
            shutil.rmtree(path.parent)

    def close(self) -> None:
        """Let go of the local copies."""
        self.stage.close()
        for folder in (self._aside, self._aside.parent):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def _outgoing(self, url: str, kind: Kind) -> Path:
        path = self._aside / str(len(self._out)) / name_in(url)
        (path if kind == "outdir" else path.parent).mkdir(parents=True, exist_ok=True)
        self._out[path] = url
        self.stage.remember_folder(path, url)
        return path


def _is_visible(name: str) -> bool:
    return not any(part.startswith(".") for part in PurePosixPath(name).parts)


def _is_shard(name: str) -> bool:
    return _is_visible(name) and "/" not in name and name.endswith(".safetensors")


def _is_of_run(name: str) -> bool:
    return name in RUN_FILES


def _is_video(name: str) -> bool:
    return _is_visible(name) and PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES


WANTED: dict[Kind, Callable[[str], bool]] = {
    "in": _is_visible,
    "shards": _is_shard,
    "run": _is_of_run,
    "videos": _is_video,
}
"""Which objects below a URL are staged."""
