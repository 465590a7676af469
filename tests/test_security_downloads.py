"""A server that lies, and addresses that lead elsewhere: nothing that was not verified is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from extract.fetch import KNOWN_FILES, KnownFile, fetch
from tal.errors import WeightsError
from tal.progress import Silent

CONTENT = b"weights" * 100


class Liar(BaseHTTPRequestHandler):
    """Answers with the headers that the test wants."""

    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")

    def do_GET(self) -> None:
        status, headers, content = self.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("extract.download.time", SimpleNamespace(sleep=lambda seconds: None))
    server = HTTPServer(("127.0.0.1", 0), Liar)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/weights.pt"
    server.shutdown()
    server.server_close()
    thread.join()


def known(url: str) -> KnownFile:
    return KnownFile("rgb_imagenet.pt", "rgb", url, "0" * 40, "", len(CONTENT))


def test_every_file_that_is_fetched_has_a_digest_and_comes_encrypted() -> None:
    for file in KNOWN_FILES:
        assert not file.url or (file.has_digest and file.url.startswith("https://"))
        assert Path(file.name).parts[0] not in ("/", "..")


@pytest.mark.parametrize("scheme", ["file", "data", "javascript"])
def test_a_redirection_to_this_machine_is_refused(
    scheme: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    target = {"file": secret.as_uri(), "data": "data:,weights", "javascript": "javascript:0"}[scheme]
    monkeypatch.setattr(Liar, "answer", (302, {"Location": target, "Content-Length": "0"}, b""))
    with pytest.raises(WeightsError) as refused:
        fetch(known(address), tmp_path / "w", Silent())
    assert len(str(refused.value).splitlines()) == 1
    assert [path for path in (tmp_path / "w").iterdir() if path.suffix != ".lock"] == []


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {"Content-Length": "-1"}),
        (200, {"Content-Length": "9" * 5000}),
        (200, {"Content-Length": str(1 << 62)}),
        (200, {"Content-Encoding": "gzip"}),
        (206, {"Content-Range": f"bytes 0-5/{'9' * 5000}"}),
        (206, {"Content-Range": f"bytes {'9' * 5000}-5/*"}),
        (206, {"Content-Range": "bytes 7-3/4"}),
        (416, {"Content-Range": f"bytes */{'9' * 5000}"}),
        (200, {"ETag": '"' + "x" * 60_000 + '"'}),
        (200, {"Transfer-Encoding": "chunked"}),
    ],
)
def test_headers_that_lie_end_in_one_line_and_keep_nothing_whole(
    status: int, headers: dict[str, str], address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Liar, "answer", (status, headers, CONTENT))
    (tmp_path / ".rgb_imagenet.pt.part").write_bytes(b"old")  # so that a range is asked for
    with pytest.raises(WeightsError) as refused:
        fetch(known(address), tmp_path, Silent())
    assert len(str(refused.value).splitlines()) == 1
    assert not (tmp_path / "rgb_imagenet.pt").exists()


def test_what_does_not_have_the_digest_is_not_kept(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Liar, "answer", (200, {"Content-Length": str(len(CONTENT))}, CONTENT))
    with pytest.raises(WeightsError, match="what came has git blob SHA-1"):
        fetch(known(address), tmp_path, Silent())
    assert [path for path in tmp_path.iterdir() if path.suffix != ".lock"] == []
