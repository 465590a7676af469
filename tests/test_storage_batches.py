"""Batches whose videos and shards lie in a store that fails, and in a stage that is too small for all of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from faulty import Batch, engines
from stores import SCHEME, Flaky, put_videos

from tal.pipeline import ExtractReport, extract
from tal.pipeline.outlets import local_folder, remote_status
from tal.settings import RuntimeSettings, Settings
from tal.storage import STAGED, Stage, retrying
from tal.storage.index import Index

VIDEOS, OUT = f"{SCHEME}://box/videos", f"{SCHEME}://box/features"


@pytest.fixture
def batch(flaky: type[Flaky], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Batch:
    """Six remote videos of 400 bytes, read one at a time."""
    monkeypatch.setattr(engines(), "IN_FLIGHT", 1)
    put_videos("abcdef")
    return Batch(tmp_path, monkeypatch)


def run(batch: Batch, **runtime: Any) -> ExtractReport:
    settings = Settings(runtime=RuntimeSettings(isolate="none", **runtime))
    return extract(VIDEOS, OUT, settings, cache=batch.cache, progress=batch.heard)


def local_shards(batch: Batch) -> dict[str, bytes]:
    """The shards of the same videos, made from local files into a local folder."""
    for name in "abcdef":
        (batch.videos / f"{name}.mp4").write_bytes(name.encode().ljust(400))
    batch.extract()
    return batch.content()


def remote_shards() -> dict[str, bytes]:
    found = Flaky().find("/box/features", maxdepth=1)
    return {Path(key).stem: Flaky().cat(key) for key in found}


def test_a_batch_fits_through_a_stage_that_is_smaller_than_it(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    most, reserve = [0], Index.reserve

    def watched(self: Index, *given: Any) -> bool:
        done = reserve(self, *given)
        folder = batch.cache.root / STAGED
        most.append(sum(path.stat().st_size for path in folder.rglob("*.mp4")) + (400 if done else 0))
        return done

    monkeypatch.setattr(Index, "reserve", watched)
    report = run(batch, stage_gb=1000e-9)
    assert report.made == tuple("abcdef") and max(most) == 800
    assert remote_shards() == local_shards(batch)


@pytest.mark.parametrize("n_failures", [1, 2, 3])
def test_a_store_that_fails_for_a_while_changes_nothing(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, n_failures: int
) -> None:
    """Lists, fetches and puts of each object fail so often before each one that succeeds."""
    calls: Counter[tuple[str, str]] = Counter()

    def call(self: Flaky, name: str, path: str) -> None:
        calls[name, path] += 1
        if name != "info" and calls[name, path] % (n_failures + 1):
            raise ConnectionResetError("the line is cut")

    monkeypatch.setattr(Flaky, "_call", call)
    report = run(batch, retries=3)
    assert report.made == tuple("abcdef") and not report.failures
    monkeypatch.setattr(Flaky, "_call", lambda self, name, path: None)
    n_sent = sum(n for (name, _), n in calls.items() if name == "put_file")
    assert n_sent >= 13 * (n_failures + 1) and remote_shards() == local_shards(batch)


def test_a_video_that_cannot_be_fetched_fails_alone(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    get = Flaky.get_file

    def refuses_c(self: Flaky, path: str, *given: Any, **more: Any) -> Any:
        if path.endswith("c.mp4"):
            raise ConnectionError("the line is cut")
        return get(self, path, *given, **more)

    monkeypatch.setattr(Flaky, "get_file", refuses_c)
    report = run(batch, retries=1)
    why = "cannot be read (the line is cut), tried 2 times; check the network and run it again"
    assert report.failures == {"c": f"{VIDEOS}/c.mp4: {why}"} and report.made == tuple("abdef")
    assert f"failed: {VIDEOS}/c.mp4: {why}" in batch.heard.said
    status = remote_status(OUT, batch.cache.root, failed=True)
    assert (status.counts["done"], status.counts["failed"], status.lost, status.address) == (5, 1, 0, OUT)
    assert [(one.name, one.path) for one in status.troubles] == [("c", f"{VIDEOS}/c.mp4")]
    monkeypatch.setattr(Flaky, "get_file", get)
    report = run(batch)
    assert (report.made, report.failures) == (("c",), {}) and remote_shards() == local_shards(batch)


def test_the_ledger_lies_in_the_cache_and_a_lost_shard_is_made_again(batch: Batch) -> None:
    run(batch)
    before = remote_shards()
    assert (local_folder(OUT, batch.cache.root) / ".tal" / "ledger.sqlite").is_file()
    Flaky().rm_file("/box/features/b.safetensors")
    assert remote_status(OUT, batch.cache.root).lost == 1
    assert run(batch).made == ("b",) and remote_shards() == before


def test_an_interruption_ends_what_is_being_fetched(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first video is read while the second one is fetched, from a store that never answers."""
    get = Flaky.get_file
    monkeypatch.setattr(retrying, "FIRST_S", 1000.0)
    monkeypatch.setattr(retrying, "LONGEST_S", 1000.0)

    def answers_once(self: Flaky, path: str, *given: Any, **more: Any) -> Any:
        if not path.endswith("a.mp4"):
            raise ConnectionError("the line is cut")
        return get(self, path, *given, **more)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Flaky, "get_file", answers_once)
    monkeypatch.setattr(engines(), "outcome", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(batch)
    assert Stage(batch.cache.root / STAGED).index.total_bytes() > 0
