"""Videos and shards in stores, worked on by a cluster: who fetches, who sends, and what is not done again.

Nodes are made up (`ray_fake`), with a cache of their own that is not the driver's; so is the store (`stores.Flaky`).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import ray_store
import small
from ray_fake import Node, OnFake
from ray_store import NAMES, OUT, VIDEOS, local, put, sent
from stores import Flaky

from tal.cache import Cache, default_root
from tal.errors import ConfigError
from tal.pipeline import ray_extraction
from tal.pipeline.outlets import local_folder
from tal.pipeline.ray_extraction import extract_on_ray
from tal.storage import STAGED

batch, fetched = ray_store.batch, ray_store.fetched  # fixtures


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


def test_nothing_secret_is_in_the_orders(batch: OnFake, monkeypatch: pytest.MonkeyPatch) -> None:
    given, orders = list[Any](), ray_extraction.Orders
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    monkeypatch.setattr(ray_extraction, "Orders", lambda *values: given.append(values) or orders(*values))
    batch.on(Node("one"))
    assert given and "s3cr3t" not in repr(given)
    with pytest.raises(ConfigError, match=r"^s3://b/v: the password in it would be sent to all nodes; leave it out"):
        extract_on_ray("s3://key:s3cr3t@b/v", OUT, cache=batch.cache)
