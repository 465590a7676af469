"""A worker of the Ray engine: one local pass over the videos that it is handed, in a process of its own on some node.

It writes shards itself, where every worker and the driver see them, and tells the driver, who alone keeps the locks and
the ledger, what became of each video. The pass stays open as long as there is a next video, so that batches span
videos; when there is none for a moment, the batch at hand is embedded as it is.
"""

from __future__ import annotations

import platform
import queue
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

from tal.cache import Cache, default_root
from tal.errors import TalError
from tal.ledger import Ledger, Record
from tal.pipeline.context import Context
from tal.pipeline.digests import many_digests
from tal.pipeline.engines import Recipe
from tal.pipeline.filling import Filling
from tal.pipeline.flow_folders import SavedFlow
from tal.pipeline.ray_orders import Orders, Parcel, check, engines, own_settings
from tal.pipeline.surveying import Target
from tal.progress import Silent, Task

ANSWER_S = 0.5
"""After so long a worker answers although no video has ended."""
LINGER_S = 0.2
"""How long a pass waits for its next video before it embeds what it has."""


Kind = Literal["record", "ended", "snippets", "say", "detail", "seconds", "trouble"]
Event = tuple[Kind, Any]
_AT_ONCE = ("ended", "trouble")


class Worker:
    """The actor; Ray calls one method at a time.

    Args:
        orders: What is to be done.
        weights: Stream to a reference to the content of its weights, fetched only if they are not on this machine.
    """

    def __init__(self, orders: Orders, weights: Mapping[str, Any]) -> None:
        self._orders, self._refs = orders, weights
        self._videos: queue.Queue[Parcel | None] = queue.Queue()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._thread = ThreadPoolExecutor(1, "pass")
        self._pass: Future[None] | None = None

    def start(self) -> list[Event]:
        """Check what can be checked at once, and open the engines meanwhile."""
        try:
            check(self._orders)
        except TalError as error:
            return [("trouble", str(error))]
        self._pass = self._thread.submit(self._work)
        return []

    def exchange(self, given: Sequence[Parcel]) -> list[Event]:
        """Take videos, and tell what happened, at once when a video has ended."""
        for one in given:
            self._videos.put(one)
        return self._heard(time.monotonic() + ANSWER_S)

    def finish(self) -> list[Event]:
        """End the pass and tell the last of it."""
        self._videos.put(None)
        if self._pass is not None:
            self._pass.result()
        return self._heard(0.0)

    def _heard(self, until_s: float) -> list[Event]:
        found: list[Event] = []
        while True:
            try:
                left_s = until_s - time.monotonic()
                found.append(self._events.get(timeout=left_s) if left_s > 0 else self._events.get_nowait())
            except queue.Empty:
                break
            until_s = 0.0 if found[-1][0] in _AT_ONCE else until_s
        if self._pass is not None and self._pass.done():
            self._pass.result()  # a broken invariant is the driver's to tell
        return found

    def _work(self) -> None:
        post = _Post(self._events)
        try:
            with self._context(post) as (ctx, told), engines(self._orders, self._refs, ctx) as (recipe, extractor):
                filling = _Remote.of(ctx, recipe, self._orders, post)
                while (first := self._videos.get()) is not None:
                    filling.make(self._each(first, filling, told), extractor, post)
                    post.put("seconds", dict(extractor.watch.seconds))
        except TalError as error:
            post.put("trouble", str(error))

    def _each(self, first: Parcel, filling: _Remote, told: _Told) -> Iterator[Path]:
        """Yield videos until there is none for a moment."""
        one: Parcel | None = first
        while one is not None:
            path = Path(one.path)
            told.learn(one)
            filling.expect(path, one.key)
            yield path
            try:
                one = self._videos.get(timeout=LINGER_S)
            except queue.Empty:
                return
        self._videos.put(None)  # the end is for who asked for the first one

    @contextmanager
    def _context(self, post: _Post) -> Iterator[tuple[Context, _Told]]:
        o = self._orders
        root = Path(o.cache) if platform.node() == o.host else default_root()
        with many_digests(Cache(root)) as digests:
            told = _Told(digests)
            yield Context(own_settings(o), told, post), told


class _Told(Cache):
    """A cache that believes the driver's digests of files that look here as they did there."""

    def __init__(self, inner: Cache) -> None:
        super().__init__(inner.root, inner.force)
        self._inner = inner
        self._known: dict[str, Parcel] = {}

    def learn(self, one: Parcel) -> None:
        """Remember a digest; forget the ones of long ago."""
        self._known[one.path] = one
        while len(self._known) > 1000:
            del self._known[next(iter(self._known))]

    def sha256(self, path: Path) -> str:
        """Return a file's SHA-256."""
        one, look = self._known.get(str(path)), path.stat()
        if one is not None and (one.size, one.mtime_ns) == (look.st_size, look.st_mtime_ns):
            return one.sha256
        return self._inner.sha256(path)


class _Post(Silent):
    """Progress, and how a ledger is told, as events."""

    def __init__(self, events: queue.SimpleQueue[Event]) -> None:
        self._events = events

    def put(self, kind: Kind, value: Any) -> None:
        """Tell one thing."""
        self._events.put((kind, value))

    def finish(self, record: Record) -> None:
        """Have the driver write down how a video ended."""
        self.put("record", record)

    def say(self, text: str) -> None:
        """Have the driver say a line."""
        self.put("say", text)

    def detail(self, text: str) -> None:
        """Have the driver tell a detail."""
        self.put("detail", text)


class _Snippets:
    """A bar at the driver's."""

    def __init__(self, post: _Post) -> None:
        self._post = post

    def advance(self, amount: float = 1, note: str = "") -> None:
        self._post.put("snippets", amount)

    def expect(self, total: float) -> None:
        """Ignore."""


class _NoBar:
    def advance(self, amount: float = 1, note: str = "") -> None:
        """Ignore: the driver counts videos."""

    def expect(self, total: float) -> None:
        """Ignore."""


class _Remote(Filling):
    """A folder that is filled for a driver who holds the locks and the ledger."""

    post: _Post

    @classmethod
    def of(cls, ctx: Context, recipe: Recipe, orders: Orders, post: _Post) -> _Remote:
        """Return the filling for these orders."""
        target = Target(ctx, recipe, Path(orders.out), cast(Ledger, post), SavedFlow.of(ctx.settings))
        made = cls(target)
        made.post = post
        return made

    def expect(self, path: Path, key: str) -> None:
        """Learn of a video that will come."""
        self._keys[path] = key

    def make(self, paths: Iterator[Path], extractor: Any, post: _Post) -> None:
        """Send videos through the engines."""
        bar: Task = _NoBar()
        self._pass(paths, extractor, bar, _Snippets(post))

    def _release(self, path: Path) -> None:
        self.target.saved.drop(path)
        self._keys.pop(path)
        self.post.put("ended", str(path))
