"""Who gets which video, what a worker's death says, and how nodes are dealt to workers; nothing here needs Ray."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import small
from hypothesis import given
from hypothesis import strategies as st

from tal.errors import BackendError, ConfigError
from tal.pipeline.ray_cluster import RayOptions, Share, connected, known_place, shared_path, shares_of
from tal.pipeline.ray_desk import CRASH, LOSS, SHORTAGE, Desk


def paths(n: int) -> list[Path]:
    return [Path(f"v{i}") for i in range(n)]


def always(path: Path) -> bool:
    return True


def test_videos_are_handed_out_in_order_a_bounded_number_at_once() -> None:
    desk = Desk(paths(20), ahead=3)
    assert desk.hand("a", 1, always) == paths(3)
    assert desk.hand("a", 1, always) == []
    desk.ended("a", Path("v1"))
    assert desk.hand("a", 1, always) == [Path("v3")]
    assert desk.held("a") == (Path("v0"), Path("v2"), Path("v3"))
    assert desk.n_left == 19


def test_what_is_left_is_shared() -> None:
    desk = Desk(paths(10), ahead=8)
    assert [len(desk.hand(worker, 4, always)) for worker in "abcd"] == [3, 2, 2, 2]  # never fewer than two ahead
    assert desk.n_left == 10


def test_videos_that_others_have_are_passed_over() -> None:
    desk = Desk(paths(6), ahead=2)
    assert desk.hand("a", 1, lambda path: path.name in ("v2", "v5")) == [Path("v2"), Path("v5")]
    assert desk.n_left == 2


def test_a_lost_machine_gives_its_videos_back_to_the_front() -> None:
    desk = Desk(paths(6), ahead=2)
    desk.hand("a", 1, always)
    assert desk.lost("a", LOSS) == (paths(2), [])
    assert desk.hand("b", 1, always) == paths(2)


def test_suspects_come_last_and_alone_and_one_that_does_it_again_is_poison() -> None:
    desk = Desk(paths(4), ahead=2)
    desk.hand("a", 2, always)
    assert desk.lost("a", CRASH) == (paths(2), [])
    assert desk.hand("b", 1, always) == [Path("v2"), Path("v3")]
    for name in ("v2", "v3"):
        assert desk.hand("b", 1, always) == []
        desk.ended("b", Path(name))
    (alone,) = desk.hand("b", 1, always)
    assert desk.hand("b", 1, always) == []
    assert desk.lost("b", CRASH) == ([], [alone])
    assert desk.n_left == 1


def test_a_video_that_loses_many_machines_becomes_a_suspect() -> None:
    desk = Desk(paths(3), ahead=3)
    for n in range(4):
        assert desk.hand(f"{n}", 1, always) == paths(3)
        desk.lost(f"{n}", LOSS)
    assert len(desk.hand("last", 1, always)) == 1


def test_where_memory_runs_out_videos_are_tried_elsewhere_then_alone_and_at_last_no_more() -> None:
    desk = Desk(paths(3), ahead=3)
    assert desk.hand("a", 1, always) == paths(3)
    assert desk.lost("a", SHORTAGE) == (paths(3), [])
    assert desk.hand("b", 1, always) == paths(3)  # all at once again: another worker may have taken the memory
    assert desk.lost("b", SHORTAGE) == (paths(3), [])
    (first,) = desk.hand("c", 1, always)
    assert desk.lost("c", SHORTAGE) == ([first], [])
    for _ in range(2):
        (other,) = desk.hand("d", 1, always)
        desk.ended("d", other)
    assert desk.hand("d", 1, always) == [first]
    assert desk.lost("d", SHORTAGE) == ([], [first])
    assert not desk.n_left


def test_a_lost_machine_does_not_speak_against_the_video_that_was_alone_there() -> None:
    desk = Desk([], suspects=paths(1))
    for n in range(3):
        assert desk.hand(f"{n}", 1, always) == paths(1)
        assert desk.lost(f"{n}", LOSS) == (paths(1), [])


def test_videos_of_a_node_that_cannot_work_are_not_blamed() -> None:
    desk = Desk(paths(2), ahead=2)
    for n in range(10):
        assert desk.hand(f"{n}", 1, always) == paths(2)
        assert desk.returned(f"{n}") == paths(2)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["end", "crash", "short", "loss", "give"])), max_size=60)
)
def test_every_video_ends_once_whatever_happens(events: list[tuple[str, str]]) -> None:
    desk, ended = Desk(paths(7), ahead=3), Counter[Path]()

    def step(worker: str, what: str) -> None:
        desk.hand(worker, 3, always)
        if what == "end":
            for path in desk.held(worker):
                desk.ended(worker, path)
                ended[path] += 1
        elif what in ("crash", "short", "loss"):
            ended.update(desk.lost(worker, {"crash": CRASH, "short": SHORTAGE, "loss": LOSS}[what])[1])
        else:
            desk.returned(worker)

    for worker, what in events:
        step(worker, what)
        held = [path for one in "abc" for path in desk.held(one)]
        assert len(held) == len(set(held)) and not ended.keys() & set(held)
    while desk.n_left:
        for worker in "abc":
            step(worker, "end")
    assert ended == Counter(paths(7))


def node(name: str, n_cpus: float, n_gpus: float = 0, alive: bool = True) -> dict[str, Any]:
    resources = {"CPU": n_cpus, **({"GPU": n_gpus} if n_gpus else {})}
    return {"NodeID": name, "NodeManagerHostname": f"host-{name}", "Alive": alive, "Resources": resources}


def sizes(nodes: list[dict[str, Any]], options: RayOptions, device: str = "auto") -> list[tuple[str, int, float]]:
    return [(one.node, one.n_cpus, one.n_gpus) for one in shares_of(nodes, options, device)]


def test_nodes_are_dealt_to_workers() -> None:
    default = RayOptions()
    assert shares_of([node("a", 2)], default) == [Share("a", "host-a", 2)]
    assert sizes([node("a", 16)], default) == [("a", 4, 0.0)] * 4
    assert sizes([node("a", 1), node("b", 0), node("c", 4, alive=False)], default) == [("a", 1, 0.0)]
    assert sizes([node("a", 7)], RayOptions(cpus=3)) == [("a", 3, 0.0)] * 2
    assert sizes([node("a", 32, 4)], default) == [("a", 8, 1.0)] * 4
    assert sizes([node("a", 32, 1)], RayOptions(gpus=0.5)) == [("a", 16, 0.5)] * 2
    assert sizes([node("a", 4, 8)], RayOptions(cpus=2)) == [("a", 2, 1.0)] * 2


def test_a_cluster_with_gpus_works_on_them_alone_unless_it_is_told_not_to() -> None:
    mixed = [node("a", 8), node("b", 8, 2)]
    assert sizes(mixed, RayOptions()) == [("b", 4, 1.0)] * 2
    assert sizes(mixed, RayOptions(), "cpu") == [(name, 4, 0.0) for name in "aabb"]


@given(st.integers(0, 200), st.integers(0, 16), st.integers(0, 64), st.sampled_from([0.25, 0.5, 1.0, 2.0]))
def test_no_node_is_dealt_more_than_it_has(n_cpus: int, n_gpus: int, cpus: int, gpus: float) -> None:
    found = shares_of([node("a", n_cpus, n_gpus)], RayOptions(cpus=cpus, gpus=gpus))
    assert sum(one.n_cpus for one in found) <= n_cpus
    assert sum(one.n_gpus for one in found) <= n_gpus
    if n_cpus and not cpus and not n_gpus:
        assert found


def test_sizes_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match=r"^Ray workers of -1 cores and 1 GPUs: write 0 or more, and above 0$"):
        RayOptions(cpus=-1)
    with pytest.raises(ConfigError, match=r"^Ray workers of 0 cores and 0 GPUs: write 0 or more, and above 0$"):
        RayOptions(gpus=0)


def test_features_and_runs_are_shared_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shared_path("a/../b") == str(tmp_path / "b")
    said = r"^s3://b/runs: not for --engine ray, where only videos and shards may be URLs; name a folder$"
    with pytest.raises(ConfigError, match=said):
        shared_path("s3://b/runs")


def test_videos_and_shards_may_be_urls_but_no_password_travels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert known_place("a") == str(tmp_path / "a")
    assert known_place(Path("s3://b/videos")) == "s3://b/videos"
    said = r"^s3://b/videos: the password in it would be sent to all nodes; leave it out and give each node its own$"
    with pytest.raises(ConfigError, match=said):
        known_place("s3://key:secret@b/videos")


def test_without_ray_a_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    said = r"^Ray is not installed: pip install 'tal\[ray\]', or leave out --engine ray$"
    with pytest.raises(BackendError, match=said), connected(RayOptions()):
        pass


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--engine", "rya"], "unknown engine 'rya'; did you mean 'ray'?"),
        (["--address", "auto"], "--address is for Ray; add --engine ray"),
        (["--worker-cpus", "2"], "--worker-cpus is for Ray; add --engine ray"),
    ],
)
def test_engines_on_the_command_line(options: list[str], said: str, tmp_path: Path) -> None:
    for command in (["extract", "videos"], ["train", "-l", "labels.csv"], ["evaluate", "a.json", "b.json"]):
        done = small.tal(*command, *options, cwd=tmp_path, cache=tmp_path / "cache")
        assert (done.returncode, done.stderr) == (2, f"tal: {said}\n")
