"""Clocks that jump by hours, file times in the future, and changes that no file time shows."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import faulty
import pytest
from faulty import Batch, assert_whole, engines
from ledgers import enter
from small import tal

from tal.cache import Cache
from tal.ledger import Ledger, Record, look
from tal.ledger.workers import Worker
from tal.pipeline.digests import many_digests

HOURS = 3600.0


batch = faulty.batch  # a fixture


class Clock:
    """The wall clock of this process, which can be set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.off_s, real, real_ns = 0.0, time.time, time.time_ns
        monkeypatch.setattr(time, "time", lambda: real() + self.off_s)
        monkeypatch.setattr(time, "time_ns", lambda: real_ns() + int(self.off_s * 1e9))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize("jumps", [(5 * HOURS, 0.0), (-5 * HOURS, 0.0), (1e9, -1e9)])
def test_a_clock_that_is_set_in_mid_batch_changes_nothing(
    batch: Batch, clock: Clock, monkeypatch: pytest.MonkeyPatch, jumps: tuple[float, float]
) -> None:
    real, n_read = engines().outcome, iter(range(99))

    def outcome(*given: Any) -> Any:
        if (n := next(n_read)) in (3, 6):
            clock.off_s = jumps[n == 6]
        found = look(batch.out)
        assert [one.seconds >= 0 for one in found.workers] == [True]
        assert found.eta_s is None or found.eta_s >= 0
        return real(*given)

    batch.add(**{f"v{i}": "" for i in range(10)})
    monkeypatch.setattr(engines(), "outcome", outcome)
    report = batch.extract()
    assert len(report.made) == 10 and report.seconds < HOURS
    monkeypatch.setattr(engines(), "outcome", real)
    finished = batch.finished()
    clock.off_s = 7 * HOURS
    assert len(batch.extract().kept) == 10
    assert_whole(batch, finished, n_again=0)


def test_videos_from_the_future_are_read_once(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    batch.add(a="", b="")
    for path in batch.videos.iterdir():
        os.utime(path, (time.time() + 24 * HOURS,) * 2)
    batch.extract()
    monkeypatch.setattr("tal.pipeline.digests.sha256_file", lambda path: pytest.fail(f"{path} is read again"))
    assert batch.extract().kept == ("a", "b")


def test_a_video_that_was_replaced_by_one_of_the_same_size_and_time_is_made_again(batch: Batch) -> None:
    batch.add(a="", b="")
    batch.extract()
    before, (path, finished) = batch.content(), (batch.videos / "a.mp4", batch.finished())
    found = path.stat()
    path.write_text("A ")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (found.st_size, found.st_mtime_ns)
    assert batch.extract().made == ("a",)
    assert batch.content()["a"] != before["a"]
    assert_whole(batch, {"b": finished["b"]}, n_again=1)


def plain(root: Path, ask: Callable[[Cache], None]) -> None:
    ask(Cache(root))


def batched(root: Path, ask: Callable[[Cache], None]) -> None:
    with many_digests(Cache(root)) as cache:
        ask(cache)


@pytest.mark.parametrize("lend", [plain, batched])
@pytest.mark.parametrize("settled", [False, True])
def test_a_file_that_changed_a_moment_ago_is_digested_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lend: Any, settled: bool
) -> None:
    """Two writes within one tick of the file system's clock leave the same times."""
    for module in ("tal.cache", "tal.pipeline.digests"):
        monkeypatch.setattr(f"{module}.changed_ns", lambda found: 1)
    if settled:
        monkeypatch.setattr("tal.files.SETTLED_NS", -1)
    file, found = tmp_path / "video.mp4", list[str]()

    def ask(cache: Cache) -> None:
        for text in ("one", "two"):
            file.write_text(text)
            found.append(cache.sha256(file))

    lend(tmp_path / "cache", ask)
    assert (found[0] == found[1]) == settled  # long after the first write the second one would have left another time


def test_the_rate_leaves_out_what_ended_before_the_clock_was_set_back(tmp_path: Path) -> None:
    now = time.time()
    future = [Record(f"f{i}", state="done", begun=now + HOURS + i, ended=now + HOURS + i + 1) for i in range(50)]
    past = [Record(f"p{i}", state="done", begun=now - 60 * (i + 1), ended=now - 60 * i) for i in range(9)]
    torn = [Record("torn", state="done", begun=now + HOURS, ended=now - 1)]  # the clock was set back meanwhile
    with Ledger(tmp_path) as ledger:
        ledger.put([*future, *past, *torn])
    assert look(tmp_path).videos_per_s == pytest.approx(1 / 60)


def test_no_length_of_time_is_negative(tmp_path: Path, clock: Clock) -> None:
    enter(tmp_path, Worker.here(), "a")
    enter(tmp_path, replace(Worker.here(), node="elsewhere"), "b")
    for off_s in (-5 * HOURS, 5 * HOURS):
        clock.off_s = off_s
        found = look(tmp_path)
        assert [one.node for one in found.workers] == [Worker.here().node] and found.workers[0].seconds >= 0
        assert found.videos_per_s is None and found.eta_s is None
        shown = tal("status", tmp_path, cwd=tmp_path, cache=tmp_path / "cache").stdout
        assert "1 at work" in shown and not re.search(r"(?<!\w)-\d", shown)
