"""A folder of shards that is being filled, possibly by several processes at once.

Each video in flight is locked. A video that another process works on is left for later: processes that share a folder
share the work. Locks are only waited for while none is held. What becomes of each video is written into the folder's
ledger, which also keeps videos apart where machines do not see each other's locks.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from filelock import FileLock, Timeout

from extract.reports import DecodeReport
from extract.video import video_name
from tal import shards
from tal.errors import InputError, RemoteError, StorageError, TalError, VideoError
from tal.files import storage_errors
from tal.ledger import SUSPECT, Record
from tal.pipeline.claims import half_written, locked
from tal.pipeline.context import patience_of
from tal.pipeline.engines import lend_extractor
from tal.pipeline.keys import check_unchanged, identity, shard_key, shard_path
from tal.pipeline.memory import marked
from tal.pipeline.outages import Outage
from tal.pipeline.surveying import Target
from tal.pipeline.tally import Tally
from tal.progress import Task
from tal.types import Features

if TYPE_CHECKING:
    from extract.features import Extractor, Request

POLL_S = 1.0
"""Between two looks at a video that a worker on another machine has in work."""


@dataclass
class Filling:
    """Videos on their way to a folder of shards.

    Attributes:
        target: The folder.
        tally: What was done.
    """

    target: Target
    tally: Tally = field(default_factory=Tally)
    _keys: dict[Path, str] = field(default_factory=dict)
    _held: dict[Path, FileLock] = field(default_factory=dict)
    _later: list[Path] = field(default_factory=list)
    _spent: dict[Path, Mapping[str, float]] = field(default_factory=dict)
    _halves: dict[str, list[Path]] = field(default_factory=dict)

    @cached_property
    def _outage(self) -> Outage:
        return Outage(patience_of(self.target.ctx.settings.runtime))

    def make_all(self, waiting: Mapping[Path, str]) -> None:
        """Make the shards of the waiting videos (path to key), going on after one that fails.

        Raises:
            StorageError: If the folder cannot be written, or disks or mounted folders are away for good.
            RemoteError: If a store is away for good.
            MemoryShortError: If memory ran out; the videos in work are suspects then.
        """
        self._keys, self._halves = dict(waiting), half_written(self.target.folder)
        ctx, self._outage.in_charge = self.target.ctx, True
        with (
            marked(self.target.ledger, ()),
            lend_extractor(self.target.recipe, ctx) as extractor,
            ctx.progress.task("extract", len(waiting), "videos") as bar,
            ctx.progress.task("features", None, "snippets") as snippets,
        ):
            try:
                with marked(self.target.ledger, self._held):
                    self._pass((path for path in waiting if self._claim(path, bar)), extractor, bar, snippets)
                    for path in self._later:
                        if self._claim(path, bar, wait=True):
                            self._pass([path], extractor, bar, snippets)
            finally:
                for path in list(self._held):
                    self._release(path)
                self.tally.work(extractor.watch.seconds)
        self._outage.check()

    def poison(self, path: Path, key: str, how: str) -> None:
        """Give up a video that took a process down although it was alone in it."""
        remedy = "with more memory, --retry-failed" if "memory" in how else "--retry-failed"
        reason = f"{path}: the process that decoded it died twice ({how}); {remedy} tries it again"
        self._fail(path, Record(video_name(path), state="poison", note=reason, crashes=SUSPECT, key=key))

    def _claim(self, path: Path, bar: Task, wait: bool = False) -> bool:
        """Lock a video that is to be made; one that another process works on or has made meanwhile is not."""
        if self._outage.has_ended:
            return False
        with storage_errors(self.target.folder):
            try:
                self._held[path] = self._outage.outlast(lambda: locked(self.target.folder, path, wait))
            except Timeout:
                self._later.append(path)
                return False
            try:
                found = self._take_charge(path, wait)
            except (InputError, RemoteError) as error:
                self._outage.note(path, error)
                self._fail(path, self._failed(path, str(error)))
                found = "failed"
        if found != "ours":
            self._release(path)
        if found in ("made", "failed"):
            bar.advance(1, video_name(path))
        return found == "ours"

    def _take_charge(self, path: Path, wait: bool) -> Literal["ours", "made", "later", "failed"]:
        """Enter a locked video into the ledger as ours, unless it is made or another machine's worker has it."""
        if not self._keys[path]:  # a remote video that was never here
            self._keys[path] = shard_key(path, self.target.recipe, self.target.ctx.cache)
            self._outage.note(path)
        name, key, ledger = video_name(path), self._keys[path], self.target.ledger
        while not self._is_there(path, key):
            if ledger.claim(name, self.target.address(path), key):
                for half in self._halves.pop(name, ()):
                    with suppress(OSError):
                        half.unlink()
                return "ours"
            if not wait:
                self._later.append(path)
                return "later"
            time.sleep(POLL_S)
        shard = shard_path(self.target.folder, path)
        ledger.mend(self.target.outlet.record(shard, "", self.target.address(path)))
        return "made"

    def _is_there(self, path: Path, key: str) -> bool:
        """Return whether nothing is left to be made; a shard that cannot be read at the moment is waited for."""
        target, shard = self.target, shard_path(self.target.folder, path)
        made = partial(target.is_there, path, key, fresh=True)
        return made() or (not target.ctx.cache.force and self._outage.reads(shard) and made())

    def _release(self, path: Path) -> None:
        self.target.saved.drop(path)
        self.target.ledger.release(video_name(path))
        with suppress(OSError):  # a network folder that is away forgets the lock
            self._held.pop(path).release()

    def _pass(self, paths: Iterable[Path], extractor: Extractor, bar: Task, snippets: Task) -> None:
        """Send locked videos through the engines; what is finished is written and unlocked at once."""
        run = extractor.run(self._requests(paths, bar), snippets.advance)
        with closing(run) as results, self.target.sources.stopping():
            for request, found in results:
                self._spent[request.path] = request.seconds
                if self._outage.doubts(request.path, found):
                    self._later.append(request.path)
                else:
                    self._end(request.path, found, extractor)
                    bar.advance(1, video_name(request.path))
                self._release(request.path)

    def _end(self, path: Path, found: Features | TalError, extractor: Extractor) -> None:
        """Write a video's shard, or down why there is none."""
        try:
            self._take(path, found, extractor)
            self._outage.note(path, sent=True)
        except StorageError:
            raise
        except TalError as error:
            self._outage.note(path, error, sent=isinstance(error, RemoteError))
            self._fail(path, self._failed(path, str(error)))

    def _requests(self, paths: Iterable[Path], bar: Task) -> Iterator[Request]:
        from extract.features import Request

        target = self.target
        with closing(target.sources.ahead(paths)) as ready:
            for path, problem in ready:
                if self._outage.has_ended:
                    return
                try:
                    if problem:
                        raise problem
                    self._outage.reach(path)
                    about = self._outage.outlast(partial(identity, path, target.recipe.settings, target.ctx.cache))
                except (OSError, InputError, RemoteError) as error:
                    if problem is None:
                        target.sources.done(path)
                    said = f"{path}: cannot read: {error.strerror}" if isinstance(error, OSError) else str(error)
                    self._outage.note(path, error)
                    self._fail(path, self._failed(path, said))
                    self._release(path)
                    bar.advance(1, video_name(path))
                    continue
                self._outage.note(path)
                yield Request(path, about, target.saved.aside(path))
                target.sources.done(path)  # it has been read when the next one is asked for

    def _take(self, path: Path, found: Features | TalError, extractor: Extractor) -> None:
        """Write the shard of a video that ended well, and give its flow images their place."""
        if isinstance(found, TalError):
            raise found
        if self._outage.differs(path, found):
            raise VideoError(f"{path}: read differently twice; see that its network folder is well and run it again")
        target, key, shard = self.target, self._keys[path], shard_path(self.target.folder, path)
        with extractor.watch.on("write"), storage_errors(target.folder):
            look = self._outage.look(target.looks, path)
            self._outage.outlast(partial(check_unchanged, path, key, target.recipe, target.ctx.cache))
            target.saved.publish(path, key)
            digest = self._outage.outlast(lambda: shards.write(shard, found, key))
            if self._outage.has_ended and target.outlet.is_remote:
                raise RemoteError(f"{path}: made, but not sent; run it again")
            target.outlet.publish(shard, target.sources.noted(path, target.sources.digest(path)))
        record = self._done(path, found, digest)
        target.ledger.finish(replace(record, source=look, shard=target.outlet.stamp(shard)))
        self.tally.count(record)
        if record.note:
            target.ctx.progress.say(f"{path}: {record.note}")

    def _done(self, path: Path, found: Features, digest: str) -> Record:
        remark = DecodeReport.from_dict(found.provenance["video"]["decode"]).remark()
        return Record(
            video_name(path),
            self.target.address(path),
            "damaged" if remark else "done",
            remark,
            key=self._keys[path],
            digest=digest,
            duration_s=found.duration_s,
            n_snippets=found.grid.n_snippets,
            seconds=self._spent.pop(path, {}),
        )

    def _failed(self, path: Path, reason: str) -> Record:
        seconds = self._spent.pop(path, {})
        return Record(video_name(path), state="failed", note=reason, key=self._keys[path], seconds=seconds)

    def _fail(self, path: Path, record: Record) -> None:
        record = replace(record, note=self.target.sources.named(record.note))
        self.tally.count(record)
        self.target.ledger.finish(replace(record, path=self.target.address(path)))
        self.target.ctx.progress.say(f"failed: {record.note}")
