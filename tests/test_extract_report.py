"""Filling a folder with shards: the report, several processes, what an interruption leaves."""

from __future__ import annotations

import errno
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from chance import new_threads
from filelock import FileLock
from made_up import Network
from patience import until
from room import Room

from cli import render
from tal import shards
from tal.errors import StorageError
from tal.pipeline import ExtractReport, extract, surveying
from tal.pipeline.parts import Part


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    return Room(tmp_path, monkeypatch)


def test_the_report_says_what_became_of_each_video_and_how_long_they_are(room: Room) -> None:
    room.add("a", 50), room.add("b", 75), (room.videos / "text.mp4").write_text("no video\n" * 99)
    first = room.extract()
    assert first.made == ("a", "b") and first.kept == () and list(first.failures) == ["text"]
    assert first.hours * 3600 == pytest.approx(50 / 25 + 75 / 25)
    assert first.n_snippets == (50 - 8) // 4 + 1 + (75 - 8) // 4 + 1
    assert first.snippets_per_s == pytest.approx(first.n_snippets / first.seconds)
    assert first.times_real_time == pytest.approx(5 / first.seconds)
    room.add("c", 8)
    second = room.extract()
    assert second.made == ("c",) and second.kept == ("a", "b") and second.n_snippets == 1
    (room.videos / "text.mp4").unlink()
    third = room.extract()
    assert third.made == () and third.hours == third.n_snippets == 0 and third.share_by_stage == {}
    assert list(third.shards) == ["a", "b", "c"]


def test_shares_of_the_stages_add_up(room: Room) -> None:
    room.add("a", 50)
    report = room.extract()
    assert list(report.share_by_stage) == ["decode", "flow", "rgb network", "flow network", "write"]
    assert sum(report.share_by_stage.values()) == pytest.approx(1)
    assert report.seconds_by_stage["decode"] < report.seconds
    assert json.loads(json.dumps(report.to_dict()))["made"] == ["a"]


def test_the_report_reads_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    work = {"decode": 1.0, "flow": 6.0, "rgb network": 2.0, "flow network": 1.0, "write": 0.0}
    report = ExtractReport(
        {"a": tmp_path, "b": tmp_path},
        ("a",),
        {"c": "bad"},
        n_snippets=90,
        seconds=8.0,
        hours=0.02,
        seconds_by_stage=work,
    )
    render.extraction(report, Path("features"))
    assert capsys.readouterr().err.splitlines() == [
        "2 shards in features (1 made, 1 kept), 1 failed",
        "0.02 hours of video, 90 snippets in 8.0 s: 11.2 snippets/s, 9 x real time",
        "work by stage, which overlap: decode 10 %, flow 60 %, rgb network 20 %, flow network 10 %",
    ]


def test_a_shard_is_the_same_whatever_else_is_extracted(room: Room, tmp_path: Path) -> None:
    for name, n in (("a", 30), ("b", 8), ("c", 61)):
        room.add(name, n)
    room.extract()
    for name in "abc":
        path = room.videos / f"{name}.mp4"
        extract(path, tmp_path / "alone", room.settings(), cache=room.cache)
        assert (tmp_path / "alone" / f"{name}.safetensors").read_bytes() == (
            room.out / f"{name}.safetensors"
        ).read_bytes()


def test_parts_together_make_what_one_run_makes(room: Room) -> None:
    names = [f"v{i}" for i in range(7)]
    for name in names:
        room.add(name, 9)
    made = [room.extract(part=Part(i, 3)).made for i in range(3)]
    assert sorted(name for part in made for name in part) == names
    assert room.extract().made == ()
    assert room.extract(part=Part(0, 1)).kept == tuple(names)


def test_a_part_without_videos_is_done_at_once(room: Room) -> None:
    room.add("a", 9)
    empty = next(Part(i, 2) for i in range(2) if not Part(i, 2).holds("a"))
    assert room.extract(part=empty) == ExtractReport({})


def test_two_at_once_share_the_work(room: Room) -> None:
    names = [f"v{i}" for i in range(8)]
    for name in names:
        room.add(name, 40)
    reports: list[ExtractReport] = []
    both = [threading.Thread(target=lambda: reports.append(room.extract())) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    one, other = reports
    assert sorted([*one.made, *other.made]) == names
    assert list(one.shards) == list(other.shards) == names and not one.failures and not other.failures


def test_a_video_that_another_process_works_on_is_left_for_later(room: Room) -> None:
    for name in "abc":
        room.add(name, 20)
    (room.out / ".locks").mkdir(parents=True)
    lock = FileLock(str(room.out / ".locks" / "a.lock"), thread_local=False)
    lock.acquire()
    reports: list[ExtractReport] = []
    thread = threading.Thread(target=lambda: reports.append(room.extract()))
    thread.start()
    until(lambda: room.shards() == ["b", "c"], thread.is_alive)
    assert room.shards() == ["b", "c"] and thread.is_alive()  # the others are done while it is held
    lock.release()
    thread.join()
    assert reports[0].made == ("a", "b", "c")


class Interrupts(Network):
    """Ctrl-C arrives in its third batch."""

    def embed(self, clips: Any) -> Any:
        if len(self.batches) == 2:
            raise KeyboardInterrupt
        return super().embed(clips)


def test_an_interruption_keeps_what_is_finished_and_leaves_nothing_half_done(room: Room) -> None:
    for name, n in (("a", 12), ("b", 12), ("c", 12), ("d", 12)):
        room.add(name, n)  # two snippets each, a batch
    room.networks["rgb"] = Interrupts()
    with pytest.raises(KeyboardInterrupt):
        room.extract()
    assert room.shards() == ["a", "b"]
    assert not [path for path in room.out.iterdir() if path.suffix == ".part"]
    assert not new_threads("prefetch")
    room.networks["rgb"] = Network()
    assert room.extract().made == ("c", "d")  # no lock was left


def test_a_disk_that_fills_up_stops_everything_and_keeps_what_is_finished(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcd":
        room.add(name, 12)
    write = shards.write

    def full(path: Path, *more: Any) -> str:
        if path.stem == "c":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(path, *more)

    monkeypatch.setattr(shards, "write", full)
    with pytest.raises(StorageError, match=r"c\.safetensors: No space left on device; free some space"):
        room.extract()
    assert room.shards() == ["a", "b"]
    monkeypatch.setattr(shards, "write", write)
    assert room.extract().made == ("c", "d")


def test_a_video_that_vanishes_fails_alone(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        room.add(name, 12)
    pending = surveying.Survey.pending

    def vanishing(self: Any, path: Path) -> str | None:
        key = pending(self, path)
        if path.stem == "b":
            path.unlink()
        return key

    monkeypatch.setattr(surveying.Survey, "pending", vanishing)
    report = room.extract()
    assert report.made == ("a", "c")
    assert report.failures == {"b": f"{room.videos / 'b.mp4'}: cannot read: No such file or directory"}
