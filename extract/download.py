"""One file brought over HTTP, in as many connections as it takes.

What has come is kept in a file beside the target, and the next connection asks for the rest (``Range``; RFC 9110,
section 14). A server that ignores this sends everything again, and so does one that says the file has changed
(``If-Range``). Whether the content is right is for the caller to check.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tal.files import CHUNK
from tal.progress import Task

if TYPE_CHECKING:
    from http.client import HTTPResponse

TIMEOUT_S = 30
PAUSES_S = (1.0, 2.0, 4.0, 8.0)
"""Waits before connecting again, as long as no more of the file comes."""

MAX_BYTES = 1 << 29
"""Where a file's size is not known: no weight file is larger."""

_PASSING = {408, 425, 429}  # and all from 500: the server may do better next time


class Failed(Exception):
    """Why a download did not give the file; what has come is kept."""


class Dropped(Failed):
    """A connection that ended early; another may go on."""


class Wrong(Failed):
    """What came is not the file; it must not be kept."""


class Download:
    """One download.

    Args:
        url: What to fetch.
        part: Where to put it; what is there already is continued.
        n_bytes: Size of the file; 0 if not known.
        task: Is told of every byte.
        began: Is told the size of the file, 0 if not known, once, before the first bytes come.
    """

    def __init__(
        self, url: str, part: Path, n_bytes: int, task: Task, began: Callable[[int], None] | None = None
    ) -> None:
        self._url, self._part, self._n_bytes, self._task, self._began = url, part, n_bytes, task, began
        self._etag, self._told = "", 0
        self.continued = self._size() > 0
        """Whether the file was put together from several connections."""

    def run(self) -> None:
        """Connect until the file is whole.

        Raises:
            Failed: If the server cannot be reached, refuses, or keeps dropping the connection.
            Wrong: If what it serves cannot be the file.
        """
        n_tries, most = 0, self._size()
        while True:
            try:
                return self._connect()
            except Dropped as error:
                if self._size() > most:
                    n_tries, most = 0, self._size()
                if n_tries == len(PAUSES_S):
                    raise Failed(f"{error}, {n_tries + 1} times in a row{self._kept()}") from error
                time.sleep(PAUSES_S[n_tries])
                n_tries += 1

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _tell(self, total: int) -> None:
        if total and not self._n_bytes:
            self._task.expect(total)
        if self._began:
            self._began(total)
            self._began = None

    def _kept(self) -> str:
        return "; what came is kept, the next attempt goes on from there" if self._size() else ""

    def _connect(self) -> None:
        with self._part.open("ab") as file:
            for i, (position, chunk) in enumerate(self._chunks(self._size())):
                if i == 0:
                    self.continued = position > 0
                file.truncate(position)
                file.write(chunk)
                file.flush()
                self._task.advance(position + len(chunk) - self._told)
                self._told = position + len(chunk)

    def _chunks(self, start: int) -> Iterator[tuple[int, bytes]]:
        """Yield (position in the file, bytes); the consumer's own errors do not pass through here."""
        from urllib.request import Request, urlopen

        headers = {"Range": f"bytes={start}-"} if start else {}
        if start and self._etag:
            headers["If-Range"] = self._etag
        request = Request(self._url, headers=headers)  # noqa: S310 - addresses of a table in the code
        with self._reasons(start), urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
            self._note_etag(response)
            yield from self._received(response, start)

    def _note_etag(self, response: HTTPResponse) -> None:
        etag = response.headers.get("ETag", "")
        self._etag = etag if etag.startswith('"') else ""  # weak ones (W/"...") promise nothing about bytes

    def _received(self, response: HTTPResponse, start: int) -> Iterator[tuple[int, bytes]]:
        position, offered = self._extent(response, start)
        if offered and self._n_bytes and offered != self._n_bytes:
            raise Wrong(f"the server offers {offered} bytes, not {self._n_bytes}{_page(response)}")
        total, limit = offered or self._n_bytes, self._n_bytes or MAX_BYTES
        self._tell(total)
        while position < (offered or math.inf) and (chunk := response.read1(CHUNK)):  # what came is kept at once
            if position == 0 and chunk.lstrip()[:1] == b"<":
                raise Wrong(f"what came is a web page, not the file{_page(response)}")
            if position + len(chunk) > limit:
                raise Wrong(f"more than {limit} bytes came")
            yield position, chunk
            position += len(chunk)
        if position < total:
            raise Dropped(f"the connection was cut at {position} of {total} bytes")

    @contextmanager
    def _reasons(self, start: int) -> Iterator[None]:
        from http.client import HTTPException
        from urllib.error import HTTPError, URLError

        try:
            yield
        except HTTPError as error:
            error.close()
            if error.code == 416:
                self._beyond(start, error.headers.get("Content-Range", ""))
                return
            kind = Dropped if error.code in _PASSING or error.code >= 500 else Failed
            raise kind(f"the server says {error.code} {error.reason}") from error
        except URLError as error:  # not even connected: worth another try only if it worked before
            kind = Dropped if self._told else Failed
            raise kind(f"connection failed ({_line(error.reason)})") from error
        except (OSError, HTTPException) as error:
            raise Dropped(f"connection failed ({_line(error)})") from error

    def _beyond(self, start: int, extent: str) -> None:
        """Take a 416: there is nothing after what we have, because it is all, or because it is too much."""
        if extent != f"bytes */{start}":
            raise self._begin_anew(start)

    def _extent(self, response: HTTPResponse, start: int) -> tuple[int, int]:
        """Return where in the file the response begins, and the file's size (0 if not said)."""
        if response.status != 206:
            return 0, response.length or 0
        said = re.fullmatch(
            r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", response.headers.get("Content-Range", "")
        )
        if said is None or int(said[1]) != start:
            raise self._begin_anew(start)
        return start, 0 if said[2] == "*" else int(said[2])

    def _begin_anew(self, start: int) -> Dropped:
        self._part.unlink(missing_ok=True)
        return Dropped(f"the server does not give the bytes from {start} on")


def _page(response: HTTPResponse) -> str:
    kind = response.headers.get_content_type()
    return " (a page of the network's login or of an error?)" if kind == "text/html" else ""


def _line(error: object) -> str:
    return " ".join(str(error or type(error).__name__).split()) or type(error).__name__
