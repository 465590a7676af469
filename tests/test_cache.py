"""Stage outputs: made once, whole or absent, explained."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from patience import WAIT_S, until

from tal.cache import Cache, Stage, difference, explain
from tal.errors import InputError

STAGE = Stage("stage")


def _write(text: str, log: Path | None = None):
    def make(work: Path) -> None:
        (work / "out.txt").write_text(text)
        if log:
            with log.open("a") as file:
                file.write("made\n")

    return make


def test_the_second_call_finds_what_the_first_made(tmp_path: Path) -> None:
    log = tmp_path / "log"
    cache = Cache(tmp_path / "cache")
    first = cache.get(STAGE, {"a": 1}, _write("x", log))
    second = cache.get(STAGE, {"a": 1}, _write("y", log))
    assert (first.hit, second.hit) == (False, True)
    assert (second.path / "out.txt").read_text() == "x"
    assert log.read_text() == "made\n"


def test_other_fields_another_stage_or_version_are_other_entries(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    keys = {
        cache.get(stage, fields, _write("x")).key
        for stage in (STAGE, Stage("stage", 2), Stage("other"))
        for fields in ({"a": 1}, {"a": 2}, {"b": 1})
    }
    assert len(keys) == 9


def test_the_order_of_fields_does_not_matter(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.get(STAGE, {"a": 1, "b": {"c": 2, "d": 3}}, _write("x"))
    assert cache.find(STAGE, {"b": {"d": 3, "c": 2}, "a": 1}) is not None


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "manifest"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: str) -> None:
    cache = Cache(tmp_path)
    path = cache.get(STAGE, {"a": 1}, _write("good")).path
    match damage:
        case "flip":
            (path / "out.txt").write_text("gooD")
        case "cut":
            (path / "out.txt").write_text("go")
        case "remove":
            (path / "out.txt").unlink()
        case "manifest":
            (path / "entry.json").write_text('{"preimage": ')
    again = cache.get(STAGE, {"a": 1}, _write("good"))
    assert not again.hit
    assert (again.path / "out.txt").read_text() == "good"


def test_a_failed_maker_leaves_no_entry(tmp_path: Path) -> None:
    def fail(work: Path) -> None:
        (work / "out.txt").write_text("half")
        raise RuntimeError

    cache = Cache(tmp_path)
    with pytest.raises(RuntimeError):
        cache.get(STAGE, {"a": 1}, fail)
    assert cache.find(STAGE, {"a": 1}) is None
    assert (cache.get(STAGE, {"a": 1}, _write("whole")).path / "out.txt").read_text() == "whole"


@pytest.mark.parametrize("resumable", [True, False])
def test_only_a_resumable_stage_sees_what_an_interrupted_run_left(tmp_path: Path, resumable: bool) -> None:
    stage, seen = Stage("stage", resumable=resumable), []

    def make(work: Path) -> None:
        seen.append((work / "checkpoint").exists())
        (work / "checkpoint").write_text("step 3")
        if len(seen) == 1:
            raise KeyboardInterrupt

    cache = Cache(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        cache.get(stage, {}, make)
    cache.get(stage, {}, make)
    assert seen == [False, resumable]


def test_force_makes_it_anew(tmp_path: Path) -> None:
    Cache(tmp_path).get(STAGE, {}, _write("old"))
    entry = Cache(tmp_path, force=True).get(STAGE, {}, _write("new"))
    assert (entry.path / "out.txt").read_text() == "new"


def _race(root: Path, log: Path) -> None:
    for i in range(5):
        Cache(root).get(STAGE, {"i": i}, _write("x", log))


def test_processes_that_race_on_a_key_make_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    racers = [context.Process(target=_race, args=(tmp_path / "cache", log)) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(WAIT_S)
    assert log.read_text().count("made") == 5


def _hang(root: Path, started: Path) -> None:
    def make(work: Path) -> None:
        (work / "out.txt").write_text("half")
        started.write_text("")
        time.sleep(WAIT_S)

    Cache(root).get(STAGE, {}, make)


def test_a_kill_in_the_middle_leaves_no_entry_and_no_lock(tmp_path: Path) -> None:
    started = tmp_path / "started"
    process = multiprocessing.get_context("spawn").Process(target=_hang, args=(tmp_path / "cache", started))
    process.start()
    until(started.exists, process.is_alive)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join(WAIT_S)
    assert Cache(tmp_path / "cache").find(STAGE, {}) is None
    assert not Cache(tmp_path / "cache").get(STAGE, {}, _write("whole")).hit


def test_a_miss_is_explained_by_what_differs(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.get(STAGE, {"lr": 1, "deep": {"x": 1, "y": 2}}, _write("x"))
    other = cache.get(STAGE, {"lr": 1, "deep": {"x": 1, "y": 3}}, _write("x"))
    assert difference({"a": 1}, {"a": 1}) == []
    assert "deep.y: 2 -> 3" in explain(cache, other.key[:10])
    with pytest.raises(InputError, match="0 entries"):
        explain(cache, "zz")


def test_clear_frees_one_stage_or_all(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.get(STAGE, {}, _write("x" * 1000))
    cache.get(Stage("other"), {}, _write("y"))
    assert cache.clear("stage") > 1000
    assert [e.preimage["stage"] for e in cache.entries()] == ["other"]
    cache.clear()
    assert list(cache.entries()) == []


def test_a_files_digest_is_remembered_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, file, read = Cache(tmp_path / "cache"), tmp_path / "video", []
    file.write_bytes(b"abc")
    monkeypatch.setattr("tal.cache.sha256_file", lambda path: read.append(path) or f"digest {len(read)}")
    monkeypatch.setattr("tal.files.SETTLED_NS", -1)  # a file that was written a while ago
    assert [cache.sha256(file) for _ in range(3)] == ["digest 1"] * 3
    os.utime(file, ns=(1, 1))
    assert cache.sha256(file) == "digest 2"
