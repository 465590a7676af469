"""A dry run believes the ledger as extraction does: shards it vouches for are not read, and the answer is the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from made_up import SETTINGS
from room import Room

from tal import shards
from tal.ledger import Ledger, ledger_path
from tal.pipeline import plan_extraction


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    room = Room(tmp_path, monkeypatch)
    room.add("a", 50), room.add("b", 30)
    room.extract()
    return room


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names, read = list[str](), shards.read
    monkeypatch.setattr(shards, "read", lambda path: (names.append(path.stem), read(path))[1])
    return names


def test_noted_shards_are_not_read_and_the_plan_is_the_same(room: Room, read: list[str]) -> None:
    plan = room.plan()
    assert [one.action for one in plan.videos] == ["keep", "keep"] and read == []
    ledger_path(room.out).unlink()
    assert room.plan() == plan and read == ["a", "b"]


def test_what_changed_since_is_read(room: Room, read: list[str]) -> None:
    os.utime(room.out / "a.safetensors", (1, 1))
    assert [one.action for one in room.plan().videos] == ["keep", "keep"] and read == ["a"]
    room.add("b", 20)
    assert [(one.action, one.reason) for one in room.plan().videos][1] == ("redo", "the video has changed")
    (room.out / "a.safetensors").unlink()
    assert [one.action for one in room.plan().videos] == ["make", "redo"]


def test_a_video_that_is_gone_or_empty_is_said(room: Room) -> None:
    (room.videos / "a.mp4").unlink()
    (room.videos / "a.mp4").symlink_to("nothing")
    (room.videos / "b.mp4").write_bytes(b"")
    told = [(one.action, one.reason) for one in room.plan().videos]
    assert told == [
        ("unusable", "no such file or folder; check the path"),
        ("unusable", "empty file (0 bytes); copy or download it again"),
    ]


def test_forced_and_other_settings_do_not_believe_the_ledger(room: Room) -> None:
    given = {"cache": room.cache}
    other = plan_extraction(room.videos, room.out, room.settings(stride=2 * SETTINGS.stride), **given)
    assert {one.action for one in other.videos} == {"redo"}
    with Ledger(room.out) as ledger:
        assert {one.state for one in ledger.records().values()} == {"done"}  # a dry run has changed nothing
    room.cache.force = True
    assert {one.reason for one in room.plan().videos} == {"forced"}
