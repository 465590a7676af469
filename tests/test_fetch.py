"""Weight files are fetched whole or not at all; the server is a local one."""

from __future__ import annotations

import hashlib
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from extract import weights
from extract.fetch import KNOWN_FILES, KnownFile, fetch
from tal.errors import WeightsError
from tal.progress import Silent

CONTENT = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def _no_folder_or_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAL_WEIGHTS", raising=False)
    monkeypatch.setenv("no_proxy", "*")


class _Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/gone":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/unsized":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:100] if self.path == "/cut" else CONTENT)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


class Counted(Silent):
    """Sums what is reported."""

    def __init__(self) -> None:
        self.title, self.total, self.done = "", 0.0, 0.0

    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[Counted]:
        self.title, self.total = f"{title} ({unit})", total or 0
        yield self

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.done += amount


def published(url: str, **changes: Any) -> KnownFile:
    """A known file with the right digests of `CONTENT`; `changes` make them wrong."""
    blob = hashlib.sha1(f"blob {len(CONTENT)}\0".encode() + CONTENT).hexdigest()
    right = {"blob_sha1": blob, "sha256": hashlib.sha256(CONTENT).hexdigest(), "n_bytes": len(CONTENT)}
    return KnownFile("rgb_imagenet.pt", "rgb", url, **{**right, **changes})


def visible(folder: Path) -> list[str]:
    """Files other than locks."""
    return [path.name for path in folder.iterdir() if path.suffix != ".lock"]


@pytest.mark.parametrize("page", ["/whole", "/unsized"])
def test_a_fetched_file_is_whole_and_fetched_once(tmp_path: Path, address: str, page: str) -> None:
    bar = Counted()
    known = published(address + page)
    (source,) = weights.resolve("default", ["rgb"], bar, tmp_path, [known]).values()
    assert source.path == tmp_path / "weights" / "rgb_imagenet.pt"
    assert source.origin == f"fetched from {address}{page}"
    assert source.path.read_bytes() == CONTENT
    assert visible(source.path.parent) == ["rgb_imagenet.pt"]
    assert (bar.title, bar.total, bar.done) == ("Fetching rgb_imagenet.pt (bytes)", len(CONTENT), len(CONTENT))
    again = Counted()
    assert fetch(known, source.path.parent, again) == source.path
    assert again.title == ""


@pytest.mark.parametrize(
    ("page", "changes", "reason"),
    [
        ("/gone", {}, "the server says 404 Not Found"),
        ("/cut", {}, "the connection was cut at 100 of 10240 bytes"),
        ("/whole", {"n_bytes": 7}, "what came has 10240 bytes, not 7"),
        (
            "/whole",
            {"blob_sha1": "0" * 40},
            f"what came has git blob SHA-1 {published('').blob_sha1}, not {'0' * 40}",
        ),
        ("/whole", {"sha256": "0" * 64}, f"what came has SHA-256 {published('').sha256}, not {'0' * 64}"),
    ],
)
def test_a_failed_fetch_leaves_nothing_and_says_what_to_do(
    tmp_path: Path, address: str, page: str, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(WeightsError) as error:
        fetch(published(address + page, **changes), tmp_path, Silent())
    assert str(error.value) == (
        f"cannot fetch rgb_imagenet.pt from {address}{page}: {reason}; download it by hand to"
        f" {tmp_path / 'rgb_imagenet.pt'}, name a copy with --weights, or use --weights random:0 (untrained)"
    )
    assert visible(tmp_path) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "http://no-such-host.invalid/x"])
def test_without_a_network_one_line_says_what_to_do(tmp_path: Path, url: str) -> None:
    with pytest.raises(WeightsError) as error:
        fetch(published(url), tmp_path, Silent())
    assert str(error.value).startswith(f"cannot fetch rgb_imagenet.pt from {url}: connection failed (")
    assert str(error.value).endswith("or use --weights random:0 (untrained)")
    assert "\n" not in str(error.value)
    assert visible(tmp_path) == []


def test_git_blob_digest_is_gits(tmp_path: Path, address: str) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    git = subprocess.run(["git", "hash-object", str(path)], capture_output=True, text=True, check=False)
    if git.returncode:
        pytest.skip("needs git")
    assert fetch(published(f"{address}/whole", blob_sha1=git.stdout.strip()), tmp_path / "w", Silent()).is_file()


def test_each_stream_has_a_published_file_and_unique_names() -> None:
    assert len({known.name for known in KNOWN_FILES}) == len(KNOWN_FILES)
    for stream in ("rgb", "flow"):
        first = next(known for known in KNOWN_FILES if known.stream == stream)
        assert first.url.endswith(first.name)
        assert len(first.blob_sha1) == 40
