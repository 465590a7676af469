"""What a dry run says, that it is true, and that it writes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import clips
import numpy as np
import pytest
from made_up import SETTINGS
from room import Room

from cli import render
from tal import shards
from tal.cache import Cache
from tal.pipeline import planning
from tal.settings import Settings


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    return Room(tmp_path, monkeypatch)


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def test_a_dry_run_says_what_is_made_and_writes_nothing(room: Room, tmp_path: Path) -> None:
    room.add("a", 50), room.add("b", 6), (room.videos / "text.mp4").write_text("no video\n" * 99)
    before = tree(tmp_path)
    plan = room.plan()
    assert tree(tmp_path) == before and not room.out.exists() and not room.cache.root.exists()
    a, b, text = plan.videos
    assert (a.action, a.duration_s, a.n_snippets) == ("make", 2.0, 11) and (b.action, b.n_snippets) == ("make", 1)
    assert text.action == "unusable" and text.reason == "a text file, not a video; check what was downloaded"
    assert plan.notes == (planning.NO_TIME,)
    report = room.extract()
    for one in (a, b):
        size = report.shards[one.path.stem].stat().st_size
        assert shards.header(report.shards[one.path.stem]).grid.n_snippets == one.n_snippets
        assert one.n_bytes == pytest.approx(size, abs=700)
    before = tree(tmp_path)
    again = room.plan()
    assert tree(tmp_path) == before
    assert [one.action for one in again.videos] == ["keep", "keep", "unusable"] and again.notes == ()
    assert again.videos[0].n_bytes == report.shards["a"].stat().st_size


def test_a_dry_run_says_why_a_shard_is_made_again(room: Room) -> None:
    for name in "abc":
        room.add(name, 30)
    room.extract()
    a, b, _ = (room.out / f"{name}.safetensors" for name in "abc")
    content = a.read_bytes()
    a.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    b.write_bytes(content[:500])
    room.add("c", 31)
    flipped, cut, changed = room.plan().videos
    assert {one.action for one in (flipped, cut, changed)} == {"redo"}
    assert flipped.reason == "damaged shard, its content does not match its digest"
    assert cut.reason.startswith("not a readable shard") and changed.reason == "the video has changed"
    room.extract()
    (stride,) = {one.reason for one in room.plan(room.settings(stride=8)).videos}
    assert stride == "settings.stride: 4 -> 8"
    room.weights = "w2"
    (weights,) = {one.reason for one in room.plan().videos}
    assert weights == 'weights.flow: "w1" -> "w2", weights.rgb: "w1" -> "w2"'
    room.weights = "w1"
    (forced,) = {one.reason for one in room.plan(cache=Cache(room.cache.root, force=True)).videos}
    assert forced == "forced"


def test_a_dry_run_without_weights_compares_what_it_can(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.add("a", 30)
    room.extract()
    monkeypatch.setattr(planning, "recipe_if_there", lambda ctx, videos: None)
    same, other = room.plan(), room.plan(room.settings(length=16))
    assert same.videos[0].action == "keep" and same.notes == (planning.NO_WEIGHTS,)
    assert other.videos[0].reason == "settings.length: 8 -> 16"


def test_weights_are_looked_for_without_fetching_or_calibrating(tmp_path: Path) -> None:
    from tal.pipeline.context import context
    from tal.pipeline.engines import recipe_if_there

    video = clips.write(tmp_path / "a.mp4", range(3))
    for spec in ("default", "random:0"):
        given = Settings(extract=SETTINGS.model_copy(update={"weights": spec}))
        assert recipe_if_there(context(given, Cache(tmp_path / "cache"), None), [video]) is None
    assert not (tmp_path / "cache" / "calibrate").exists() and not (tmp_path / "cache" / "weights").exists()


def test_time_is_estimated_from_the_last_extraction(room: Room) -> None:
    room.add("a", 50)
    report = room.extract()
    assert room.plan().notes == ()
    room.add("b", 90)
    (note,) = room.plan().notes
    assert note.startswith("about 0:00:") and note.endswith(
        f" at {report.snippets_per_s:.3g} snippets/s, as the last time"
    )
    assert room.plan(room.settings(length=16)).notes == (planning.NO_TIME,)
    (room.cache.root / "speeds.json").write_text("[not JSON")
    assert room.plan().notes == (planning.NO_TIME,)


def test_a_few_snippets_tell_no_speed(room: Room) -> None:
    room.add("a", 12)
    assert room.extract().n_snippets < 8
    room.add("b", 90)
    assert room.plan().notes == (planning.NO_TIME,)


def test_the_plan_reads_so(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    room.add("a", 50)
    render.plan(room.plan())
    out, err = capsys.readouterr()
    row = next(line for line in out.splitlines() if "a.mp4" in line)
    assert [cell.strip() for cell in row.strip("│ ").split("│")][1:4] == ["make", "2.00", "11"]
    assert err.splitlines()[:2] == [
        "1 to make, 0 to redo, 0 to keep, 0 unusable",
        "about 0.000556 hours of video, 11 snippets, 0.0917 MB of shards",
    ]
    assert np.isclose((11 * 4 * 2049 + planning.HEADER_BYTES) / 1e6, 0.0917, atol=1e-4)


def test_the_command_line_takes_parts_and_dry_runs(room: Room, tmp_path: Path) -> None:
    from small import tal

    room.add("a", 50)
    sets = [
        f"--set=extract.{name}={value}" for name, value in (("short_side", 32), ("crop", 0), ("weights", "random:0"))
    ]
    done = tal("extract", "videos", "--dry-run", "--json", *sets, cwd=tmp_path, cache=tmp_path / "cache")
    (planned,) = json.loads(done.stdout)["videos"]
    assert done.returncode == 0 and planned["action"] == "make" and planned["n_snippets"] == 3
    done = tal("extract", "videos", "--shard", "4/4", *sets, cwd=tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 2 and "the 4 parts are 0/4 to 3/4" in done.stderr
    (room.videos / "text.mp4").write_text("no video\n" * 99)
    done = tal("extract", "videos", "--json", *sets, cwd=tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 1 and "tal: 1 of 2 videos failed" in done.stderr
    assert json.loads(done.stdout)["made"] == ["a"] and list(json.loads(done.stdout)["failures"]) == ["text"]
