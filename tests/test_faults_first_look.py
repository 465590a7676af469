"""Storage that is away when a batch looks at its videos and shards for the first time."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty import Batch, assert_whole
from stores import SCHEME, Flaky, store_of

from tal.cache import Cache
from tal.errors import InputError, RemoteError, StorageError
from tal.pipeline import ExtractReport, extract, outages, surveying
from tal.pipeline.looks import Looks
from tal.pipeline.outages import Outage
from tal.pipeline.outlets import local_folder
from tal.settings import RuntimeSettings, Settings
from tal.storage import AwayError, Patience, retrying

NAMES = [f"v{i:02}" for i in range(8)]
OLD, NEW = NAMES[:3], NAMES[3:]
ENDING = "3 videos in a row: the batch ends here, what is finished is kept"
FOR_EVER = 10**9


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Batch:
    monkeypatch.setattr(retrying, "FIRST_S", 0.001)
    return Batch(tmp_path, monkeypatch)


class Mount:
    """A mounted folder whose files can be listed, and some not be looked at or read, so many times.

    Args:
        patch: Ends it.
        call: `check`, where it is seen whether a file can be a video, or `look`.
        names: Of the videos that cannot be had.
        n: How often.
    """

    def __init__(self, patch: pytest.MonkeyPatch, call: str, names: Collection[str], n: int) -> None:
        self._names, self.n_left = names, n
        read = outages._read
        patch.setattr(outages, "_read", lambda path, whole=False: (self._fail(path), read(path, whole))[1])
        if call == "look":
            of = Looks.of
            patch.setattr(Looks, "of", lambda looks, path: (self._fail(path), of(looks, path))[1])
        else:
            patch.setattr(surveying, "check_file", self._checking(surveying.check_file))

    def _checking(self, check: Callable[[Path], None]) -> Callable[[Path], None]:
        def call(path: Path) -> None:
            try:
                self._fail(path)
            except OSError as error:
                raise InputError(f"{path}: cannot be read ({error.strerror})") from error
            check(path)

        return call

    def _fail(self, path: Path) -> None:
        if path.stem in self._names and self.n_left:
            self.n_left -= 1
            raise OSError(errno.ESTALE, "Stale file handle", str(path))


CALLS = pytest.mark.parametrize("call", ["check", "look"])


@CALLS
def test_a_folder_that_is_away_for_a_while_is_waited_for(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    batch.add(**dict.fromkeys(NAMES, ""))
    mount = Mount(monkeypatch, call, NAMES, 2)
    report = batch.extract()
    assert mount.n_left == 0 and report.made == tuple(NAMES) and not report.failures
    assert_whole(batch, batch.finished(), n_again=0)


@CALLS
def test_one_that_does_not_come_back_ends_the_batch_and_nothing_is_said_of_videos_that_were_not_seen(
    batch: Batch, call: str
) -> None:
    batch.runtime = {"retries": 1}
    batch.add(**dict.fromkeys(OLD, ""))
    batch.extract()
    batch.add(**dict.fromkeys(NEW, ""))
    finished, before = batch.finished(), batch.records()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(StorageError) as error:
        Mount(patch, call, NAMES, FOR_EVER)
        batch.extract()
    said = {"check": "cannot be read (Stale file handle)", "look": "cannot be read: Stale file handle"}[call]
    assert str(error.value) == f"{batch.videos / OLD[2]}.mp4: {said}; {ENDING}" and error.value.exit_code == 1
    assert batch.records() == before and set(before) == set(OLD)
    report = batch.extract()
    assert (report.kept, report.made, report.failures) == (tuple(OLD), tuple(NEW), {})
    assert_whole(batch, finished, n_again=0)


def test_what_was_seen_before_it_went_is_written_down(batch: Batch) -> None:
    batch.runtime = {"retries": 0}
    batch.add(**dict.fromkeys(NAMES, ""))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(StorageError, match=ENDING):
        Mount(patch, "look", NEW, FOR_EVER)
        batch.extract()
    assert {name: one.state for name, one in batch.records().items()} == dict.fromkeys(OLD, "waiting")


def test_two_that_cannot_be_had_end_no_batch(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    batch.runtime = {"retries": 0}
    batch.add(**dict.fromkeys(NAMES, ""))
    Mount(monkeypatch, "look", NEW[:2], FOR_EVER)
    report = batch.extract()
    why = {name: f"{batch.videos / name}.mp4: cannot read: Stale file handle" for name in NEW[:2]}
    assert report.failures == why and len(report.made) == len(NAMES) - 2


def test_what_comes_before_all_videos_is_waited_for_and_ends_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_S", 0.0)
    calls: list[int] = []

    def read(n_fail: int, number: int = errno.EIO) -> str:
        calls.append(number)
        if len(calls) <= n_fail:
            raise OSError(number, "Input/output error", "/mnt/v.mp4")
        return "read"

    outage = Outage(Patience(2))
    assert outage.begin(lambda: read(2)) == "read" and len(calls) == 3
    calls.clear()
    with pytest.raises(StorageError) as error:
        outage.begin(lambda: read(9))
    said = "cannot be read: Input/output error; see that the disk or network folder is there and run it again"
    assert str(error.value) == f"/mnt/v.mp4: {said}" and len(calls) == 3
    with pytest.raises(PermissionError):
        outage.begin(lambda: read(9, errno.EACCES))


def test_what_a_store_said_in_the_end_is_not_asked_again() -> None:
    calls: list[str] = []

    def ask() -> None:
        calls.append("asked")
        raise AwayError("away")

    with pytest.raises(AwayError):
        Outage(Patience(3)).outlast(ask)
    assert calls == ["asked"]


VIDEOS, OUT = f"{SCHEME}://box/videos", f"{SCHEME}://box/features"


@pytest.fixture
def made(batch: Batch) -> Iterator[Batch]:
    """Eight remote videos whose shards are in the store, of which a new cache and ledger know nothing."""
    Flaky.store.clear()
    Flaky.n_failures = 0
    with store_of(Flaky):
        for name in NAMES:
            Flaky().pipe_file(f"/box/videos/{name}.mp4", name.encode().ljust(400))
        assert run(batch).made == tuple(NAMES)
        batch.cache = Cache(batch.folder / "new")
        yield batch


def run(batch: Batch, **runtime: Any) -> ExtractReport:
    settings = Settings(runtime=RuntimeSettings(isolate="none", **runtime))
    return extract(VIDEOS, OUT, settings, cache=batch.cache, progress=batch.heard)


def cut(patch: pytest.MonkeyPatch, n: int) -> list[str]:
    """Let the next reads of headers and notes fail; return the objects that are asked for, as they are."""
    asked, real = list[str](), Flaky.cat_file

    def cat_file(self: Flaky, path: str, *given: Any, **more: Any) -> Any:
        asked.append(path)
        if len(asked) <= n:
            raise ConnectionError("the line is cut")
        return real(self, path, *given, **more)

    patch.setattr(Flaky, "cat_file", cat_file)
    return asked


def test_a_store_of_shards_that_is_away_for_a_while_is_waited_for(made: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = cut(monkeypatch, 3)
    report = run(made)
    assert len(asked) > 3 and report.kept == tuple(NAMES) and not report.failures


def test_one_that_does_not_come_back_ends_the_batch_and_no_video_failed(made: Batch) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(RemoteError) as error:
        asked = cut(patch, FOR_EVER)
        run(made, retries=1)
    assert len(asked) == 3 * 2 and str(error.value).endswith(
        f"cannot be read (the line is cut), tried 2 times; check the network and run it again; {ENDING}"
    )
    made.out = local_folder(OUT, made.cache.root)
    assert not made.records()
    assert run(made).kept == tuple(NAMES)
