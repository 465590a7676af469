"""Videos -> one feature shard each; what is there and was made with the same settings is kept."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

import tal
from extract.decoders._base import check_file
from extract.reports import DecodeReport
from extract.video import find_videos, video_name
from tal import shards
from tal.cache import Cache, Stage
from tal.errors import InputError, StorageError, TalError, VideoError
from tal.files import digest_of, storage_errors
from tal.pipeline.context import Context, context
from tal.pipeline.engines import Recipe, lend_extractor, recipe_for
from tal.progress import Progress, Task
from tal.settings import Settings

if TYPE_CHECKING:
    from extract.features import Extractor

EXTRACT = Stage("extract", version=2)
Paths = Path | str | Sequence[Path | str]


@dataclass(frozen=True)
class ExtractReport:
    """What an extraction did.

    Attributes:
        shards: Video name to its shard, of all videos that succeeded.
        made: Names of the videos whose shard was made now.
        failures: Video name to the one-line reason of its failure.
        remarks: Video name to what is missing in it, of videos read now that are damaged and were used all the same.
        n_snippets: Snippets computed now.
        seconds: Wall time.
    """

    shards: Mapping[str, Path]
    made: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)
    n_snippets: int = 0
    seconds: float = 0.0


def extract(
    videos: Paths,
    out: Path | str = "features",
    settings: Settings | None = None,
    *,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> ExtractReport:
    """Extract the features of videos into one shard per video.

    A video that fails is listed in the report and does not stop the others.

    Args:
        videos: Video files and folders of them.
        out: Folder for ``<video>.safetensors``.
        settings: Default: what the package ships.
        cache: Where calibrated weights and digests are remembered.
        progress: Who is told.

    Raises:
        InputError: If there are no videos, or two have the same name.
        WeightsError: If the weights are not there.
        BackendError: If a decoder or flow engine that was asked for is not there.
    """
    ctx, found, started = context(settings, cache, progress), find_videos(as_paths(videos)), time.monotonic()
    unusable = _unusable(found)
    usable = [path for path in found if video_name(path) not in unusable]
    if not usable:
        return ExtractReport({}, failures=unusable)
    job = _Job(ctx, recipe_for(ctx, usable), Path(out), failures=unusable)
    waiting = {path: key for path in usable if (key := job.pending(path))}
    if waiting:
        job.make_all(waiting)
    done = {video_name(p): shard_path(job.folder, p) for p in usable if video_name(p) not in job.failures}
    seconds = time.monotonic() - started
    return ExtractReport(done, tuple(job.made), job.failures, job.remarks, job.n_snippets, seconds)


def _unusable(videos: Sequence[Path]) -> dict[str, str]:
    """Return the reasons why files cannot be videos; a named pipe would be waited on for ever."""
    reasons = {}
    for path in videos:
        try:
            check_file(path)
        except InputError as error:
            reasons[video_name(path)] = str(error)
    return reasons


def as_paths(videos: Paths) -> list[Path]:
    """Return one path or several as a list of paths."""
    return [Path(videos)] if isinstance(videos, str | Path) else [Path(one) for one in videos]


def shard_path(folder: Path, video: Path) -> Path:
    """Return where a video's shard lies."""
    return folder / f"{video_name(video)}{shards.SUFFIX}"


def shard_key(video: Path, recipe: Recipe, cache: Cache) -> str:
    """Return the digest of everything that determines a video's features."""
    fields = {"stage": EXTRACT.name, "version": EXTRACT.version, "video": cache.sha256(video), **recipe.key_fields}
    return digest_of(fields)


def features_of(video: Path, recipe: Recipe, ctx: Context) -> Path:
    """Return the shard of a single video from the cache, made if need be."""
    fields = {"video": ctx.cache.sha256(video), **recipe.key_fields}
    key = shard_key(video, recipe, ctx.cache)

    def make(work: Path) -> None:
        with (
            lend_extractor(recipe, ctx) as extractor,
            ctx.progress.task(f"extract {video.name}", None, "snippets") as bar,
        ):
            features = extractor.extract(video, _identity(video, ctx.cache), bar.advance)
        _check_unchanged(video, key, recipe, ctx.cache)
        shards.write(work / f"{video_name(video)}{shards.SUFFIX}", features, key)

    return next(ctx.cache.get(EXTRACT, fields, make).path.glob(f"*{shards.SUFFIX}"))


@dataclass
class _Job:
    """One batch of videos on its way to a folder of shards."""

    ctx: Context
    recipe: Recipe
    folder: Path
    made: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    n_snippets: int = 0

    def pending(self, path: Path) -> str | None:
        """Return the key of the shard that must be made, or None."""
        try:
            key = shard_key(path, self.recipe, self.ctx.cache)
        except OSError as error:
            self.failures[video_name(path)] = f"{path}: cannot read: {error.strerror}"
            return None
        target = shard_path(self.folder, path)
        return None if not self.ctx.cache.force and target.exists() and shards.is_current(target, key) else key

    def make_all(self, waiting: Mapping[Path, str]) -> None:
        """Make the shards of the waiting videos, going on after one that fails."""
        progress = self.ctx.progress
        with (
            lend_extractor(self.recipe, self.ctx) as extractor,
            progress.task("extract", len(waiting), "videos") as bar,
            progress.task("features", None, "snippets") as snippets,
        ):
            for path, key in waiting.items():
                try:
                    self._make(path, key, extractor, snippets)
                except StorageError:
                    raise
                except TalError as error:
                    self.failures[video_name(path)] = str(error)
                    progress.say(f"failed: {error}")
                bar.advance(1, video_name(path))

    def _make(self, path: Path, key: str, extractor: Extractor, bar: Task) -> None:
        def count(n: int) -> None:
            self.n_snippets += n
            bar.advance(n)

        target = shard_path(self.folder, path)
        with storage_errors(self.folder), _lock(self.folder, path):
            if self.ctx.cache.force or not shards.is_current(target, key):
                features = extractor.extract(path, _identity(path, self.ctx.cache), count)
                _check_unchanged(path, key, self.recipe, self.ctx.cache)
                shards.write(target, features, key)
                self.made.append(video_name(path))
                self._remark(path, DecodeReport.from_dict(features.provenance["video"]["decode"]))

    def _remark(self, path: Path, report: DecodeReport) -> None:
        if remark := report.remark():
            self.remarks[video_name(path)] = remark
            self.ctx.progress.say(f"{path}: {remark}")


def _check_unchanged(video: Path, key: str, recipe: Recipe, cache: Cache) -> None:
    """Refuse a shard under the digest of another content than was read."""
    try:
        same = shard_key(video, recipe, cache) == key
    except OSError:
        same = False
    if not same:
        raise VideoError(f"{video}: changed while it was read; run again when nothing writes to it")


def _lock(folder: Path, video: Path) -> FileLock:
    """Let one process at a time work on a video's shard."""
    (folder / ".locks").mkdir(parents=True, exist_ok=True)
    return FileLock(str(folder / ".locks" / f"{video_name(video)}.lock"))


def _identity(video: Path, cache: Cache) -> dict[str, Any]:
    return {"name": f"{video_name(video)}{video.suffix}", "sha256": cache.sha256(video), "tal": tal.__version__}
