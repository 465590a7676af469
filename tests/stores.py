"""Stores for tests: one that fails on demand, one whose process dies in the middle of a file, one behind HTTP."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from tal.storage import Stage, Store, retrying

SCHEME = "smb"
"""Of the store that fails: nothing else in the tests uses it."""


class Flaky(MemoryFileSystem):  # type: ignore[misc]
    """Objects in memory; the next `n_failures` calls fail with `error`."""

    protocol = SCHEME
    cachable = False
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    n_failures = 0
    n_calls = 0
    error: ClassVar[Exception] = ConnectionError("the line is cut")

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        stripped: str = super()._strip_protocol(path.replace(f"{SCHEME}://", "memory://"))
        return stripped

    def _call(self, name: str, path: str) -> None:
        Flaky.n_calls += 1
        if Flaky.n_failures:
            Flaky.n_failures -= 1
            raise Flaky.error

    def info(self, path: str, **more: Any) -> Any:
        self._call("info", path)
        return super().info(path, **more)

    def find(self, path: str, *given: Any, **more: Any) -> Any:
        self._call("find", path)
        return super().find(path, *given, **more)

    def cat_file(self, path: str, *given: Any, **more: Any) -> Any:
        self._call("cat_file", path)
        return super().cat_file(path, *given, **more)

    def get_file(self, *given: Any, **more: Any) -> Any:
        self._call("get_file", str(given[0]))
        return super().get_file(*given, **more)

    def put_file(self, *given: Any, **more: Any) -> Any:
        self._call("put_file", str(given[0]))
        return super().put_file(*given, **more)


class Deadly(LocalFileSystem):  # type: ignore[misc]
    """Files of this machine; the process is killed after half of a file was written."""

    protocol = SCHEME

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix(f"{SCHEME}:/")

    def put_file(self, lpath: str, rpath: str, **more: Any) -> None:
        _half(lpath, rpath)

    def get_file(self, rpath: str, lpath: str, **more: Any) -> None:
        _half(rpath, lpath)


def _half(source: str, target: str) -> None:
    content = Path(source).read_bytes()
    Path(target).write_bytes(content[: len(content) // 2])
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def store_of(kind: type[Any]) -> Iterator[type[Any]]:
    """Let `SCHEME` mean this store for a while."""
    fsspec.register_implementation(SCHEME, kind, clobber=True)
    try:
        yield kind
    finally:
        sys.modules["fsspec.registry"]._registry.pop(SCHEME, None)


class _Slow(BaseHTTPRequestHandler):
    """Serves one video, slowly enough for two to ask at once, and counts."""

    def do_HEAD(self) -> None:
        self._head()

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        time.sleep(0.3)
        self._head()
        self.wfile.write(self.server.content)  # type: ignore[attr-defined]

    def _head(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))  # type: ignore[attr-defined]
        self.send_header("ETag", '"1"')
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def slow_web(content: bytes) -> Iterator[tuple[str, list[str]]]:
    """Serve a video over HTTP; give its address and, as they come, the paths that were fetched."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    server.asked, server.content = [], content  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.asked  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


BASE = f"{SCHEME}://box"


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Flaky]]:
    """An empty store that never waits long."""
    monkeypatch.setattr(retrying, "FIRST_S", 0.0001)
    Flaky.store.clear()
    Flaky.n_failures = Flaky.n_calls = 0
    Flaky.error = ConnectionError("the line is cut")
    with store_of(Flaky) as kind:
        yield kind


def put(**contents: bytes) -> None:
    for name, content in contents.items():
        Flaky().pipe_file(f"/box/{name}", content)


def put_videos(names: str) -> None:
    """Put a video of 400 bytes there for each letter."""
    for name in names:
        Flaky().pipe_file(f"/box/videos/{name}.mp4", name.encode().ljust(400))


def staged(stage: Stage, name: str) -> Path:
    remote = Store(f"{BASE}/{name}").look()
    assert remote is not None
    return stage.place([remote])[0]
