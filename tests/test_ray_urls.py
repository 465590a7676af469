"""Videos and shards in stores, worked on by a cluster: who fetches, who sends, and what happens when that fails.

Nodes are made up (`ray_fake`), with a cache of their own that is not the driver's; so is the store (`stores.Flaky`).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import small
from ray_fake import ActorUnavailableError, Node, OnFake
from stores import SCHEME, Flaky, store_of

from tal.cache import Cache, default_root
from tal.errors import BackendError, ConfigError, RemoteError
from tal.pipeline import ray_extraction, ray_filling
from tal.pipeline.outlets import local_folder
from tal.pipeline.ray_extraction import extract_on_ray
from tal.pipeline.ray_orders import Orders
from tal.pipeline.ray_stores import MARK
from tal.pipeline.surveying import Survey
from tal.storage import STAGED, Stage, Store, retrying

VIDEOS, OUT = f"{SCHEME}://box/videos", f"{SCHEME}://box/features"
NAMES = tuple("abcdef")


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnFake]:
    """Six videos in a store."""
    monkeypatch.setattr(retrying, "FIRST_S", 0.0001)
    Flaky.store.clear()
    Flaky.n_failures = 0
    with store_of(Flaky):
        made = OnFake(tmp_path, monkeypatch)
        for name in NAMES:
            put(name)
        made.videos, made.out = VIDEOS, OUT  # type: ignore[assignment]
        yield made


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


def test_from_store_to_store(batch: OnFake, fetched: list[str]) -> None:
    put("bad", "fail")
    put("gap", "damaged")
    report = batch.on(Node("one"), Node("two"))
    assert report.made == (*NAMES, "gap") and report.remarks == {"gap": "no pictures for 0.50 s (from 0.25 s)"}
    assert report.failures == {"bad": f"{VIDEOS}/bad.mp4: broken"}
    assert report.to_dict()["shards"]["a"] == f"{OUT}/a.safetensors"
    assert Counter(fetched) == Counter(batch.made) == Counter([*NAMES, "bad", "gap"])
    assert not any("/staged/" in line for line in batch.heard.said), "what is told names URLs, not copies"
    on_node = local_folder(OUT, default_root())
    assert not list(on_node.glob("*.safetensors")) and (default_root() / STAGED).is_dir()
    assert not (batch.cache.root / STAGED).joinpath("index.sqlite").exists() or not list(
        (batch.cache.root / STAGED).rglob("*.mp4")
    )
    there = sent()
    assert there == local(batch) and len(there) == 7


def test_the_command_takes_urls(batch: OnFake) -> None:
    chosen = ["--decoder", "pyav", "--set", "extract.streams=[rgb]", "--set", "extract.flow.backend=none"]
    with batch.joined(Node("one")):
        given = ["extract", VIDEOS, "-o", OUT, "--engine", "ray", *chosen]
        done = small.tal(*given, cwd=batch.folder, cache=batch.cache.root)
    assert done.returncode == 0, done.stderr
    assert f"6 shards in {OUT} (6 made, 0 kept)" in done.stderr and sent().keys() == set(NAMES)


def test_a_second_run_fetches_nothing_and_needs_no_cluster(batch: OnFake, fetched: list[str]) -> None:
    batch.on(Node("one"))
    before, n = sent(), len(fetched)
    again = Node("two")
    assert batch.on(again).kept == NAMES and not again.started
    assert len(fetched) == n == 6 and sent() == before
    assert batch.here().kept == NAMES and len(fetched) == 6, "what workers told is known to the local engine"


def test_another_driver_knows_what_is_made_from_what_lies_in_the_store(batch: OnFake, fetched: list[str]) -> None:
    batch.on(Node("one"))
    batch.cache = Cache(batch.folder / "other")
    again = Node("two")
    assert batch.on(again).kept == NAMES and not again.started and len(fetched) == 6


def test_shards_whose_videos_nobody_has_read_here_are_found_by_workers(batch: OnFake, fetched: list[str]) -> None:
    """The notes of videos' digests are gone: they must be fetched to tell that their shards are current."""
    batch.on(Node("one"))
    before = sent()
    for key in Flaky().find("/box/features/.tal/sources"):
        Flaky().rm_file(key)
    Flaky().rm_file("/box/features/b.safetensors")
    batch.cache = Cache(batch.folder / "other")
    batch.made.clear()
    report = batch.on(Node("two"))
    assert (report.made, report.kept, batch.made) == (("b",), tuple("acdef"), ["b"]) and sent() == before
    assert batch.on(Node("three")).kept == NAMES, "and remembered"


def test_what_is_there_is_made_anew_if_that_is_asked_for(batch: OnFake) -> None:
    batch.on(Node("one"))
    for key in Flaky().find("/box/features/.tal/sources"):
        Flaky().rm_file(key)
    batch.made.clear()
    batch.cache = Cache(batch.folder / "other", force=True)  # knows no digest, so that workers look
    assert batch.on(Node("one")).made == NAMES and Counter(batch.made) == Counter(NAMES)


@pytest.mark.parametrize("mix", ["from", "to"])
def test_from_a_store_to_a_folder_and_from_a_folder_to_a_store(batch: OnFake, mix: str) -> None:
    there = local(batch)
    batch.made.clear()
    batch.out = batch.folder / "features"
    if mix == "from":
        batch.videos = VIDEOS  # type: ignore[assignment]
    else:
        batch.out = OUT  # type: ignore[assignment]
    report = batch.on(Node("one"), Node("two"))
    assert report.made == NAMES and Counter(batch.made) == Counter(NAMES)
    assert (batch.content() if mix == "from" else sent()) == there


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
    """Each kind of call fails so often before it succeeds."""
    calls: Counter[str] = Counter()
    lock = threading.Lock()

    def call(self: Flaky, name: str) -> None:
        with lock:
            calls[name] += 1
            fails = calls[name] % (n_failures + 1)
        if name != "info" and fails:
            raise ConnectionResetError("the line is cut")

    monkeypatch.setattr(Flaky, "_call", call)
    report = batch.on(Node("one"), retries=4 * n_failures)  # two threads may take each other's turns
    monkeypatch.setattr(Flaky, "_call", lambda self, name: None)
    assert report.made == NAMES and not report.failures and calls["get_file"] >= 6 * (n_failures + 1)
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


def test_nothing_secret_is_in_the_orders(batch: OnFake, monkeypatch: pytest.MonkeyPatch) -> None:
    given, orders = list[Any](), ray_extraction.Orders
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    monkeypatch.setattr(ray_extraction, "Orders", lambda *values: given.append(values) or orders(*values))
    batch.on(Node("one"))
    assert given and "s3cr3t" not in repr(given)
    with pytest.raises(ConfigError, match=r"^s3://b/v: the password in it would be sent to all nodes; leave it out"):
        extract_on_ray("s3://key:s3cr3t@b/v", OUT, cache=batch.cache)
