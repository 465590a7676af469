"""What of a folder of shards is there already, and what is to be made.

A shard is there if its content was read whole under the very key that the video and the settings give. The ledger saves
the reading: where video and shard look as they did when the shard was found whole, neither is read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from extract.video import video_name
from tal import shards
from tal.errors import InputError
from tal.files import digest_of
from tal.ledger import SUSPECT, Ledger, Record, of_shard, stamp
from tal.pipeline.context import Context
from tal.pipeline.engines import Recipe
from tal.pipeline.flow_folders import SavedFlow
from tal.pipeline.keys import absolute, shard_key, shard_path
from tal.pipeline.tally import Tally


@dataclass(frozen=True)
class Target:
    """A folder of shards and how they are made.

    Attributes:
        ledger: Of the folder.
        saved: Where flow is written as images.
    """

    ctx: Context
    recipe: Recipe
    folder: Path
    ledger: Ledger
    saved: SavedFlow = field(default_factory=SavedFlow)

    def is_there(self, path: Path, key: str) -> bool:
        """Return whether nothing is left to be made of a video."""
        target = shard_path(self.folder, path)
        flow_is_there = self.saved.is_kept(path, key)
        return flow_is_there and not self.ctx.cache.force and target.exists() and shards.is_current(target, key)


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
        self._news = [Record(name, state="failed", note=reason) for name, reason in tally.failures.items()]
        self._looks = Looks(target.recipe)

    def of(self, videos: Sequence[Path]) -> Survey:
        """Look at all of these, and write down what was found."""
        with self._target.ctx.progress.task("look", len(videos), "videos") as bar:
            for path in videos:
                if key := self.pending(path):
                    self._sort_in(path, key)
                bar.advance(1, path.name)
        self._target.ledger.put(self._news)
        self._target.ledger.expect(self._awaited())
        return self

    def pending(self, path: Path) -> str | None:
        """Return the key of the shard that must be made, or None."""
        try:
            self._target.saved.check(path)
            look = self._looks.of(path)
            if self._is_known(path, look):
                return None
            key = shard_key(path, self._target.recipe, self._target.ctx.cache)
            if not self._target.is_there(path, key):
                return key
            self._news.append(of_shard(shard_path(self._target.folder, path), look, absolute(path)))
        except OSError as error:
            self._fail(path, f"{path}: cannot read: {error.strerror}")
        except InputError as error:
            self._fail(path, str(error))
        return None

    def _is_known(self, path: Path, look: str) -> bool:
        one = self._known.get(video_name(path))
        if one is None or not one.is_finished or not look or one.source != look or self._target.ctx.cache.force:
            return False
        return one.shard == stamp(shard_path(self._target.folder, path)) and self._target.saved.is_kept(path, one.key)

    def _sort_in(self, path: Path, key: str) -> None:
        one = self._known.get(video_name(path), Record(""))
        if one.state == "poison" and one.key == key and not self._retry:
            self._tally.failures[one.name] = one.note
        else:
            (self.suspects if one.crashes_with(key) >= SUSPECT else self.waiting)[path] = key

    def _fail(self, path: Path, reason: str) -> None:
        self._tally.failures[video_name(path)] = reason
        self._news.append(Record(video_name(path), absolute(path), "failed", reason))

    def _awaited(self) -> Iterator[Record]:
        for path, key in {**self.waiting, **self.suspects}.items():
            name = video_name(path)
            crashes = self._known.get(name, Record("")).crashes_with(key)
            yield Record(name, absolute(path), key=key, crashes=crashes)


class Looks:
    """What videos look like under one recipe: what changes when a video is replaced or its features would be others.

    Args:
        recipe: How features are made.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = "" if recipe.settings.reads_flow else _digest(recipe.key_fields)

    def of(self, path: Path) -> str:
        """Return a video's look; empty where it does not show, as that of a folder of flow images."""
        if not self._recipe:
            return ""
        found = path.stat()
        return f"{self._recipe}:{found.st_size}:{found.st_mtime_ns}:{absolute(path)}"


def _digest(fields: Mapping[str, object]) -> str:
    return digest_of(fields)[:16]
