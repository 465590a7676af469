"""A folder of shards that a cluster fills: the driver's side, with locks and ledger, and a worker's, with the work."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from extract.video import video_name
from tal.errors import RemoteError, TalError
from tal.ledger import Ledger, Record
from tal.pipeline.claims import half_written
from tal.pipeline.context import Context, patience_of
from tal.pipeline.engines import Recipe
from tal.pipeline.filling import POLL_S, Filling
from tal.pipeline.flow_folders import SavedFlow
from tal.pipeline.keys import shard_key, shard_path
from tal.pipeline.outages import IN_A_ROW, Outage
from tal.pipeline.ray_orders import Orders, Parcel, check
from tal.pipeline.ray_post import NoBar, Post, Snippets
from tal.pipeline.ray_stores import outlet_on
from tal.pipeline.sources import Sources
from tal.pipeline.surveying import Target
from tal.progress import Task
from tal.storage import Patience

if TYPE_CHECKING:
    from extract.features import Request


class Driven(Filling):
    """The driver's side. Remote videos whose digest nobody knows are handed out without a key: none is fetched here."""

    def _take_charge(self, path: Path, wait: bool) -> Literal["ours", "made", "later", "failed"]:
        found = super()._take_charge(path, wait) if self._keys[path] else self._take_unread(path, wait)
        self._outage.note(path)  # what lies between us and the store is well
        return found

    def _take_unread(self, path: Path, wait: bool) -> Literal["ours", "later"]:
        while not self.target.ledger.claim(video_name(path), self.target.address(path), ""):
            if not wait:
                self._later.append(path)
                return "later"
            time.sleep(POLL_S)
        return "ours"


class Reach(Outage):
    """Counts videos, one after the other, that could not be fetched, and those whose shards could not be sent."""

    def __init__(self, patience: Patience) -> None:
        super().__init__(patience)
        self._n_remote: Counter[bool] = Counter()

    def note(self, path: Path, error: TalError | OSError | None = None, sent: bool = False) -> None:
        """Note that a video could be read or that its shard was sent; or why not."""
        self._n_remote[sent] = self._n_remote[sent] + 1 if isinstance(error, RemoteError) else 0
        super().note(path, error, sent)

    def is_doubtful(self) -> bool:
        """Return whether it is time to see if this node reaches anything; the counting begins anew then."""
        if max(self._n_remote.values(), default=0) < IN_A_ROW:
            return False
        self._n_remote.clear()
        return True


class Worked(Filling):
    """A worker's side: locks and the ledger are the driver's, who is told."""

    post: Post
    _orders: Orders
    _parcels: dict[Path, Parcel]

    @classmethod
    def of(cls, ctx: Context, recipe: Recipe, orders: Orders, sources: Sources, post: Post) -> Worked:
        """Return the filling for these orders."""
        outlet = outlet_on(orders.out, ctx.cache.root, ctx.settings.runtime)
        saved, ledger = SavedFlow.of(ctx.settings), cast(Ledger, post)
        made = cls(Target(ctx, recipe, outlet.folder, ledger, saved, sources, outlet))
        made.post, made._orders, made._parcels = post, orders, {}
        if outlet.is_remote:  # a folder of this node alone; in a shared one the driver sees to it
            made._halves = half_written(outlet.folder)
        return made

    def expect(self, path: Path, parcel: Parcel) -> None:
        """Learn of a video that will come, by its path on this node."""
        self._keys[path], self._parcels[path] = parcel.key, parcel
        for half in self._halves.pop(video_name(path), ()):
            with suppress(OSError):
                half.unlink()

    def make(self, paths: Iterator[Path], extractor: Any) -> None:
        """Send videos through the engines."""
        self._pass(paths, extractor, NoBar(), Snippets(self.post))

    def _requests(self, paths: Any, bar: Task) -> Iterator[Request]:
        """Yield what is to be decoded; what turns out to be made already is told."""
        with closing(cast("Any", super()._requests(paths, bar))) as found:
            for request in found:
                if not self._is_made(request.path):
                    yield request

    def _is_made(self, path: Path) -> bool:
        """Return whether a video, which is at hand, needs no work; where the driver knows its key, he has looked."""
        shard, is_new = shard_path(self.target.folder, path), not self._keys[path]
        if not is_new and not (self.target.outlet.is_remote and shard.exists()):
            return False
        try:
            if is_new:
                self._learn(path)
            if not self.target.is_there(path, self._keys[path], fresh=True):
                return False
            look = self.target.looks.of(path)
            self.post.put("there", self.target.outlet.record(shard, look, self.target.address(path)))
        except RemoteError as error:
            self._fail(path, self._failed(path, str(error)))
        self._release(path)
        return True

    def _learn(self, path: Path) -> None:
        """Find out a video's key, and tell it before anything can happen to this process."""
        target = self.target
        self._keys[path] = shard_key(path, target.recipe, target.ctx.cache)
        self.post.put("key", (self._parcels[path].path, self._keys[path], target.ctx.cache.sha256(path)))

    @cached_property
    def _outage(self) -> Reach:
        return Reach(patience_of(self.target.ctx.settings.runtime))

    def _fail(self, path: Path, record: Record) -> None:
        """Tell of a failure; where this node reaches nothing any more, leave the rest to others instead.

        Raises:
            BackendError: In that case.
        """
        if self._outage.is_doubtful():
            check(self._orders)
        super()._fail(path, record)

    def _release(self, path: Path) -> None:
        self.target.saved.drop(path)
        self._keys.pop(path)
        self.post.put("ended", self._parcels.pop(path).path)
