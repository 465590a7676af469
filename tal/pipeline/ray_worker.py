"""A worker of the Ray engine: one local pass over the videos that it is handed, in a process of its own on some node.

It writes shards itself, where every worker and the driver see them, or sends them to the store; it tells the driver,
who alone keeps the locks and the ledger, what became of each video. Videos from a store are fetched into the stage of
its own node, each while the one before is read. The pass stays open as long as there is a next video, so that batches
span videos; when there is none for a moment, the batch at hand is embedded as it is.
"""

from __future__ import annotations

import platform
import queue
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tal.cache import Cache, default_root
from tal.errors import TalError
from tal.pipeline.context import Context
from tal.pipeline.digests import many_digests
from tal.pipeline.memory import is_short
from tal.pipeline.ray_filling import Worked
from tal.pipeline.ray_orders import Orders, Parcel, check, engines, own_settings
from tal.pipeline.ray_post import AT_ONCE, Event, Post
from tal.pipeline.ray_stores import placed
from tal.pipeline.sources import Sources, open_sources

ANSWER_S = 0.5
"""After so long a worker answers although no video has ended."""
LINGER_S = 0.2
"""How long a pass waits for its next video before it embeds what it has."""


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
            until_s = 0.0 if found[-1][0] in AT_ONCE else until_s
        if self._pass is not None and self._pass.done():
            self._pass.result()  # a broken invariant is the driver's to tell
        return found

    def _work(self) -> None:
        post = Post(self._events)
        try:
            with (
                self._context(post) as (ctx, sources, told),
                engines(self._orders, self._refs, ctx) as (recipe, extractor),
            ):
                filling = Worked.of(ctx, recipe, self._orders, sources, post)
                while (first := self._videos.get()) is not None:
                    filling.make(self._each(first, filling, told), extractor)
                    post.put("seconds", dict(extractor.watch.seconds))
        except TalError as error:
            post.put("trouble", str(error))
        except (MemoryError, RuntimeError) as error:
            if not is_short(error):
                raise
            post.put("short", "memory ran out in it")

    def _each(self, first: Parcel, filling: Worked, told: _Told) -> Iterator[Path]:
        """Yield videos until there is none for a moment."""
        one: Parcel | None = first
        while one is not None:
            path = placed(one.path, one.remote, filling.target.sources)
            told.learn(one)
            filling.expect(path, one)
            yield path
            try:
                one = self._videos.get(timeout=LINGER_S)
            except queue.Empty:
                return
        self._videos.put(None)  # the end is for who asked for the first one

    @contextmanager
    def _context(self, post: Post) -> Iterator[tuple[Context, Sources, _Told]]:
        o = self._orders
        root = Path(o.cache) if platform.node() == o.host else default_root()
        with many_digests(Cache(root, o.force)) as digests:
            told = _Told(digests)
            ctx = Context(own_settings(o), told, post)
            with open_sources([Path(one.url) for one in o.probes], ctx) as (sources, staged):
                yield staged, sources, told


class _Told(Cache):
    """A cache that believes the driver's digests of files that look here as they did there."""

    def __init__(self, inner: Cache) -> None:
        super().__init__(inner.root, inner.force)
        self._inner = inner
        self._known: dict[str, Parcel] = {}

    def learn(self, one: Parcel) -> None:
        """Remember a local file's digest; forget the ones of long ago."""
        if one.remote is None:
            self._known[one.path] = one
        while len(self._known) > 1000:
            del self._known[next(iter(self._known))]

    def sha256(self, path: Path) -> str:
        """Return a file's SHA-256."""
        one, look = self._known.get(str(path)), path.stat()
        if one is not None and (one.size, one.mtime_ns) == (look.st_size, look.st_mtime_ns):
            return one.sha256
        return self._inner.sha256(path)
