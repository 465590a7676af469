"""Stores that hang: they accept and never answer, or stop in the middle; a process ends all the same."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from faulty import Batch, engines
from patience import WAIT_S
from stores import BASE, SCHEME, Flaky, put, store_of

from tal.errors import RemoteError
from tal.pipeline import extract
from tal.settings import RuntimeSettings, Settings
from tal.storage import AwayError, Patience, StoppedError, Store, retrying, store, transfers, watching
from tal.storage.watching import STALL_S, TICK_S, StalledError, watched

VIDEOS = f"{SCHEME}://box/videos"


class Hanging:
    """Calls of stores that hang until `release` is set; whoever waits for one that hangs does so without delay.

    Others are waited for as long as they take.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.release = threading.Event()
        self._of, self._hang = threading.local(), set[int]()
        patch.setattr(retrying, "FIRST_S", 0.001)
        patch.setattr(store, "watched", self._watched)
        patch.setattr(watching, "_tick", self._tick)

    def hang(self) -> None:
        """Do not return; called by a store."""
        self._hang.add(self._of.caller)
        self.release.wait()

    def end(self) -> None:
        """Let all go on, and wait until they have."""
        self.release.set()
        for one in threading.enumerate():
            if one.name == "store":
                one.join(WAIT_S)

    def _watched(self, function: Callable[[], Any], *more: Any) -> Any:
        caller = threading.get_ident()
        self._hang.discard(caller)

        def call() -> Any:
            self._of.caller = caller
            return function()

        return watched(call, *more)

    def _tick(self, done: threading.Event) -> bool:
        while threading.get_ident() not in self._hang:
            if done.wait(0.005):
                return True
        return done.is_set()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    made = Hanging(monkeypatch)
    Flaky.store.clear()
    Flaky.n_failures = 0
    with store_of(Flaky):
        yield made
    made.end()


def ignore() -> None:
    pass


def test_a_call_is_watched_and_nothing_else_changes() -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    assert watched(lambda: 7, ignore, ignore) == 7
    with pytest.raises(KeyboardInterrupt):
        watched(fail, ignore, ignore)


def test_one_that_hangs_is_given_up_and_its_thread_keeps_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    over, n = threading.Event(), [0]

    def tick(done: threading.Event) -> bool:
        n[0] += 1
        return done.is_set()

    monkeypatch.setattr(watching, "_tick", tick)
    with pytest.raises(StalledError, match=r"^no answer for 120 s$"):
        watched(over.wait, ignore, ignore)
    assert n == [STALL_S / TICK_S]
    left = [one for one in threading.enumerate() if one.name == "store"]
    assert left and all(one.daemon for one in left)
    over.set()


def test_one_that_gets_on_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    over, n_blocks = threading.Event(), [0]

    def moved() -> int:
        n_blocks[0] += 1
        if n_blocks[0] == 3 * STALL_S / TICK_S:
            over.set()
        return n_blocks[0]

    monkeypatch.setattr(watching, "_tick", lambda done: done.wait(0))
    assert watched(over.wait, ignore, moved)


def test_who_is_stopped_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    over, stopped = threading.Event(), threading.Event()
    monkeypatch.setattr(watching, "_tick", lambda done: stopped.set() or done.is_set())
    patience = Patience(over=stopped)
    with pytest.raises(StoppedError):
        watched(over.wait, patience.check, ignore)
    over.set()


def test_what_hangs_is_tried_again_and_spoils_nothing_when_it_goes_on(
    hanging: Hanging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(a=b"content")
    get, n = Flaky.get_file, [0]

    def get_file(self: Flaky, key: str, path: str, **more: Any) -> None:
        n[0] += 1
        if n[0] <= 2:
            hanging.hang()
            Path(path).write_bytes(b"garbage")
        else:
            get(self, key, path, **more)

    monkeypatch.setattr(Flaky, "get_file", get_file)
    there = Store(f"{BASE}/a", Patience(2))
    remote = there.look()
    assert remote is not None
    there.fetch(remote, tmp_path / "a")
    hanging.end()
    assert n == [3] and [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("a", b"content")]


@pytest.mark.parametrize("call", ["info", "cat_file", "put_file"])
def test_every_call_has_an_end(hanging: Hanging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    (tmp_path / "a").write_bytes(b"a" * 1000)
    monkeypatch.setattr(Flaky, call, lambda *_, **__: hanging.hang())
    one, url = Store(f"{BASE}/a", Patience(1, stall_s=30)), f"{BASE}/a"
    asks = {"info": one.look, "cat_file": lambda: one.read(url, 0, 1), "put_file": lambda: one.put(tmp_path / "a", url)}
    with pytest.raises(AwayError, match=r"\(no answer for 30 s\), tried 2 times; check the network and run it again$"):
        asks[call]()


def test_a_large_file_may_be_sent_slowly(hanging: Hanging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every store tells how far it is."""
    (tmp_path / "a").write_bytes(bytes(10**6))
    monkeypatch.setattr(Flaky, "put_file", lambda *_, **__: hanging.hang())
    slow = 10**6 / transfers.LEAST_BYTES_PER_S
    with pytest.raises(AwayError, match=f"no answer for {30 + slow:.0f} s"):
        Store(f"{BASE}/a", Patience(0, stall_s=30)).put(tmp_path / "a", f"{BASE}/a")


def test_a_long_list_takes_many_calls(hanging: Hanging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Flaky, "find", lambda *_, **__: hanging.hang())
    with pytest.raises(AwayError, match=r"cannot be listed \(no answer for 300 s\)"):
        Store(f"{BASE}/a", Patience(0, stall_s=300 / transfers.LIST_CALLS)).list()


def test_a_store_that_hangs_for_ever_ends_the_batch_and_the_next_run_goes_on(
    hanging: Hanging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines(), "IN_FLIGHT", 1)
    batch, get, names = Batch(tmp_path, monkeypatch), Flaky.get_file, "abcdefgh"
    for name in names:
        Flaky().pipe_file(f"/box/videos/{name}.mp4", name.encode().ljust(400))
        (batch.videos / f"{name}.mp4").write_bytes(name.encode().ljust(400))

    def get_file(self: Flaky, key: str, *given: Any, **more: Any) -> None:
        if key.endswith(tuple(f"{name}.mp4" for name in names[2:])) and not hanging.release.is_set():
            hanging.hang()
        get(self, key, *given, **more)

    def run() -> Any:
        runtime = RuntimeSettings(isolate="none", retries=1, stall_s=60)
        return extract(VIDEOS, batch.out, Settings(runtime=runtime), cache=batch.cache, progress=batch.heard)

    monkeypatch.setattr(Flaky, "get_file", get_file)
    with pytest.raises(RemoteError) as error:
        run()
    why = "cannot be read (no answer for 60 s), tried 2 times; check the network and run it again"
    ending = "3 videos in a row: the batch ends here, what is finished is kept"
    assert str(error.value) == f"{VIDEOS}/e.mp4: {why}; {ending}"
    finished = batch.finished()
    assert set(finished) == {"a", "b"}
    hanging.end()
    report = run()
    assert report.kept == ("a", "b") and report.made == tuple(names[2:]) and not report.failures
    assert finished.items() <= batch.finished().items() and batch.content() == batch.undisturbed()
    assert not list(batch.cache.root.rglob("*.part"))


@pytest.fixture
def mute() -> Iterator[str]:
    """A server that accepts, and neither answers nor closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


ASK = """
import sys
from tal.errors import RemoteError
from tal.storage import Patience, Store
try:
    Store(sys.argv[1], Patience(0, stall_s=1)).look()
except RemoteError as error:
    print(error)
"""


def test_a_server_that_never_answers_is_told_in_one_line_and_the_process_ends(mute: str) -> None:
    pytest.importorskip("aiohttp", reason="needs aiohttp")
    told = subprocess.run(
        [sys.executable, "-c", ASK, f"{mute}/v.mp4"], capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert told.returncode == 0 and not told.stderr
    why = "cannot be read (no answer for 1 s), tried 1 times; check the network and run it again"
    assert told.stdout == f"{mute}/v.mp4: {why}\n"


def test_a_file_from_the_web_may_take_as_long_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its package gives a whole file five minutes."""
    pytest.importorskip("aiohttp", reason="needs aiohttp")
    monkeypatch.setitem(fsspec.config.conf, "http", {"client_kwargs": {"headers": {"X-Key": "1"}}})
    fs, _ = transfers.opened("http://example.org/long.mp4")
    assert fs.client_kwargs["timeout"].total is None and fs.client_kwargs["headers"] == {"X-Key": "1"}
