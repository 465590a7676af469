"""The engines that break on demand of `benchmarks/_faulty.py`, and a folder of videos for them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tal import shards
from tal.cache import Cache
from tal.ledger import Ledger, Record, Status, look
from tal.pipeline import ExtractReport, extract
from tal.progress import Silent
from tal.settings import RuntimeSettings, Settings


def engines() -> ModuleType:
    """Load the engines as a module."""
    path = Path(__file__).parents[1] / "benchmarks" / "_faulty.py"
    if "faulty_engines" not in sys.modules:
        spec = importlib.util.spec_from_file_location("faulty_engines", path)
        assert spec is not None and spec.loader is not None
        sys.modules["faulty_engines"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["faulty_engines"])
    return sys.modules["faulty_engines"]


class Heard(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


class Batch:
    """A folder of videos whose texts say what becomes of them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.videos, self.out = folder, folder / "videos", folder / "features"
        self.cache, self.heard = Cache(folder / "cache"), Heard()
        self.runtime: dict[str, Any] = {}
        self.videos.mkdir()
        engines().install(monkeypatch.setattr)

    def add(self, **texts: str) -> None:
        for name, text in texts.items():
            (self.videos / f"{name}.mp4").write_text(f"{name} {text}")

    def extract(self, isolate: str = "none", batch: int = 4, **more: Any) -> ExtractReport:
        runtime = RuntimeSettings(isolate=isolate, batch=batch, **self.runtime)  # type: ignore[arg-type]
        settings = more.pop("settings", Settings()).model_copy(update={"runtime": runtime})
        given = {"cache": self.cache, "progress": self.heard, **more}
        return extract(self.videos, self.out, settings, **given)

    def undisturbed(self) -> dict[str, bytes]:
        """Return the shards of the same videos, made in another folder by a run in which nothing happens."""
        poison = [name for name, one in self.records().items() if one.state == "poison"]
        there, self.out = self.out, self.folder / "undisturbed"
        self.extract(batch=1, skip=poison, cache=Cache(self.folder / "undisturbed-cache"))
        found, self.out = self.content(), there
        return found

    def finished(self) -> dict[str, int]:
        """Return the inode of each shard that is there: another one has been made again."""
        return {path.stem: path.stat().st_ino for path in self.out.glob(f"*{shards.SUFFIX}")}

    def look(self) -> Status:
        return look(self.out, failed=True)

    def records(self) -> dict[str, Record]:
        with Ledger(self.out) as ledger:
            return ledger.records()

    def content(self) -> dict[str, bytes]:
        return {path.stem: path.read_bytes() for path in self.out.glob(f"*{shards.SUFFIX}")}


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Batch:
    """An empty folder of videos."""
    return Batch(tmp_path, monkeypatch)


def assert_whole(batch: Batch, finished: Mapping[str, int], n_again: int) -> None:
    """Check what must hold after any fault, once the batch has been run to its end.

    Args:
        batch: The batch.
        finished: What `Batch.finished` returned when the fault was over: none of it is lost or was made again.
        n_again: How many videos may have been begun twice: those in flight when processes ended.
    """
    assert finished.items() <= batch.finished().items()
    assert not list(batch.out.glob(".*.part"))
    assert all(shards.read(path) for path in batch.out.glob(f"*{shards.SUFFIX}"))
    records = batch.records().values()
    assert sum(one.attempts for one in records) - len(records) <= n_again
    assert batch.content() == batch.undisturbed()
