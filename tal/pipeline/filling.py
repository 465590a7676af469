"""A folder of shards that is being filled, possibly by several processes at once.

Each video in flight is locked. A video that another process works on is left for later: processes that share a folder
share the work. Locks are only waited for while none is held. What becomes of each video is written into the folder's
ledger, which also keeps videos apart where machines do not see each other's locks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from filelock import FileLock, Timeout

from extract.reports import DecodeReport
from extract.video import video_name
from tal import shards
from tal.errors import InputError, RemoteError, StorageError, TalError
from tal.files import storage_errors
from tal.ledger import SUSPECT, Record
from tal.pipeline.engines import lend_extractor
from tal.pipeline.keys import check_unchanged, identity, shard_key, shard_path
from tal.pipeline.surveying import Looks, Target
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

    def make_all(self, waiting: Mapping[Path, str]) -> None:
        """Make the shards of the waiting videos (path to key), going on after one that fails.

        Raises:
            StorageError: If the folder cannot be written.
        """
        self._keys, self._halves = dict(waiting), half_written(self.target.folder)
        ctx = self.target.ctx
        with (
            lend_extractor(self.target.recipe, ctx) as extractor,
            ctx.progress.task("extract", len(waiting), "videos") as bar,
            ctx.progress.task("features", None, "snippets") as snippets,
        ):
            try:
                self._pass((path for path in waiting if self._claim(path, bar)), extractor, bar, snippets)
                for path in self._later:
                    if self._claim(path, bar, wait=True):
                        self._pass([path], extractor, bar, snippets)
            finally:
                for path in list(self._held):
                    self._release(path)
                self.tally.work(extractor.watch.seconds)

    def poison(self, path: Path, key: str, how: str) -> None:
        """Give up a video that took a process down although it was alone in it."""
        reason = f"{path}: the process that decoded it died twice ({how}); --retry-failed tries it again"
        self._fail(path, Record(video_name(path), state="poison", note=reason, crashes=SUSPECT, key=key))

    def _claim(self, path: Path, bar: Task, wait: bool = False) -> bool:
        """Lock a video that is to be made; one that another process works on or has made meanwhile is not."""
        with storage_errors(self.target.folder):
            lock = _lock(self.target.folder, path)
            try:
                lock.acquire(blocking=wait)
            except Timeout:
                self._later.append(path)
                return False
            self._held[path] = lock
            try:
                found = self._take_charge(path, wait)
            except (InputError, RemoteError) as error:
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
        name, key, ledger = video_name(path), self._keys[path], self.target.ledger
        while not self.target.is_there(path, key, fresh=True):
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

    def _release(self, path: Path) -> None:
        self.target.saved.drop(path)
        self.target.ledger.release(video_name(path))
        self._held.pop(path).release()

    def _pass(self, paths: Iterable[Path], extractor: Extractor, bar: Task, snippets: Task) -> None:
        """Send locked videos through the engines; what is finished is written and unlocked at once."""
        run = extractor.run(self._requests(paths, bar), snippets.advance)
        with closing(run) as results, self.target.sources.stopping():
            for request, found in results:
                self._spent[request.path] = request.seconds
                try:
                    self._take(request.path, found, extractor)
                except StorageError:
                    raise
                except TalError as error:
                    self._fail(request.path, self._failed(request.path, str(error)))
                self._release(request.path)
                bar.advance(1, video_name(request.path))

    def _requests(self, paths: Iterable[Path], bar: Task) -> Iterator[Request]:
        from extract.features import Request

        with closing(self.target.sources.ahead(paths)) as ready:
            for path, problem in ready:
                try:
                    if problem is not None:
                        raise problem
                    about = identity(path, self.target.recipe.settings, self.target.ctx.cache)
                except (OSError, InputError, RemoteError) as error:
                    if problem is None:
                        self.target.sources.done(path)
                    said = f"{path}: cannot read: {error.strerror}" if isinstance(error, OSError) else str(error)
                    self._fail(path, self._failed(path, said))
                    self._release(path)
                    bar.advance(1, video_name(path))
                    continue
                yield Request(path, about, self.target.saved.aside(path))
                self.target.sources.done(path)  # it has been read when the next one is asked for

    def _take(self, path: Path, found: Features | TalError, extractor: Extractor) -> None:
        """Write the shard of a video that ended well, and give its flow images their place."""
        if isinstance(found, TalError):
            raise found
        target, key, shard = self.target, self._keys[path], shard_path(self.target.folder, path)
        with extractor.watch.on("write"), storage_errors(target.folder):
            look = _look(target, path)
            check_unchanged(path, key, target.recipe, target.ctx.cache)
            target.saved.publish(path, key)
            digest = shards.write(shard, found, key)
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


def _look(target: Target, path: Path) -> str:
    """Return what a video looks like; nothing where it is gone, which `check_unchanged` tells."""
    try:
        return Looks(target.recipe, target.sources).of(path)
    except OSError:
        return ""


def half_written(folder: Path) -> dict[str, list[Path]]:
    """Return, by video name, what killed processes left of shards they were writing; removed under the video's lock."""
    found: dict[str, list[Path]] = {}
    try:
        with os.scandir(folder) as entries:
            halves = [entry.name for entry in entries if entry.name[0] == "." and entry.name.endswith(".part")]
    except OSError:
        return found
    for half in halves:
        name = half[1:].rsplit(f"{shards.SUFFIX}.", 1)[0]
        found.setdefault(name, []).append(folder / half)
    return found


def _lock(folder: Path, video: Path) -> FileLock:
    """Let one process at a time work on a video's shard; taken on one thread, given back on another."""
    (folder / ".locks").mkdir(parents=True, exist_ok=True)
    return FileLock(str(folder / ".locks" / f"{video_name(video)}.lock"), thread_local=False)
