"""Mounted network folders that are away for a while, or for good: reads and writes fail, and nothing is believed.

The calls of real processes fail: a small library that is loaded before all others sees to that.
"""

from __future__ import annotations

import errno
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faulty import Batch, assert_whole, engines

from extract.reports import DecodeReport
from tal import shards
from tal.errors import StorageError, VideoError
from tal.ledger import Ledger, store
from tal.pipeline import outages
from tal.storage import retrying

NAMES = [f"v{i:02}" for i in range(12)]


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Batch:
    monkeypatch.setattr(retrying, "FIRST_S", 0.01)
    return Batch(tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes calls fail."""
    if not Path("/proc/self/fd").exists() or shutil.which("cc") is None:
        pytest.skip("needs Linux and a C compiler")
    made = tmp_path_factory.mktemp("away") / "faulty_disk.so"
    source = Path(__file__).with_name("faulty_disk.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(made), str(source), "-ldl"], check=True)
    return made


@contextmanager
def away(
    batch: Batch, library: Path, monkeypatch: pytest.MonkeyPatch, calls: str, folder: Path, number: int, seconds: float
) -> Iterator[None]:
    """Let calls below a folder fail in children, from their first shard on, for so long."""
    marker = batch.folder / "away"
    for name, value in {"BELOW": f"{folder}/", "WHILE": str(marker), "CALLS": calls}.items():
        monkeypatch.setenv(f"AWAY_{name}", value)
    monkeypatch.setenv("LD_PRELOAD", str(library))

    def fail() -> None:
        deadline = time.monotonic() + 60
        while not batch.finished() and time.monotonic() < deadline:
            time.sleep(0.005)
        marker.write_text(str(number))
        time.sleep(seconds)
        if seconds:
            marker.unlink()

    thread = threading.Thread(target=fail)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        marker.unlink(missing_ok=True)
        monkeypatch.delenv("LD_PRELOAD")


WHILE = [("read", errno.ESTALE), ("content", errno.EIO), ("write", errno.EIO), ("all", errno.ETIMEDOUT)]


@pytest.mark.parametrize(("calls", "number"), WHILE)
def test_a_folder_that_is_away_for_a_while_is_waited_for(
    batch: Batch, library: Path, monkeypatch: pytest.MonkeyPatch, calls: str, number: int
) -> None:
    batch.add(**dict.fromkeys(NAMES, "slow"))
    folder = {"write": batch.out, "all": batch.folder}.get(calls, batch.videos)
    with away(batch, library, monkeypatch, calls, folder, number, seconds=0.3):
        report = batch.extract("all")
    assert not report.failures and report.made == tuple(NAMES)
    finished = batch.finished()
    assert batch.extract().kept == tuple(NAMES)
    assert_whole(batch, finished, n_again=engines().IN_FLIGHT)


@pytest.mark.parametrize(("calls", "number"), [("read", errno.EIO), ("write", errno.ESTALE)])
def test_a_folder_that_does_not_come_back_ends_the_batch_and_the_next_run_goes_on(
    batch: Batch, library: Path, monkeypatch: pytest.MonkeyPatch, calls: str, number: int
) -> None:
    batch.add(**dict.fromkeys(NAMES, "slow"))
    batch.runtime = {"retries": 0}
    folder = {"read": batch.videos, "write": batch.out}[calls]
    said = {
        "read": r"^.*v\d\d\.mp4: cannot be? read.*Input/output error.*; 3 videos in a row: the batch ends here",
        "write": r"^cannot write .*: Stale file handle; see that the disk or network folder is there and run it again$",
    }
    with (
        away(batch, library, monkeypatch, calls, folder, number, seconds=0),
        pytest.raises(StorageError, match=said[calls]) as error,
    ):
        batch.extract("all")
    assert error.value.exit_code == 1 and "\n" not in str(error.value)
    finished = batch.finished()
    assert 0 < len(finished) < len(NAMES)
    report = batch.extract()
    assert set(report.kept) == set(finished) and not report.failures
    assert_whole(batch, finished, n_again=3 + engines().IN_FLIGHT)


@pytest.fixture
def mounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """All folders pass for mounted network folders."""
    monkeypatch.setattr(outages, "is_shared", lambda path: True)


@pytest.mark.usefixtures("mounted")
@pytest.mark.parametrize("word", ["once damaged", "once fail"])
def test_what_a_network_folder_says_once_of_a_video_is_not_believed(batch: Batch, word: str) -> None:
    batch.add(a="", b=word, c="")
    report = batch.extract()
    assert report.made == ("a", "b", "c") and not report.failures and not report.remarks
    assert_whole(batch, batch.finished(), n_again=1)


@pytest.mark.usefixtures("mounted")
def test_what_it_says_twice_is(batch: Batch) -> None:
    batch.add(a="damaged", b="fail")
    report = batch.extract()
    assert report.remarks == {"a": "no pictures for 0.50 s (from 0.25 s)"}
    assert report.failures == {"b": f"{batch.videos / 'b.mp4'}: broken"}
    assert {one.attempts for one in batch.records().values()} == {2}


@pytest.mark.usefixtures("mounted")
def test_what_is_found_in_two_ways_is_no_result(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    real, n_read = engines().outcome, iter(range(9))

    def outcome(path: Path, about: dict[str, Any], batch: int) -> Any:
        found = real(path, about, batch)
        report = DecodeReport(25, 25, next(n_read) + 1, 0, (), 25, 1.0)
        return replace(found, provenance={"video": {**found.provenance["video"], "decode": vars_of(report)}})

    batch.add(a="")
    monkeypatch.setattr(engines(), "outcome", outcome)
    why = "read differently twice; see that its network folder is well and run it again"
    assert batch.extract().failures == {"a": f"{batch.videos / 'a.mp4'}: {why}"}
    assert not batch.content()


def vars_of(report: DecodeReport) -> dict[str, Any]:
    return {name: getattr(report, name) for name in DecodeReport.__dataclass_fields__}


def test_files_that_make_decoders_fail_end_no_batch_while_they_can_be_read(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg says that a file is cut short with the same number as a disk that has failed."""

    def fail(path: Path, *_: object) -> VideoError:
        found = VideoError(f"{path}: broken")
        found.__cause__ = OSError(errno.EIO, "Input/output error")
        return found

    batch.add(**dict.fromkeys(NAMES, ""))
    monkeypatch.setattr(engines(), "outcome", fail)
    assert set(batch.extract().failures) == set(NAMES)


def test_a_shard_that_cannot_be_read_for_a_moment_is_not_made_again(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch.add(a="", b="")
    batch.extract()
    finished = batch.finished()
    (batch.out / ".tal" / "ledger.sqlite").unlink()
    is_current, n_away = shards.is_current, iter([False, False])
    monkeypatch.setattr(shards, "is_current", lambda path, key: next(n_away, True) and is_current(path, key))
    monkeypatch.setattr(outages, "sha256_file", failing_once(outages.sha256_file))
    report = batch.extract(only=["a"])
    assert report.kept == ("a",) and next(n_away, "all") == "all"
    assert_whole(batch, finished, n_again=0)


def failing_once(real: Callable[[Path], str]) -> Callable[[Path], str]:
    troubles = iter([OSError(errno.ESTALE, "Stale file handle")])

    def call(path: Path) -> str:
        for trouble in troubles:
            raise trouble
        return real(path)

    return call


def test_a_ledger_that_cannot_be_reached_for_a_while_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "AGAIN_S", 0.0)
    said: list[str] = []
    with Ledger(tmp_path, said.append) as ledger, Ledger(tmp_path) as other:
        assert ledger.claim("a", "", "k") and ledger.claim("b", "", "k")
        real, n_failed = store._in_transaction, iter(range(2))

        def failing(db: Any, action: Any) -> Any:
            if next(n_failed, None) is not None:
                raise store.sqlite3.OperationalError("disk I/O error")
            return real(db, action)

        monkeypatch.setattr(store, "_in_transaction", failing)
        assert ledger.records() == {} and ledger.claim("c", "", "k")  # the shards are what counts
        assert set(ledger.records()) == {"a", "b"} and not other.claim("a", "", "k")
    word = "disk I/O error; going on without the ledger, the shards are what counts"
    assert len(said) == 1 and said[0].endswith(word)
    with Ledger(tmp_path) as again:
        assert {one.state for one in again.records().values()} == {"waiting"}
