"""A server that serves one file in good and bad ways."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

CONTENT = bytes(range(256)) * 40
ETAG = '"one"'


class Server(BaseHTTPRequestHandler):
    """Serves `CONTENT` in good and bad ways, by the path asked for, and keeps what it was asked."""

    def do_GET(self) -> None:
        asked: list[tuple[str, str | None, str | None]] = self.server.asked  # type: ignore[attr-defined]
        asked.append((self.path, self.headers["Range"], self.headers["If-Range"]))
        n_before = sum(path == self.path for path, _, _ in asked[:-1])
        getattr(self, "serve_" + self.path.strip("/"))(n_before)

    def give(self, content: bytes, status: int = 200, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(content)

    @property
    def start(self) -> int:
        return int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))

    def serve_whole(self, n_before: int) -> None:
        self.give(CONTENT, Content_Length=len(CONTENT))

    def serve_unsized(self, n_before: int) -> None:
        self.give(CONTENT)

    def serve_gone(self, n_before: int) -> None:
        self.send_error(404)

    def serve_cut(self, n_before: int) -> None:
        """Break off after 100 bytes, always, and know no ranges."""
        self.give(CONTENT[:100], Content_Length=len(CONTENT))

    def serve_ranges(self, n_before: int) -> None:
        """Break off after 3000 bytes, but go on where asked to; as RFC 9110 says, also with 416."""
        start, n = self.start, len(CONTENT)
        if start >= n:
            self.give(b"", 416, Content_Range=f"bytes */{n}")
        elif start:
            extent = f"bytes {start}-{n - 1}/{n}"
            self.give(CONTENT[start : start + 3000], 206, Content_Range=extent, Content_Length=n - start, ETag=ETAG)
        else:
            self.give(CONTENT[:3000], Content_Length=n, ETag=ETAG)

    def serve_ignores(self, n_before: int) -> None:
        """Break off once; ignore ranges."""
        self.give(CONTENT if n_before else CONTENT[:3000], Content_Length=len(CONTENT))

    def serve_changed(self, n_before: int) -> None:
        """Break off in one version of the file, then have another."""
        if n_before:
            self.give(CONTENT, Content_Length=len(CONTENT), ETag='"two"')
        else:
            self.give(b"x" * 3000, Content_Length=len(CONTENT), ETag=ETAG)

    def serve_elsewhere(self, n_before: int) -> None:
        """Break off once, then answer with bytes that were not asked for."""
        if self.headers["Range"]:
            self.give(CONTENT[5:], 206, Content_Range=f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}")
        else:
            self.give(CONTENT if n_before else CONTENT[:3000], Content_Length=len(CONTENT))

    def serve_busy(self, n_before: int) -> None:
        if n_before < 2:
            self.send_error(503)
        else:
            self.serve_whole(n_before)

    def serve_longer(self, n_before: int) -> None:
        self.give(CONTENT, Content_Length=len(CONTENT) + 5)

    def serve_shorter(self, n_before: int) -> None:
        self.give(CONTENT, Content_Length=len(CONTENT) - 5)

    def serve_endless(self, n_before: int) -> None:
        self.give(CONTENT + CONTENT)

    def serve_page(self, n_before: int) -> None:
        self.give(b"\n<!DOCTYPE html><html>sign in</html>", Content_Type="text/html; charset=utf-8")

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def no_folder_or_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user has no weights of his own, and this machine's servers are asked directly."""
    monkeypatch.delenv("TAL_WEIGHTS", raising=False)
    monkeypatch.setenv("no_proxy", "*")
