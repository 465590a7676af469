"""All stages in a row, their outputs in a store: the same files as in a folder, sent once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small import OPTIONS, Done, World, tal, with_features
from stores import SCHEME, Flaky

from tal.storage import STAGED, Store

pytestmark = pytest.mark.usefixtures("ran")
OUT = f"{SCHEME}://box/work"
FILES = ("model.safetensors", "config.yaml", "metrics.jsonl", "detections.json", "evaluation.json", "advice.json")


@pytest.fixture
def store(flaky: type[Flaky]) -> Flaky:
    """An empty store."""
    return flaky()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is fetched and sent, as it comes."""
    made, fetch, put = list[str](), Store.fetch, Store.put
    monkeypatch.setattr(Store, "fetch", lambda self, remote, path: made.append(remote.url) or fetch(self, remote, path))
    monkeypatch.setattr(Store, "put", lambda self, path, url: made.append(url) or put(self, path, url))
    return made


def with_shards(store: Flaky, world: World, without: str = "") -> None:
    """Put the shards of the local run there, but one."""
    for path in (world.folder / "out" / "features").glob("*.safetensors"):
        if path.stem != without:
            store.pipe_file(f"/box/work/features/{path.name}", path.read_bytes())


def run(world: World, *more: object, out: Path | str = OUT) -> Done:
    data = world.data
    places = ["-l", data.labels, "-a", data.annotations, "-o", out]
    return tal("run", data.videos, *places, *OPTIONS, *more, cwd=world.folder, cache=world.cache)


def test_a_run_into_a_store_leaves_what_a_run_into_a_folder_leaves(store: Flaky, world: World, tmp_path: Path) -> None:
    local = with_features(world, tmp_path)
    assert run(world, out=local).returncode == 0
    with_shards(store, world, without="test_0000")
    done = run(world)
    assert done.returncode == 0, done.stderr
    assert str(world.cache) not in done.stdout + done.stderr, "what is told names URLs, not copies"
    assert f"10 shards in {OUT}/features (1 made, 9 kept)" in done.stderr
    assert f"model: {OUT}/runs/stpn/model.safetensors (kept)" in done.stderr
    for name in FILES:
        assert store.cat(f"/box/work/runs/stpn/{name}") == (local / "runs" / "stpn" / name).read_bytes()
    for path in (local / "features").glob("*.safetensors"):
        assert store.cat(f"/box/work/features/{path.name}") == path.read_bytes()
    assert not [key for key in store.find("/box/work/runs") if Path(key).name.startswith(".")]


def test_a_second_run_fetches_nothing_makes_nothing_and_sends_nothing(
    store: Flaky, world: World, calls: list[str]
) -> None:
    with_shards(store, world)
    assert run(world).returncode == 0
    assert {url for url in calls if "/runs/" in url} >= {f"{OUT}/runs/stpn/{name}" for name in FILES}
    calls.clear()
    done = run(world, "--json")
    told = json.loads(done.stdout)
    assert calls == [] and told["kept"] == {"train": True, "localize": True, "evaluate": True}
    assert told["model"] == f"{OUT}/runs/stpn/model.safetensors"
    assert told["detections"] == f"{OUT}/runs/stpn/detections.json"
    store.rm_file("/box/work/runs/stpn/detections.json")
    assert run(world).returncode == 0
    assert calls == [f"{OUT}/runs/stpn/detections.json"], "what is gone there is sent again, no more"


def test_other_settings_reach_the_store(store: Flaky, world: World, calls: list[str]) -> None:
    with_shards(store, world)
    run(world)
    before = store.cat("/box/work/runs/stpn/detections.json")
    calls.clear()
    assert run(world, "--set", "localize.nms=0.321").returncode == 0
    assert {Path(url).name for url in calls} == {"detections.json", "evaluation.json"} | (
        {"config.yaml", "model.safetensors"} & {Path(url).name for url in calls}  # which tell the settings
    )
    assert store.cat("/box/work/runs/stpn/detections.json") != before


def test_what_cannot_be_sent_is_sent_by_the_next_run(
    store: Flaky, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_shards(store, world)
    put = Flaky.put_file

    def refuses(self: Flaky, lpath: str, rpath: str, **more: Any) -> Any:
        if "detections" in rpath:
            raise ConnectionError("the line is cut")
        return put(self, lpath, rpath, **more)

    monkeypatch.setattr(Flaky, "put_file", refuses)
    done = run(world)
    why = "cannot be written (the line is cut), tried 6 times; check the network and run it again"
    kept = "what was made is kept here, and sent by the next run"
    assert done.returncode == 1 and done.stderr.endswith(f"tal: {OUT}/runs/stpn/detections.json: {why}; {kept}\n")
    sent = {Path(key).name for key in store.find("/box/work/runs")}
    assert sent == {"model.safetensors", "config.yaml", "metrics.jsonl", "environment.json", "advice.json"}
    monkeypatch.setattr(Flaky, "put_file", put)
    assert run(world).returncode == 0 and store.exists("/box/work/runs/stpn/detections.json")


def test_a_machine_that_has_nothing_fetches_each_shard_once(store: Flaky, world: World, tmp_path: Path) -> None:
    with_shards(store, world)
    data = world.data
    given = ["run", data.videos, "-l", data.labels, "-o", OUT, *OPTIONS, "--set", "train.steps=2"]
    done = tal(*given, cwd=tmp_path, cache=world.cache)
    assert done.returncode == 0 and done.stdout == f"{OUT}/runs/stpn/detections.json\n"
    copies = [path.name for path in (world.cache / STAGED).rglob("*.safetensors")]
    assert sorted(copies) == sorted(path.name for path in (world.folder / "out" / "features").glob("*.safetensors"))
