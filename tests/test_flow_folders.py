"""Extraction with flow as images: what is made again, what is kept, what is never touched."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from room import FlowRoom
from small import tal as command

from tal import shards
from tal.errors import InputError
from tal.pipeline import extraction, planning


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlowRoom:
    return FlowRoom(tmp_path, monkeypatch)


def hidden(room: FlowRoom) -> list[str]:
    return sorted(p.name for p in (room.flow / ".tal").iterdir() if p.suffix != ".lock")


def test_images_are_written_beside_unchanged_features(room: FlowRoom) -> None:
    room.add("a", 30), room.add("b", 1)
    plain, saving = room.make(room.settings(), "plain"), room.make(room.saving(), "saving")
    assert len(room.images("a")) == 2 * 29 and room.images("b") == []
    assert cv2.imread(str(room.images("a")[0])).shape == (32, 48, 3)  # type: ignore[union-attr]
    for name in "ab":
        assert plain.shards[name].read_bytes() == saving.shards[name].read_bytes()
    assert hidden(room) == ["a.key", "b.key"]


def test_a_video_without_its_images_is_extracted_again_if_they_are_asked_for(room: FlowRoom) -> None:
    room.add("a", 30), room.add("b", 20)
    room.make(room.settings())
    assert room.make(room.saving()).made == ("a", "b")
    assert room.make(room.saving()).made == room.make(room.settings()).made == ()
    shutil.rmtree(room.flow / "b")
    assert [(one.action, one.reason) for one in room.plan(room.saving()).videos] == [
        ("keep", ""),
        ("redo", "its flow images are not there"),
    ]
    assert room.make(room.saving()).made == ("b",) and len(room.images("b")) == 2 * 19


def test_images_of_other_settings_are_replaced(room: FlowRoom) -> None:
    room.add("a", 30)
    room.make(room.saving())
    room.make(room.saving(fps=5), "slow")
    assert len(room.images("a")) == 2 * 5  # 30 frames at 25 fps last 1.2 s
    assert room.make(room.saving()).made == ("a",) and len(room.images("a")) == 2 * 29
    assert hidden(room) == ["a.key"]


def test_a_failed_video_leaves_no_images(room: FlowRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    room.add("a", 30), room.add("b", 30)
    check = extraction.Filling._take

    def changed(self: Any, path: Path, *arguments: Any) -> None:
        if path.stem == "a":
            raise InputError("changed while it was read")
        check(self, path, *arguments)

    monkeypatch.setattr(extraction.Filling, "_take", changed)
    assert list(room.make(room.saving()).failures) == ["a"]
    assert sorted(p.name for p in room.flow.iterdir()) == [".tal", "b"] and hidden(room) == ["b.key"]


def test_a_folder_of_other_origin_is_never_replaced(room: FlowRoom) -> None:
    room.add_images("a", 30)
    room.add("b", 30)
    before = [p.read_bytes() for p in room.images("a")]
    (planned, _), report = room.plan(room.saving()).videos, room.make(room.saving())
    reason = "not written by tal, so it is not replaced; name another folder to save flow in"
    assert report.failures == {"a": f"{room.flow / 'a'}: {reason}"} and report.made == ("b",)
    assert planned.action == "unusable" and planned.reason == report.failures["a"]
    assert [p.read_bytes() for p in room.images("a")] == before


def test_shards_say_that_flow_was_read(room: FlowRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    room.add_images("a", 30)
    report = room.make(room.reading())
    about = shards.read(report.shards["a"])
    assert about.provenance["settings"]["flow"]["backend"] == "images"
    assert "flow_images" not in about.provenance["settings"] and len(about.provenance["video"]["flow_images"]) == 64
    assert about.streams["flow"][0, :8] == pytest.approx([0.2] * 8)  # 4 px of 20
    assert about.motion == pytest.approx([4 * 2**0.5] * len(about.motion))  # type: ignore[arg-type]


def test_the_key_follows_the_images_and_not_their_place(room: FlowRoom, tmp_path: Path) -> None:
    room.add_images("a", 30), room.add_images("b", 30)
    room.make(room.reading(), "images"), room.make(room.settings(), "computed")
    key = room.key("a", "images")
    assert key != room.key("a", "computed")
    room.flow.rename(tmp_path / "moved")
    moved = room.reading(tmp_path / "moved")
    assert room.make(moved, "images").made == ()
    image = tmp_path / "moved" / "a" / "flow_y_00011.jpg"
    cv2.imwrite(str(image), np.full((32, 48), 154, np.uint8))
    a, b = planning.plan_extraction(room.videos, room.out / "images", moved, cache=room.cache).videos
    assert (a.action, a.reason, b.action) == ("redo", "the flow images have changed", "keep")
    assert room.make(moved, "images").made == ("a",) and room.key("a", "images") != key
    assert room.make(moved, "images").made == ()


def test_a_video_without_images_fails_alone(room: FlowRoom) -> None:
    room.add_images("a", 30)
    room.add("b", 30)
    report, plan = room.make(room.reading()), room.plan(room.reading())
    assert report.made == ("a",) and list(report.failures) == ["b"]
    assert report.failures["b"].startswith(f"{room.flow / 'b'}: no flow images of this video (No such file")
    assert [one.action for one in plan.videos] == ["keep", "unusable"]
    with pytest.raises(InputError) as caught:
        room.make(room.reading(room.flow / "none"))
    assert str(caught.value) == f"{room.flow / 'none'}: no such folder of flow images"


def test_images_that_change_while_they_are_read_are_noticed(room: FlowRoom) -> None:
    room.add_images("a", 30)
    network = room.networks["rgb"]
    embed = network.embed

    def touching(clips: Any) -> Any:
        os.utime(room.images("a")[0], (1, 1))
        room.images("a")[0].write_bytes(room.images("a")[0].read_bytes() + b"\0")
        return embed(clips)

    network.embed = touching
    assert room.make(room.reading()).failures == {
        "a": f"{room.videos / 'a.mp4'}: it or its flow images changed while it was read; "
        "run again when nothing writes to it"
    }


def test_a_dry_run_writes_nothing(room: FlowRoom) -> None:
    room.add_images("a", 30)
    room.make(room.reading())
    shutil.rmtree(room.cache.root)
    assert room.plan(room.reading()).videos[0].action == "keep"
    assert not room.cache.root.exists()


def test_the_command_line_writes_and_reads_images(room: FlowRoom, tmp_path: Path) -> None:
    room.add("a", 50)
    sets = [f"--set=extract.{text}" for text in ("short_side=32", "crop=0", "weights=random:0")]
    places: dict[str, Any] = {"cwd": tmp_path, "cache": tmp_path / "cache"}
    done = command("extract", "videos", "--save-flow", "flow", "--json", *sets, **places)
    assert done.returncode == 0 and json.loads(done.stdout)["made"] == ["a"] and len(room.images("a")) == 98
    done = command("extract", "videos", "--flow-images", "flow", "--json", *sets, **places)
    assert done.returncode == 0 and json.loads(done.stdout)["made"] == ["a"]
    assert shards.header(room.out / "a.safetensors").provenance["settings"]["flow"]["backend"] == "images"
    done = command("extract", "videos", "--flow-images", "none", *sets, **places)
    assert done.returncode == 1 and "tal: none: no such folder of flow images" in done.stderr
