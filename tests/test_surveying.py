"""What of a folder of shards is there: who is looked at, who is opened, what is told of it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import faulty
import pytest
from faulty import Batch

from tal.ledger import Ledger, Record
from tal.pipeline import extraction, supervising, surveying
from tal.pipeline.looks import noted_stamp
from tal.pipeline.sources import Sources
from tal.pipeline.surveying import first_usable, usable
from tal.progress import PACE_S, paced
from tal.settings import ExtractSettings

batch = faulty.batch  # a fixture


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the videos that are opened to see whether they can be videos."""
    names, check = list[str](), surveying.check_file
    monkeypatch.setattr(surveying, "check_file", lambda path: (names.append(path.stem), check(path)))
    return names


def test_videos_whose_shard_is_noted_are_not_opened(batch: Batch, opened: list[str]) -> None:
    n = ExtractSettings().calibration_videos
    names = [f"v{i:02}" for i in range(n + 5)]
    batch.add(**dict.fromkeys(names, ""))
    batch.extract()
    assert set(opened) == set(names)
    opened.clear()
    (batch.out / f"{names[-1]}.safetensors").unlink()
    assert batch.extract().made == (names[-1],)
    assert set(opened) == {*names[:n], names[-1]}  # random weights would be calibrated on the first


def test_a_video_that_became_unusable_fails_under_its_path(batch: Batch) -> None:
    batch.add(a="", b="")
    batch.extract()
    path = batch.videos / "b.mp4"
    path.write_bytes(b"")
    report = batch.extract()
    why = f"{path}: empty file (0 bytes); copy or download it again"
    assert (report.kept, report.failures) == (("a",), {"b": why})
    one = batch.records()["b"]
    assert (one.state, one.note, one.path) == ("failed", why, str(path))
    path.unlink()
    path.symlink_to("nothing")
    assert batch.extract().failures == {"b": f"{path}: no such file or folder; check the path"}


def test_where_no_file_can_be_a_video_nothing_is_begun(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        (batch.videos / f"{name}.mp4").touch()
    monkeypatch.setattr(extraction, "recipe_for", None)  # weights would be fetched there
    assert list(batch.extract().failures) == ["a", "b"] and not batch.out.exists()
    assert list(batch.extract(only=["b"]).failures) == ["b"]


def test_a_child_is_given_what_is_left(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    batch.add(a="", b="fail", c="", d="")
    (batch.videos / "e.mp4").touch()
    jobs: list[Any] = []
    run = supervising.run_child
    monkeypatch.setattr(supervising, "run_child", lambda job, progress: (jobs.append(job), run(job, progress))[1])
    assert batch.extract("all").made == ("a", "c", "d")
    (batch.out / "c.safetensors").unlink()
    report = batch.extract("all", skip=["a"])
    assert [sorted(job.selection.names) for job in jobs] == [["a", "b", "c", "d"], ["b", "c"]]
    assert report.made == ("c",) and report.kept == ("d",) and sorted(report.failures) == ["b", "e"]


def test_files_are_looked_at_until_there_are_enough_and_remote_ones_never(tmp_path: Path, opened: list[str]) -> None:
    paths = [tmp_path / f"{name}.mp4" for name in ("b2", "a", "c", "b1")]
    for path in paths:
        path.write_text("" if "b" in path.name else path.name)
    said = "empty file (0 bytes); copy or download it again"
    assert usable(paths, Sources(), 1) == ([paths[1]], {"b2": f"{paths[0]}: {said}"}) and opened == ["b2", "a"]
    assert usable(paths, Sources(), 9) == ([paths[1], paths[2]], {path.stem: f"{path}: {said}" for path in paths[::3]})
    assert first_usable(paths[::-1], Sources(), ExtractSettings(calibration_videos=1)) == [paths[1]]
    opened.clear()

    class Far(Sources):
        def is_remote(self, path: Path) -> bool:
            return True

    assert usable(paths, Far(), 9) == (paths, {}) and opened == []


@pytest.mark.parametrize(
    ("record", "look", "noted"),
    [
        (Record("a", state="done", source="as now", shard="1:2"), "as now", "1:2"),
        (Record("a", state="damaged", source="as now", shard="1:2"), "as now", "1:2"),
        (Record("a", state="done", source="as then", shard="1:2"), "as now", ""),
        (Record("a", state="done", source="", shard="1:2"), "", ""),  # as with flow images: it does not show
        (Record("a", state="failed", source="as now", shard="1:2"), "as now", ""),
        (Record("a", state="waiting", source="as now", shard="1:2"), "as now", ""),
    ],
)
def test_a_record_vouches_for_a_shard_while_its_video_looks_the_same(record: Record, look: str, noted: str) -> None:
    assert noted_stamp(record, look) == noted


def test_a_shard_that_was_not_there_when_it_was_noted_is_not_believed(batch: Batch) -> None:
    batch.add(a="")
    batch.extract()
    (batch.out / "a.safetensors").unlink()
    with Ledger(batch.out) as ledger:
        ledger.put([replace(ledger.records()["a"], shard="")])
    assert batch.extract().made == ("a",)


class Told:
    """A bar that keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, str]] = []

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.steps.append((amount, note))

    def expect(self, total: float) -> None:
        raise AssertionError("nothing more is expected")


@pytest.mark.parametrize(
    ("each", "steps"),
    [(0.0, [(5, "v4")]), (0.6, [(2, "v1"), (2, "v3"), (1, "v4")]), (1.1, [(1, f"v{i}") for i in range(5)])],
)
def test_quick_work_is_told_now_and_then(
    monkeypatch: pytest.MonkeyPatch, each: float, steps: list[tuple[int, str]]
) -> None:
    clock, bar, paths = [0.0], Told(), [Path(f"v{i}") for i in range(5)]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    for i, path in enumerate(paced(paths, bar)):
        assert path == paths[i]
        clock[0] += each * PACE_S
    assert bar.steps == steps
    assert list(paced([], bar)) == [] and bar.steps == steps
