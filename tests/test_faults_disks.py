"""Disks that fill up or may only be read: what a batch does then, with its shards and with its ledger."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import faulty
import pytest
from faulty import Batch, assert_whole, engines

from tal.errors import StorageError
from tal.ledger import ledger_path, look

batch = faulty.batch  # a fixture


@contextmanager
def files_up_to(n_bytes: int) -> Iterator[None]:
    """Let no file grow beyond a size; Python ignores the signal that comes with it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_ledger_that_finds_no_room_is_left_and_the_batch_ends(batch: Batch) -> None:
    names = [f"v{i:02}" for i in range(40)]
    batch.add(**dict.fromkeys(names, ""))
    with files_up_to(100_000):
        report = batch.extract()
    assert report.made == tuple(names)
    (said,) = [one for one in batch.heard.said if "ledger" in one]
    assert said.startswith(f"{ledger_path(batch.out)}: ") and said.endswith("the shards are what counts")
    finished = batch.finished()
    assert batch.extract().kept == tuple(names)
    assert_whole(batch, finished, n_again=0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


FULL = r"No space left on device; free some space and run it again$"


def fill_up(batch: Batch, small_disk: Path) -> Path:
    """Make half of the shards on a small disk, then fill the rest of it; removing the returned file frees it."""
    batch.out, filler = small_disk / "features", small_disk / "filler"
    batch.extract(only=["v0[0-4]"])
    filler.write_bytes(b"x" * os.statvfs(small_disk).f_bavail * 4096)
    return filler


def test_a_full_disk_stops_the_batch_and_the_next_run_goes_on(batch: Batch, small_disk: Path) -> None:
    batch.add(**{f"v{i:02}": "" for i in range(10)})
    filler = fill_up(batch, small_disk)
    with pytest.raises(StorageError, match=FULL):
        batch.extract()
    finished = batch.finished()
    assert set(finished) >= {"v00", "v04"} and len(finished) < 10
    filler.unlink()
    report = batch.extract()
    assert set(report.kept) == set(finished) and len(report.shards) == 10
    assert_whole(batch, finished, n_again=engines().IN_FLIGHT)


def test_a_disk_that_fills_up_under_a_worker_stops_it_with_the_same_line(batch: Batch, small_disk: Path) -> None:
    batch.add(**{f"v{i:02}": "slow" for i in range(10)})
    filler = fill_up(batch, small_disk)
    with pytest.raises(StorageError, match=FULL):
        batch.extract("all")
    finished = batch.finished()
    filler.unlink()
    assert len(batch.extract("all").shards) == 10
    assert_whole(batch, finished, n_again=engines().IN_FLIGHT)


def test_a_read_only_disk_is_only_looked_at_and_made_complete_when_it_can_be(batch: Batch, small_disk: Path) -> None:
    batch.add(**{f"v{i:02}": "" for i in range(6)})
    batch.out = small_disk / "features"
    batch.extract(only=["v0[0-3]"])
    finished = batch.finished()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert batch.extract(only=["v0[0-3]"]).kept == tuple(sorted(finished))
    assert look(batch.out).n_finished == 4
    with pytest.raises(StorageError, match="Read-only file system; choose another place"):
        batch.extract()
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert batch.extract().made == ("v04", "v05")
    assert_whole(batch, finished, n_again=0)
