"""A cluster that works on videos and shards in stores: stores that fail, nodes that cannot use them or die.

Nodes are made up (`ray_fake`), with a cache of their own that is not the driver's; so is the store (`stores.Flaky`).
"""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import ray_store
from ray_fake import ActorUnavailableError, Node, OnFake
from ray_store import NAMES, OUT, VIDEOS, local, put, sent
from stores import Flaky

from tal.cache import default_root
from tal.errors import BackendError, RemoteError
from tal.pipeline import ray_extraction, ray_filling
from tal.pipeline.outlets import local_folder
from tal.pipeline.ray_orders import Orders
from tal.pipeline.ray_stores import MARK
from tal.pipeline.surveying import Survey
from tal.storage import Stage, Store

batch, fetched = ray_store.batch, ray_store.fetched  # fixtures


def test_a_worker_that_is_killed_after_sending_has_not_worked_in_vain(batch: OnFake, fetched: list[str]) -> None:
    """It dies before it tells, even that it has read the videos; the next one asks the store."""

    def dies(worker: str, videos: list[str]) -> Exception | None:
        return ActorUnavailableError() if worker == "one.0" and videos else None

    report = batch.on(Node("one", trouble=dies), Node("two"))
    assert not report.failures and set(report.shards) == set(NAMES)
    assert Counter(batch.made) == Counter(NAMES), "nothing is made twice"
    assert sum("is gone" in line for line in batch.heard.said) == 1
    there = sent()
    assert there == local(batch)


@pytest.mark.parametrize("n_failures", [1, 3])
def test_a_store_that_fails_for_a_while_changes_nothing(
    batch: OnFake, monkeypatch: pytest.MonkeyPatch, n_failures: int
) -> None:
    """Each kind of call fails so often, for each object, before it succeeds."""
    calls: Counter[tuple[str, str]] = Counter()
    lock = threading.Lock()

    def call(self: Flaky, name: str, path: str) -> None:
        with lock:
            calls[name, path] += 1
            fails = calls[name, path] % (n_failures + 1)
        if name != "info" and fails:
            raise ConnectionResetError("the line is cut")

    monkeypatch.setattr(Flaky, "_call", call)
    report = batch.on(Node("one"), retries=4 * n_failures)  # driver and worker may take each other's turns
    monkeypatch.setattr(Flaky, "_call", lambda self, name, path: None)
    n_fetched = sum(n for (name, _), n in calls.items() if name == "get_file")
    assert report.made == NAMES and not report.failures and n_fetched >= 6 * (n_failures + 1)
    there = sent()
    assert there == local(batch)


def test_what_a_worker_cannot_send_is_kept_on_its_node_and_sent_later(
    batch: OnFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Store.put

    def refuses_b(self: Store, path: Path, url: str) -> Any:
        if url.endswith("b.safetensors"):
            raise RemoteError(f"{url}: cannot be written")
        return send(self, path, url)

    monkeypatch.setattr(Store, "put", refuses_b)
    report = batch.on(Node("one"))
    assert report.made == tuple("acdef") and report.failures == {"b": f"{OUT}/b.safetensors: cannot be written"}
    assert [path.stem for path in local_folder(OUT, default_root()).glob("*.safetensors")] == ["b"]
    monkeypatch.setattr(Store, "put", send)
    report = batch.on(Node("one"))
    assert (report.made, report.kept, report.failures) == ((), NAMES, {}) and Counter(batch.made) == Counter(NAMES)
    there = sent()
    assert there == local(batch)


def test_a_node_that_cannot_reach_the_store_any_more_leaves_its_videos_to_others(
    batch: OnFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when its credentials expire: of three videos in a row two have failed, the others are made elsewhere."""
    for i in range(20):
        put(f"v{i:02}")
    pin, poor, orders = Stage.pin, list[Stage](), list[Orders]()

    def refuses_first(self: Stage, path: Path) -> None:
        poor.extend([] if poor else [self])
        if self is poor[0]:
            raise RemoteError(f"{path}: access denied")
        pin(self, path)

    def denied(given: Orders) -> None:
        orders.append(given)
        raise BackendError("one: s3://bucket: access denied (expired)")

    monkeypatch.setattr(Stage, "pin", refuses_first)
    monkeypatch.setattr(ray_filling, "check", denied)
    report = batch.on(Node("one"), Node("two"))
    assert len(report.failures) == 2 and len(report.made) == 24 and len(orders) == 1
    assert "a Ray worker is left out: one: s3://bucket: access denied (expired)" in batch.heard.said


def test_videos_that_cannot_be_fetched_do_not_speak_against_a_node_that_reaches_the_store(
    batch: OnFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey = Survey.of

    def then_gone(self: Survey, videos: list[Path]) -> Survey:
        found = survey(self, videos)
        for name in "bcde":
            Flaky().rm_file(f"/box/videos/{name}.mp4")
        return found

    monkeypatch.setattr(Survey, "of", then_gone)
    report = batch.on(Node("one"))
    gone = "nothing there; check the address and that the bucket exists"
    assert report.failures == {name: f"{VIDEOS}/{name}.mp4: {gone}" for name in "bcde"}
    assert report.made == ("a", "f")


def test_a_node_with_another_store_under_the_same_address_is_left_out(
    batch: OnFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = ray_extraction.Orders
    monkeypatch.setattr(ray_extraction, "Orders", lambda *given: orders(*given[:6], "another", *given[7:]))
    said = f": {OUT}: not the store that the driver uses; name the same server on all nodes$"
    with pytest.raises(BackendError, match=f"^no Ray worker can go on: .*{said}"):
        batch.on(Node("one"))
    assert not sent()


def test_a_node_that_does_not_see_the_videos_is_left_out(batch: OnFake, monkeypatch: pytest.MonkeyPatch) -> None:
    batch.out = batch.folder / "features"
    look = Store.look

    def blind(self: Store, url: str | None = None) -> Any:
        return None if threading.current_thread() is threading.main_thread() else look(self, url)

    monkeypatch.setattr(Store, "look", blind)
    said = f": {VIDEOS}/a.mp4: not there as the driver sees it; name the same server on all nodes$"
    with pytest.raises(BackendError, match=f"^no Ray worker can go on: .*{said}"):
        batch.on(Node("one"))


def test_a_store_that_may_only_be_read_is_told_before_anything_is_made(
    batch: OnFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch.on(Node("one"))
    put("new")

    def refuses(*_: Any, **__: Any) -> None:
        raise PermissionError("read only")

    monkeypatch.setattr(Flaky, "put_file", refuses)
    said = rf"^no Ray worker can go on: .*: {OUT}/{MARK}: access denied \(read only\); check user and password$"
    with pytest.raises(BackendError, match=said):
        batch.on(Node("two"))
