"""A folder of shards that is being filled, possibly by several processes at once.

Each video in flight is locked. A video that another process works on is left for later: processes that share a folder
share the work. Locks are only waited for while none is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from extract.reports import DecodeReport
from extract.video import video_name
from tal import shards
from tal.errors import InputError, StorageError, TalError
from tal.files import storage_errors
from tal.pipeline.context import Context
from tal.pipeline.engines import Recipe, lend_extractor
from tal.pipeline.flow_folders import SavedFlow
from tal.pipeline.keys import check_unchanged, identity, shard_key, shard_path
from tal.progress import Task
from tal.types import Features

if TYPE_CHECKING:
    from extract.features import Extractor, Request


@dataclass
class Filling:
    """Videos on their way to a folder of shards.

    Attributes:
        saved: Where flow is written as images.
        made: Names of the videos whose shard was made.
        failures: Name to reason.
        remarks: Name to what is missing in the video.
        n_snippets: In the shards that were made.
        duration_s: Of the videos they were made of, seconds.
        seconds_by_stage: How long each stage worked.
    """

    ctx: Context
    recipe: Recipe
    folder: Path
    saved: SavedFlow = field(default_factory=SavedFlow)
    made: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    n_snippets: int = 0
    duration_s: float = 0.0
    seconds_by_stage: dict[str, float] = field(default_factory=dict)
    _keys: dict[Path, str] = field(default_factory=dict)
    _held: dict[Path, FileLock] = field(default_factory=dict)
    _later: list[Path] = field(default_factory=list)

    def pending(self, path: Path) -> str | None:
        """Return the key of the shard that must be made, or None."""
        try:
            self.saved.check(path)
            key = shard_key(path, self.recipe, self.ctx.cache)
            return None if self._is_there(path, key) else key
        except OSError as error:
            self.failures[video_name(path)] = f"{path}: cannot read: {error.strerror}"
        except InputError as error:
            self.failures[video_name(path)] = str(error)
        return None

    def _is_there(self, path: Path, key: str) -> bool:
        target = shard_path(self.folder, path)
        flow_is_there = self.saved.is_kept(path, key)
        return flow_is_there and not self.ctx.cache.force and target.exists() and shards.is_current(target, key)

    def make_all(self, waiting: Mapping[Path, str]) -> None:
        """Make the shards of the waiting videos (path to key), going on after one that fails.

        Raises:
            StorageError: If the folder cannot be written.
        """
        progress, self._keys = self.ctx.progress, dict(waiting)
        with (
            lend_extractor(self.recipe, self.ctx) as extractor,
            progress.task("extract", len(waiting), "videos") as bar,
            progress.task("features", None, "snippets") as snippets,
        ):
            try:
                self._pass((path for path in waiting if self._claim(path, bar)), extractor, bar, snippets)
                for path in self._later:
                    if self._claim(path, bar, wait=True):
                        self._pass([path], extractor, bar, snippets)
            finally:
                for path in list(self._held):
                    self._release(path)
                self.seconds_by_stage = dict(extractor.watch.seconds)

    def _claim(self, path: Path, bar: Task, wait: bool = False) -> bool:
        """Lock a video that is to be made; one that another process works on or has made meanwhile is not."""
        with storage_errors(self.folder):
            lock = _lock(self.folder, path)
            try:
                lock.acquire(blocking=wait)
            except Timeout:
                self._later.append(path)
                return False
            self._held[path] = lock
            if not self._is_there(path, self._keys[path]):
                return True
        self._release(path)
        bar.advance(1, video_name(path))
        return False

    def _release(self, path: Path) -> None:
        self.saved.drop(path)
        self._held.pop(path).release()

    def _pass(self, paths: Iterable[Path], extractor: Extractor, bar: Task, snippets: Task) -> None:
        """Send locked videos through the engines; what is finished is written and unlocked at once."""
        with closing(extractor.run(self._requests(paths, bar), snippets.advance)) as results:
            for request, found in results:
                try:
                    self._take(request.path, found, extractor)
                except StorageError:
                    raise
                except TalError as error:
                    self._fail(request.path, str(error))
                self._release(request.path)
                bar.advance(1, video_name(request.path))

    def _requests(self, paths: Iterable[Path], bar: Task) -> Iterator[Request]:
        from extract.features import Request

        for path in paths:
            try:
                about = identity(path, self.recipe.settings, self.ctx.cache)
            except (OSError, InputError) as error:
                said = f"{path}: cannot read: {error.strerror}" if isinstance(error, OSError) else str(error)
                self._fail(path, said)
                self._release(path)
                bar.advance(1, video_name(path))
                continue
            yield Request(path, about, self.saved.aside(path))

    def _take(self, path: Path, found: Features | TalError, extractor: Extractor) -> None:
        """Write the shard of a video that ended well, and give its flow images their place."""
        if isinstance(found, TalError):
            raise found
        key, name = self._keys[path], video_name(path)
        with extractor.watch.on("write"), storage_errors(self.folder):
            check_unchanged(path, key, self.recipe, self.ctx.cache)
            self.saved.publish(path, key)
            shards.write(shard_path(self.folder, path), found, key)
        self.made.append(name)
        self.n_snippets += found.grid.n_snippets
        self.duration_s += found.duration_s
        if remark := DecodeReport.from_dict(found.provenance["video"]["decode"]).remark():
            self.remarks[name] = remark
            self.ctx.progress.say(f"{path}: {remark}")

    def _fail(self, path: Path, reason: str) -> None:
        self.failures[video_name(path)] = reason
        self.ctx.progress.say(f"failed: {reason}")


def _lock(folder: Path, video: Path) -> FileLock:
    """Let one process at a time work on a video's shard; taken on one thread, given back on another."""
    (folder / ".locks").mkdir(parents=True, exist_ok=True)
    return FileLock(str(folder / ".locks" / f"{video_name(video)}.lock"), thread_local=False)
