"""What of a folder of shards is there already, and what is to be made.

A shard is there if its content was read whole under the very key that the video and the settings give. The ledger saves
the reading: where video and shard look as they did when the shard was found whole, neither is read again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from extract.decoders._base import check_file
from extract.video import video_name
from tal import shards
from tal.errors import InputError, RemoteError
from tal.ledger import SUSPECT, Ledger, Record, stamp
from tal.pipeline.context import Context, patience_of
from tal.pipeline.engines import Recipe
from tal.pipeline.flow_folders import SavedFlow
from tal.pipeline.keys import absolute, shard_key, shard_path
from tal.pipeline.looks import Looks, noted_stamp
from tal.pipeline.outages import IN_A_ROW, Outage
from tal.pipeline.outlets import Outlet
from tal.pipeline.sources import Sources
from tal.pipeline.tally import Tally
from tal.progress import paced
from tal.settings import ExtractSettings


@dataclass(frozen=True)
class Target:
    """A folder of shards and how they are made.

    Attributes:
        ledger: Of the folder.
        saved: Where flow is written as images.
        sources: Where the videos come from.
        sink: Where the shards go from the folder, if that is elsewhere.
    """

    ctx: Context
    recipe: Recipe
    folder: Path
    ledger: Ledger
    saved: SavedFlow = field(default_factory=SavedFlow)
    sources: Sources = field(default_factory=Sources)
    sink: Outlet | None = None

    @cached_property
    def outlet(self) -> Outlet:
        """Where the shards go."""
        return self.sink or Outlet(self.folder)

    def is_there(self, path: Path, key: str, fresh: bool = False) -> bool:
        """Return whether nothing is left to be made of a video; `fresh` asks again what others may have made."""
        if not self.saved.is_kept(path, key) or self.ctx.cache.force:
            return False
        return self.outlet.is_current(shard_path(self.folder, path), key, fresh)

    @cached_property
    def looks(self) -> Looks:
        """What the videos look like."""
        return Looks(self.recipe, self.sources)

    def is_noted(self, path: Path, name: str, look: str, one: Record | None) -> bool:
        """Return whether nothing is left to be made, by the ledger's word: video and shard look as they did then.

        Both are asked for one by one: what a listing of a network folder says of its files may be old.
        """
        if one is None or not (noted := noted_stamp(one, look)) or self.ctx.cache.force:
            return False
        return self.stamp(name) == noted and self.saved.is_kept(path, one.key)

    def stamp(self, name: str) -> str:
        """Return what changes when the shard of a video of this name is replaced; empty where there is none."""
        if self.outlet.is_remote:
            return self.outlet.stamp(self.folder / f"{name}{shards.SUFFIX}")
        return stamp(f"{self._within}{name}{shards.SUFFIX}")

    @cached_property
    def _within(self) -> str:
        return os.path.join(self.folder, "")  # noqa: PTH118 - with a slash at its end

    def address(self, path: Path) -> str:
        """Return where a video lies, for the ledger."""
        return self.sources.address(path) or absolute(path)


class Survey:
    """Looks at videos one by one and remembers what is to be written down.

    Args:
        target: The folder.
        tally: Is told which videos failed.
        retry_failed: Whether poison videos are tried again.

    Attributes:
        waiting: Path to key of the videos that are to be made.
        suspects: The same of those with which processes died.
    """

    def __init__(self, target: Target, tally: Tally, retry_failed: bool) -> None:
        self.waiting: dict[Path, str] = {}
        self.suspects: dict[Path, str] = {}
        self._target, self._tally, self._retry = target, tally, retry_failed
        self._known = target.ledger.records()
        self._news: list[Record] = []
        self._outage = Outage(patience_of(target.ctx.settings.runtime), in_charge=True)

    def of(self, videos: Sequence[Path]) -> Survey:
        """Look at all of these, and write down what was found.

        Raises:
            StorageError: If disks or mounted folders are away for good; nothing is said then of who was not looked at.
            RemoteError: If a store is.
        """
        with self._target.ctx.progress.task("look", len(videos), "videos") as bar:
            for path in paced(videos, bar):
                if (key := self.pending(path)) is not None:
                    self._sort_in(path, key)
                if self._outage.has_ended:
                    del self._news[-IN_A_ROW:]
                    break
        self._target.ledger.put(self._news)
        self._target.ledger.expect(self._awaited())
        self._outage.check()
        return self

    def pending(self, path: Path) -> str | None:
        """Return the key of the shard that must be made, or None; empty where only fetching the video would tell."""
        try:
            found = self._outage.outlast(lambda: self._found(path))
        except (OSError, InputError, RemoteError) as error:
            self._outage.note(path, error)
            self._fail(path, f"{path}: cannot read: {error.strerror}" if isinstance(error, OSError) else str(error))
            return None
        self._outage.note(path)
        if isinstance(found, Record):
            self._news.append(found)
        return found if isinstance(found, str) else None

    def _found(self, path: Path) -> str | Record | None:
        """Return what `pending` does, or the record of a shard that the ledger does not know."""
        target, name = self._target, video_name(path)
        target.saved.check(path)
        look = self._look(path)
        if target.is_noted(path, name, look, self._known.get(name)):
            return None
        self._check(path)
        if not self._has_digest(path):
            return ""
        key = shard_key(path, target.recipe, target.ctx.cache)
        if not target.is_there(path, key):
            return key
        return target.outlet.record(shard_path(target.folder, path), look, target.address(path))

    def _look(self, path: Path) -> str:
        try:
            return self._target.looks.of(path)
        except OSError:
            self._check(path)
            raise

    def _check(self, path: Path) -> None:
        """Refuse what needs no decoder to be refused; a remote video is not here yet."""
        if not self._target.sources.is_remote(path):
            check_file(path)

    def _has_digest(self, path: Path) -> bool:
        """Return whether a video's digest can be told without fetching it; its outlet may remember it."""
        sources = self._target.sources
        if not sources.is_remote(path) or sources.digest(path):
            return True
        noted = self._target.outlet.source(video_name(path))
        if not noted or noted != sources.noted(path, noted.get("sha256", "")):
            return False
        sources.learn(path, noted["sha256"])
        return True

    def _sort_in(self, path: Path, key: str) -> None:
        one = self._known.get(video_name(path), Record(""))
        if one.state == "poison" and one.key == key and not self._retry:
            self._tally.failures[one.name] = one.note
        else:
            (self.suspects if one.crashes_with(key) >= SUSPECT else self.waiting)[path] = key

    def _fail(self, path: Path, reason: str) -> None:
        reason = self._target.sources.named(reason)
        self._tally.failures[video_name(path)] = reason
        self._news.append(Record(video_name(path), self._target.address(path), "failed", reason))

    def _awaited(self) -> Iterator[Record]:
        for path, key in {**self.waiting, **self.suspects}.items():
            name = video_name(path)
            crashes = self._known.get(name, Record("")).crashes_with(key)
            yield Record(name, self._target.address(path), key=key, crashes=crashes)


def usable(
    videos: Iterable[Path], sources: Sources, most: int, outage: Outage | None = None
) -> tuple[list[Path], dict[str, str]]:
    """Return the first files that may be videos, and the reasons why those before them cannot be, by name.

    A named pipe would be waited on for ever. Remote files may be videos.

    Raises:
        StorageError: If disks and mounted folders, for which `outage` waits, are away for good.
    """
    found: list[Path] = []
    reasons: dict[str, str] = {}
    for path in videos:
        if len(found) >= most:
            break
        try:
            if not sources.is_remote(path):
                _check_patiently(path, outage)
            found.append(path)
        except InputError as error:
            reasons[video_name(path)] = str(error)
    return found, reasons


def _check_patiently(path: Path, outage: Outage | None) -> None:
    if outage is None:
        check_file(path)
        return
    try:
        outage.outlast(lambda: check_file(path))
        outage.note(path)
    except InputError as error:
        outage.note(path, error)
        outage.check()
        raise


def first_usable(
    videos: Iterable[Path], sources: Sources, s: ExtractSettings, outage: Outage | None = None
) -> list[Path]:
    """Return the videos that random weights are calibrated on, the first by name, as far as shows without a decoder."""
    return usable(sorted(videos, key=video_name), sources, s.calibration_videos, outage)[0]
