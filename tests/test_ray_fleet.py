"""What a driver does when nodes are busy, run out of memory, cannot work or come late; on a made-up cluster."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import faulty
import pytest
from ray_fake import ActorUnavailableError, Node, OnFake, OutOfMemoryError, RayActorError

from tal.errors import BackendError
from tal.pipeline import ray_extraction, ray_orders
from tal.pipeline.surveying import Survey

NAMES = tuple("abcdef")
BUSY = "no Ray worker has started yet: 'ray status' shows what the cluster is busy with"


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OnFake:
    made = OnFake(tmp_path, monkeypatch)
    made.add(**dict.fromkeys(NAMES, ""))
    return made


def local(batch: OnFake) -> dict[str, bytes]:
    """The shards of the same videos as a local run makes them."""
    there, batch.out = batch.out, batch.folder / "local"
    batch.here()
    found, batch.out = batch.content(), there
    return found


def test_nodes_make_the_shards_of_a_local_run(batch: OnFake) -> None:
    batch.add(bad="fail", gap="damaged")
    report = batch.on(Node("one"), Node("two"))
    assert report.made == (*NAMES, "gap") and report.remarks == {"gap": "no pictures for 0.50 s (from 0.25 s)"}
    assert report.failures == {"bad": f"{batch.videos / 'bad.mp4'}: broken"}
    assert Counter(batch.made) == Counter([*NAMES, "bad", "gap"])
    assert batch.content() == local(batch)
    assert {name: one.attempts for name, one in batch.records().items()} == dict.fromkeys([*NAMES, "bad", "gap"], 1)


def test_what_is_there_needs_no_cluster(batch: OnFake) -> None:
    batch.here()
    one = Node("one")
    assert batch.on(one).kept == NAMES and not one.started


@pytest.mark.parametrize("error", [OutOfMemoryError(), RayActorError(), ActorUnavailableError()])
def test_what_a_worker_made_that_did_not_live_to_tell_is_found(batch: OnFake, error: Exception) -> None:
    one = Node("one", trouble=lambda worker, videos: error if worker == "one.0" and videos else None)
    report = batch.on(one, Node("two"))
    assert report.made == NAMES and not report.failures
    assert Counter(batch.made) == Counter(NAMES)
    assert batch.content() == local(batch)
    how = {"OutOfMemoryError": "ran out of memory", "RayActorError": "process died"}.get(type(error).__name__, "lost")
    (gone,) = (line for line in batch.heard.said if "is gone" in line)
    assert gone.startswith("a Ray worker on one is gone (its ") and how in gone
    hint = "where memory runs out, a larger --worker-cpus puts fewer workers on a node"
    assert batch.heard.said.count(hint) == isinstance(error, OutOfMemoryError)


def test_a_video_that_is_too_large_for_every_worker_is_poison_and_the_others_are_made(batch: OnFake) -> None:
    tries = list[list[str]]()

    def short(worker: str, videos: list[str]) -> Exception | None:
        if str(batch.videos / "c.mp4") not in videos:
            return None
        tries.append(videos)
        return OutOfMemoryError()

    report = batch.on(*(Node(name, trouble=short, is_early=True) for name in ("one", "two")))
    assert report.made == tuple("abdef") and Counter(batch.made) == Counter("abdef")
    said = f"{batch.videos / 'c.mp4'}: the process that decoded it died twice (its node ran out of memory)"
    assert report.failures["c"].startswith(said)
    assert batch.records()["c"].state == "poison"
    assert len(tries) == 4 and len(tries[-1]) == 1, "the last time alone"
    again = Node("one")
    assert batch.on(again).failures == report.failures and not again.started


def test_a_node_on_which_every_worker_dies_is_done_without(batch: OnFake) -> None:
    bad = Node("bad", trouble=lambda worker, videos: OutOfMemoryError() if videos else None, is_early=True)
    report = batch.on(bad, Node("good"))
    assert report.made == NAMES and len(bad.started) <= 3
    batch.add(**dict.fromkeys("uvw", ""))
    with pytest.raises(BackendError, match=r"^no Ray worker can go on: on bad: its node ran out of memory$"):
        batch.on(bad)
    assert batch.on(Node("good")).made == tuple("uvw"), "not poison, and nobody thinks that they are being worked on"


def test_memory_that_runs_out_inside_a_worker_is_a_reason_to_try_elsewhere(
    batch: OnFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome, n_left = faulty.engines().outcome, [1]

    def needs_much(path: Path, *given: Any) -> Any:
        if path.stem == "c" and n_left:
            n_left.pop()
            raise MemoryError
        return outcome(path, *given)

    monkeypatch.setattr(faulty.engines(), "outcome", needs_much)
    report = batch.on(Node("one"), Node("two"))
    assert report.made == NAMES and not report.failures and batch.content() == local(batch)
    (gone,) = (line for line in batch.heard.said if "is gone" in line)
    assert "(memory ran out in it)" in gone


def test_a_busy_cluster_is_waited_for(batch: OnFake) -> None:
    free = iter([False] * 100)
    report = batch.on(Node("one", is_free=lambda: next(free, True)))
    assert report.made == NAMES
    assert sum(line.startswith(BUSY) for line in batch.heard.said) == 1


def test_a_node_that_stays_busy_holds_nobody_up(batch: OnFake) -> None:
    busy = Node("busy", is_free=lambda: False)
    assert batch.on(busy, Node("free")).made == NAMES
    assert not busy.started and not any(line.startswith(BUSY) for line in batch.heard.said)


def test_a_busy_node_that_comes_free_is_used(batch: OnFake) -> None:
    batch.add(**{f"v{i:02}": "" for i in range(20)})
    free = iter([False] * 3)
    late = Node("late", is_free=lambda: next(free, True))
    assert len(batch.on(Node("one"), late).made) == 26
    assert late.started == ["late.0"]


def test_a_node_that_cannot_work_is_left_out_and_named(batch: OnFake, monkeypatch: pytest.MonkeyPatch) -> None:
    why, check, n_checks = "poor: s3://b/v: access denied (no credentials); set AWS_PROFILE", ray_orders.check, [0]

    def refuses_first(orders: ray_orders.Orders) -> None:
        n_checks[0] += 1
        if n_checks[0] == 1:
            raise BackendError(why)
        check(orders)

    monkeypatch.setattr("tal.pipeline.ray_worker.check", refuses_first)
    report = batch.on(Node("poor"), Node("rich"))
    assert report.made == NAMES and n_checks == [2], "not asked again"
    assert batch.heard.said.count(f"a Ray worker is left out: {why}") == 1
    batch.add(more="")
    n_checks[0] = 0
    with pytest.raises(BackendError, match=f"^no Ray worker can go on: {why.replace('(', '.').replace(')', '.')}$"):
        batch.on(Node("poor"))


def test_a_node_that_does_not_see_the_folder_is_refused(batch: OnFake, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = ray_extraction.Orders
    monkeypatch.setattr(ray_extraction, "Orders", lambda *given: orders(*given[:6], "/nowhere/token", *given[7:]))
    with pytest.raises(BackendError, match=f"does not see {batch.out}; name a folder that all nodes share$"):
        batch.on(Node("one"))
    assert not batch.content()


def test_a_video_that_goes_before_its_turn_fails_alone(batch: OnFake, monkeypatch: pytest.MonkeyPatch) -> None:
    survey = Survey.of

    def then_gone(self: Survey, videos: list[Path]) -> Survey:
        found = survey(self, videos)
        (batch.videos / "c.mp4").unlink()
        return found

    monkeypatch.setattr(Survey, "of", then_gone)
    report = batch.on(Node("one"))
    assert report.made == tuple("abdef")
    assert report.failures == {"c": f"{batch.videos / 'c.mp4'}: cannot read: No such file or directory"}
