"""What of a folder of shards is there already, and what is to be made.

A shard is there if its content was read whole under the very key that the video and the settings give. The ledger saves
the reading: where video and shard look as they did when the shard was found whole, neither is read again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from extract.decoders._base import check_file
from extract.video import video_name
from tal import shards
from tal.errors import InputError, RemoteError
from tal.files import digest_of
from tal.ledger import SUSPECT, Ledger, Record, stamp
from tal.pipeline.context import Context
from tal.pipeline.engines import Recipe
from tal.pipeline.flow_folders import SavedFlow
from tal.pipeline.keys import absolute, shard_key, shard_path
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

    def of(self, videos: Sequence[Path]) -> Survey:
        """Look at all of these, and write down what was found."""
        with self._target.ctx.progress.task("look", len(videos), "videos") as bar:
            for path in paced(videos, bar):
                if (key := self.pending(path)) is not None:
                    self._sort_in(path, key)
        self._target.ledger.put(self._news)
        self._target.ledger.expect(self._awaited())
        return self

    def pending(self, path: Path) -> str | None:
        """Return the key of the shard that must be made, or None; empty where only fetching the video would tell."""
        try:
            self._target.saved.check(path)
            look = self._look(path)
            name = video_name(path)
            if self._target.is_noted(path, name, look, self._known.get(name)):
                return None
            self._check(path)
            if not self._has_digest(path):
                return ""
            key = shard_key(path, self._target.recipe, self._target.ctx.cache)
            if not self._target.is_there(path, key):
                return key
            shard = shard_path(self._target.folder, path)
            self._news.append(self._target.outlet.record(shard, look, self._target.address(path)))
        except OSError as error:
            self._fail(path, f"{path}: cannot read: {error.strerror}")
        except (InputError, RemoteError) as error:
            self._fail(path, str(error))
        return None

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


class Looks:
    """What videos look like under one recipe: what changes when a video is replaced or its features would be others.

    Args:
        recipe: How features are made.
        sources: Where the videos come from.
    """

    def __init__(self, recipe: Recipe, sources: Sources | None = None) -> None:
        self._sources = sources or Sources()
        self._recipe = "" if recipe.settings.reads_flow else _digest(recipe.key_fields)

    def of(self, path: Path) -> str:
        """Return a video's look; empty where it does not show, as that of a folder of flow images."""
        if not self._recipe:
            return ""
        look = self._sources.look(path)
        if look is not None:
            return look and f"{self._recipe}:{look}:{self._sources.address(path)}"
        found = os.stat(path)  # noqa: PTH116 - half the time of path.stat()
        return f"{self._recipe}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}:{absolute(path)}"


def noted_stamp(one: Record, look: str) -> str:
    """Return the stamp of the shard that a record vouches for if the video still looks as it does now, else nothing."""
    return one.shard if one.is_finished and look and one.source == look else ""


def usable(videos: Iterable[Path], sources: Sources, most: int) -> tuple[list[Path], dict[str, str]]:
    """Return the first files that may be videos, and the reasons why those before them cannot be, by name.

    A named pipe would be waited on for ever. Remote files may be videos.
    """
    found: list[Path] = []
    reasons: dict[str, str] = {}
    for path in videos:
        if len(found) >= most:
            break
        try:
            if not sources.is_remote(path):
                check_file(path)
            found.append(path)
        except InputError as error:
            reasons[video_name(path)] = str(error)
    return found, reasons


def first_usable(videos: Iterable[Path], sources: Sources, s: ExtractSettings) -> list[Path]:
    """Return the videos that random weights are calibrated on, the first by name, as far as shows without a decoder."""
    return usable(sorted(videos, key=video_name), sources, s.calibration_videos)[0]


def _digest(fields: Mapping[str, object]) -> str:
    return digest_of(fields)[:16]
