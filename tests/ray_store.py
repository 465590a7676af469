"""Six videos in a store that fails on demand (`stores.Flaky`), for a cluster of made-up nodes (`ray_fake`)."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from ray_fake import OnFake
from stores import SCHEME, Flaky

from tal.storage import Store

VIDEOS, OUT = f"{SCHEME}://box/videos", f"{SCHEME}://box/features"
NAMES = tuple("abcdef")


@pytest.fixture
def batch(flaky: type[Flaky], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OnFake:
    """Six videos in a store."""
    made = OnFake(tmp_path, monkeypatch)
    for name in NAMES:
        put(name)
    made.videos, made.out = VIDEOS, OUT  # type: ignore[assignment]
    return made


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is fetched, as it comes; nothing of it by the driver."""
    names, fetch = list[str](), Store.fetch

    def noted(self: Store, remote: Any, path: Path) -> None:
        assert threading.current_thread() is not threading.main_thread(), "no video passes the driver"
        names.append(Path(remote.url).stem)
        fetch(self, remote, path)

    monkeypatch.setattr(Store, "fetch", noted)
    return names


def put(name: str, text: str = "") -> None:
    Flaky().pipe_file(f"/box/videos/{name}.mp4", f"{name} {text}".encode())


def sent() -> dict[str, bytes]:
    """The shards in the store."""
    found = Flaky().find("/box/features", maxdepth=1)
    return {Path(key).stem: Flaky().cat(key) for key in found if key.endswith(".safetensors")}


def local(batch: OnFake) -> dict[str, bytes]:
    """The shards of the same videos as a local run makes them from files, into a folder."""
    batch.videos, batch.out = batch.folder / "videos", batch.folder / "local"
    for key in Flaky().find("/box/videos"):
        (batch.videos / Path(key).name).write_bytes(Flaky().cat(key))
    batch.here()
    return batch.content()
