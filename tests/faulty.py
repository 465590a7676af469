"""The engines that break on demand of `benchmarks/_faulty.py`, and a folder of videos for them."""

from __future__ import annotations

import importlib.util
import sys
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
        self.videos.mkdir()
        engines().install(monkeypatch.setattr)

    def add(self, **texts: str) -> None:
        for name, text in texts.items():
            (self.videos / f"{name}.mp4").write_text(f"{name} {text}")

    def extract(self, isolate: str = "none", **more: Any) -> ExtractReport:
        runtime = RuntimeSettings(isolate=isolate)  # type: ignore[arg-type]
        settings = more.pop("settings", Settings()).model_copy(update={"runtime": runtime})
        given = {"cache": self.cache, "progress": self.heard, **more}
        return extract(self.videos, self.out, settings, **given)

    def look(self) -> Status:
        return look(self.out, failed=True)

    def records(self) -> dict[str, Record]:
        with Ledger(self.out) as ledger:
            return ledger.records()

    def content(self) -> dict[str, bytes]:
        return {path.stem: path.read_bytes() for path in self.out.glob(f"*{shards.SUFFIX}")}
