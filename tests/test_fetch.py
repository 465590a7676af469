"""Weight files are fetched whole or not at all; the server is a local one."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import weights_server
from weights_server import CONTENT, ETAG, Server

from extract import weights
from extract.fetch import KNOWN_FILES, KnownFile, fetch
from tal.errors import WeightsError
from tal.progress import Silent

_no_folder_or_proxy = weights_server.no_folder_or_proxy  # a fixture that every test uses


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def address(server: ThreadingHTTPServer) -> str:
    server.asked.clear()  # type: ignore[attr-defined]
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between attempts, which take no time."""
    waited: list[float] = []
    monkeypatch.setattr("extract.download.time", SimpleNamespace(sleep=waited.append))
    return waited


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


def part_in(folder: Path) -> Path:
    return folder / ".rgb_imagenet.pt.part"


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
        ("/whole", {"n_bytes": 7}, "the server offers 10240 bytes, not 7"),
        ("/shorter", {}, "the server offers 10235 bytes, not 10240"),
        ("/longer", {}, "the server offers 10245 bytes, not 10240"),
        ("/endless", {}, "more than 10240 bytes came"),
        ("/page", {}, "what came is a web page, not the file (a page of the network's login or of an error?)"),
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


@pytest.mark.parametrize(
    ("page", "ranges", "waits"),
    [
        ("ranges", [(None, None), ("bytes=3000-", ETAG), ("bytes=6000-", ETAG), ("bytes=9000-", ETAG)], [1, 1, 1]),
        ("ignores", [(None, None), ("bytes=3000-", None)], [1]),
        ("changed", [(None, None), ("bytes=3000-", ETAG)], [1]),
        ("elsewhere", [(None, None), ("bytes=3000-", None), (None, None)], [1, 2]),
        ("busy", [(None, None)] * 3, [1, 2]),
    ],
)
def test_a_dropped_download_goes_on_or_begins_anew(
    tmp_path: Path,
    server: Any,
    address: str,
    pauses: list[float],
    page: str,
    ranges: list[tuple[str | None, str | None]],
    waits: list[float],
) -> None:
    bar = Counted()
    assert fetch(published(f"{address}/{page}"), tmp_path, bar).read_bytes() == CONTENT
    assert [(asked, condition) for _, asked, condition in server.asked] == ranges
    assert pauses == waits
    assert visible(tmp_path) == ["rgb_imagenet.pt"]
    assert bar.done == len(CONTENT)


def test_what_came_before_a_last_drop_is_kept_for_the_next_call(
    tmp_path: Path, server: Any, address: str, pauses: list[float]
) -> None:
    with pytest.raises(WeightsError) as error:
        fetch(published(f"{address}/cut"), tmp_path, Silent())
    assert str(error.value) == (
        f"cannot fetch rgb_imagenet.pt from {address}/cut: the connection was cut at 100 of 10240 bytes, 5 times in a"
        f" row; what came is kept, the next attempt goes on from there; download it by hand to"
        f" {tmp_path / 'rgb_imagenet.pt'}, name a copy with --weights, or use --weights random:0 (untrained)"
    )
    assert pauses == [1, 2, 4, 8]
    assert part_in(tmp_path).read_bytes() == CONTENT[:100]
    server.asked.clear()
    assert fetch(published(f"{address}/ranges"), tmp_path, Silent()).read_bytes() == CONTENT
    assert server.asked[0] == ("/ranges", "bytes=100-", None)
    assert visible(tmp_path) == ["rgb_imagenet.pt"]


@pytest.mark.parametrize(
    ("kept", "asked"),
    [
        (CONTENT, ["bytes=10240-"]),  # killed between the last byte and the renaming
        (CONTENT + b"more", ["bytes=10244-", None, "bytes=3000-", "bytes=6000-", "bytes=9000-"]),
        (b"x" * 9000, ["bytes=9000-", None, "bytes=3000-", "bytes=6000-", "bytes=9000-"]),
        (b"x" * 10240, ["bytes=10240-", None, "bytes=3000-", "bytes=6000-", "bytes=9000-"]),
    ],
)
def test_what_an_earlier_call_left_is_used_only_if_it_fits(
    tmp_path: Path, server: Any, address: str, kept: bytes, asked: list[str | None]
) -> None:
    part_in(tmp_path).write_bytes(kept)
    assert fetch(published(f"{address}/ranges"), tmp_path, Silent()).read_bytes() == CONTENT
    assert [ranges for _, ranges, _ in server.asked] == asked


@pytest.mark.parametrize("page", ["/shorter", "/longer"])
def test_a_false_length_is_found_where_the_size_is_not_known(tmp_path: Path, address: str, page: str) -> None:
    with pytest.raises(WeightsError, match=r"what came has git blob SHA-1|the connection was cut at 10240 of 10245"):
        fetch(published(address + page, n_bytes=0), tmp_path, Silent())
    assert not (tmp_path / "rgb_imagenet.pt").exists()


def test_force_replaces_what_is_there_and_only_by_the_right_file(tmp_path: Path, address: str) -> None:
    target = tmp_path / "rgb_imagenet.pt"
    target.write_bytes(b"old")
    with pytest.raises(WeightsError, match="web page"):
        fetch(published(address + "/page"), tmp_path, Silent(), force=True)
    assert target.read_bytes() == b"old"
    assert fetch(published(address + "/whole"), tmp_path, Silent()).read_bytes() == b"old"
    assert fetch(published(address + "/whole"), tmp_path, Silent(), force=True).read_bytes() == CONTENT


def test_the_named_folder_gets_what_is_fetched(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAL_WEIGHTS", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    (source,) = weights.resolve("default", ["rgb"], Silent(), tmp_path, [published(address + "/whole")]).values()
    assert source.path == tmp_path / "own" / "rgb_imagenet.pt"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "http://no-such-host.invalid/x"])
def test_without_a_network_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    if url.endswith(".invalid/x"):  # some networks have an answer to every name, others take minutes to have none
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
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
