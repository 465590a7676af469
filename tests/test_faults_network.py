"""Stores on the network that are away for a while in the middle of a batch, or for good."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from faulty import Batch, engines
from stores import SCHEME, Flaky, put_videos

from tal import shards
from tal.errors import RemoteError, StorageError
from tal.pipeline import ExtractReport, extract
from tal.pipeline.outlets import local_folder
from tal.settings import RuntimeSettings, Settings
from tal.storage import Patience, is_away, retrying

VIDEOS, OUT = f"{SCHEME}://box/videos", f"{SCHEME}://box/features"
NAMES = "abcdefgh"
FOR_EVER = 1e9


@pytest.fixture
def batch(flaky: type[Flaky], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Batch:
    """Eight remote videos, read one at a time; waits are short."""
    monkeypatch.setattr(retrying, "FIRST_S", 0.02)
    monkeypatch.setattr(engines(), "IN_FLIGHT", 1)
    put_videos(NAMES)
    made = Batch(tmp_path, monkeypatch)
    for name in NAMES:
        (made.videos / f"{name}.mp4").write_bytes(name.encode().ljust(400))
    return made


class Away:
    """One kind of call fails from the moment on at which it names one object, for so long.

    Attributes:
        sent: How often each shard arrived.
    """

    def __init__(self, call: str, name: str, seconds: float, hangs: bool = False) -> None:
        self.call, self.name, self.seconds, self.hangs = call, name, seconds, hangs
        self.sent: Counter[str] = Counter()
        self._since_s: float | None = None

    def __enter__(self) -> Away:
        self._patch = pytest.MonkeyPatch()
        for name in ("get_file", "put_file"):
            self._patch.setattr(Flaky, name, self._around(name, getattr(Flaky, name)))
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()

    def _around(self, name: str, real: Any) -> Any:
        def call(store: Flaky, *places: str, **more: Any) -> Any:
            if name == self.call:
                if self._since_s is None and any(self.name in place for place in places):
                    self._since_s = time.monotonic()
                self._fail()
            found = real(store, *places, **more)
            if name == "put_file" and shards.SUFFIX in places[-1]:
                self.sent[Path(places[-1]).name.lstrip(".").partition(".")[0]] += 1
            return found

        return call

    def _fail(self) -> None:
        if self._since_s is None or (left_s := self._since_s + self.seconds - time.monotonic()) <= 0:
            return
        if not self.hangs:
            raise ConnectionError("the line is cut")
        time.sleep(left_s)


GET_C, PUT_C = ("get_file", "c.mp4"), ("put_file", f"c{shards.SUFFIX}")


def run(batch: Batch, **runtime: Any) -> ExtractReport:
    settings = Settings(runtime=RuntimeSettings(isolate="none", **runtime))
    return extract(VIDEOS, OUT, settings, cache=batch.cache, progress=batch.heard)


def assert_whole(batch: Batch, n_again: int) -> None:
    """Nothing is lost, nothing half, nothing begun more often than told, and all is as made undisturbed from files."""
    found = Flaky().find("/box/features")
    visible = [key for key in found if "/.tal/" not in key]
    assert sorted(Path(key).name for key in visible) == [f"{name}{shards.SUFFIX}" for name in NAMES]
    assert {Path(key).stem: Flaky().cat(key) for key in visible} == batch.undisturbed()
    batch.out = local_folder(OUT, batch.cache.root)
    assert not batch.content() and sum(one.attempts for one in batch.records().values()) <= 8 + n_again


@pytest.mark.parametrize("what", [GET_C, PUT_C])
@pytest.mark.parametrize("hangs", [False, True])
def test_a_store_that_is_away_for_a_while_in_mid_batch_changes_nothing(
    batch: Batch, what: tuple[str, str], hangs: bool
) -> None:
    with Away(*what, seconds=0.2, hangs=hangs) as away:
        report = run(batch)
    assert report.made == tuple(NAMES) and not report.failures
    assert set(away.sent.values()) == {1}
    assert_whole(batch, n_again=0)


def test_videos_that_can_no_longer_be_fetched_end_the_batch_and_the_next_run_goes_on(batch: Batch) -> None:
    with Away(*GET_C, seconds=FOR_EVER) as away, pytest.raises(RemoteError) as error:
        run(batch, retries=2)
    why = "cannot be read (the line is cut), tried 3 times; check the network and run it again"
    ending = "3 videos in a row: the batch ends here, what is finished is kept"
    assert str(error.value) == f"{VIDEOS}/e.mp4: {why}; {ending}"
    assert error.value.exit_code == 1
    assert dict(away.sent) == {"a": 1, "b": 1}
    report = run(batch)
    assert report.kept == ("a", "b") and report.made == tuple("cdefgh") and not report.failures
    assert_whole(batch, n_again=3 + 1)


def test_shards_that_can_no_longer_be_sent_end_the_batch_and_are_sent_by_the_next_run(batch: Batch) -> None:
    with Away(*PUT_C, seconds=FOR_EVER), pytest.raises(RemoteError, match=r"3 videos in a row: the batch ends here"):
        run(batch, retries=1)
    kept = local_folder(OUT, batch.cache.root)
    unsent = {path.stem for path in kept.glob(f"*{shards.SUFFIX}")}
    assert {"c", "d", "e"} <= unsent and len(unsent) <= 3 + 2  # and what was in flight then
    with Away("none", "", 0) as later:
        report = run(batch)
    assert set(report.kept) == {"a", "b", *unsent} and not report.failures
    assert dict(later.sent) == dict.fromkeys(NAMES[2:], 1)
    assert_whole(batch, n_again=1)


def test_a_few_that_cannot_be_had_end_no_batch(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    get = Flaky.get_file

    def refuses(self: Flaky, path: str, *given: Any, **more: Any) -> Any:
        if path.endswith(("b.mp4", "c.mp4", "e.mp4", "f.mp4")):
            raise ConnectionError("the line is cut")
        return get(self, path, *given, **more)

    monkeypatch.setattr(Flaky, "get_file", refuses)
    report = run(batch, retries=0)
    assert set(report.failures) == set("bcef") and report.made == tuple("adgh")


def test_what_a_store_refuses_for_good_ends_no_batch(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: Any, **__: Any) -> Any:
        raise PermissionError("Forbidden")

    monkeypatch.setattr(Flaky, "get_file", refuses)
    assert set(run(batch).failures) == set(NAMES)


def test_what_is_away_is_told_from_what_is_wrong() -> None:
    import errno

    assert all(is_away(OSError(one, "")) for one in (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN))
    assert not any(is_away(OSError(one, "")) for one in (errno.ENOENT, errno.EACCES, errno.ENOSPC, errno.EROFS))
    wrapped = StorageError("cannot write")
    wrapped.__cause__ = OSError(errno.EIO, "")
    assert is_away(wrapped) and not is_away(StorageError("cannot write")) and not is_away(None)


def test_patience_lasts_as_long_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    monkeypatch.setattr(retrying, "FIRST_S", 0.0)
    n = Counter[str]()

    def fails(times: int, number: int) -> int:
        n["calls"] += 1
        if n["calls"] <= times:
            raise OSError(number, "away")
        return n["calls"]

    assert Patience(3).outlast(lambda: fails(3, errno.ESTALE)) == 4
    n.clear()
    with pytest.raises(OSError, match="away"):
        Patience(3).outlast(lambda: fails(4, errno.ESTALE))
    assert n["calls"] == 4
    n.clear()
    with pytest.raises(OSError, match="away"):
        Patience(3).outlast(lambda: fails(1, errno.EACCES))
    assert n["calls"] == 1
