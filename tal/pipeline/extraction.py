"""Videos -> one feature shard each; what is there and was made with the same settings is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.decoders._base import check_file
from extract.video import find_videos, video_name
from tal import shards
from tal.cache import Cache
from tal.errors import InputError
from tal.pipeline import speeds
from tal.pipeline.context import Context, context
from tal.pipeline.engines import Recipe, lend_extractor, recipe_for
from tal.pipeline.filling import Filling
from tal.pipeline.flow_folders import SavedFlow
from tal.pipeline.keys import EXTRACT, Paths, as_paths, check_unchanged, identity, key_of, shard_key, shard_path, source
from tal.pipeline.parts import WHOLE, Part
from tal.progress import Progress
from tal.settings import Settings

if TYPE_CHECKING:
    from extract.features import Extractor

    Engines = Callable[[], Extractor]

__all__ = ["EXTRACT", "ExtractReport", "Paths", "as_paths", "extract", "features_of", "shard_key", "shard_path"]


@dataclass(frozen=True)
class ExtractReport:
    """What an extraction did.

    Attributes:
        shards: Video name to its shard, of all videos that succeeded.
        made: Names of the videos whose shard was made now.
        failures: Video name to the one-line reason of its failure.
        remarks: Video name to what is missing in it, of videos read now that are damaged and were used all the same.
        n_snippets: Snippets in the shards made now.
        seconds: Wall time.
        hours: Length of the videos whose shard was made now.
        seconds_by_stage: How long each stage's own thread worked on it, waiting for other stages left out; stages
            overlap, so that together they may work longer than `seconds`, and shares are of their sum.
    """

    shards: Mapping[str, Path]
    made: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)
    n_snippets: int = 0
    seconds: float = 0.0
    hours: float = 0.0
    seconds_by_stage: Mapping[str, float] = field(default_factory=dict)

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the videos whose shard was there before."""
        return tuple(name for name in self.shards if name not in set(self.made))

    @property
    def snippets_per_s(self) -> float:
        """Snippets made per second of wall time; 0 where none was made."""
        return self.n_snippets / self.seconds if self.seconds else 0.0

    @property
    def times_real_time(self) -> float:
        """Seconds of video per second of wall time."""
        return self.hours * 3600 / self.seconds if self.seconds else 0.0

    @property
    def share_by_stage(self) -> dict[str, float]:
        """Each stage's part of all stages' work; the parts add up to 1. Empty where no stage worked."""
        total = sum(self.seconds_by_stage.values())
        return {name: worked / total for name, worked in self.seconds_by_stage.items() if worked} if total else {}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "shards": {name: str(path) for name, path in self.shards.items()},
            "made": list(self.made),
            "kept": list(self.kept),
            "failures": dict(self.failures),
            "remarks": dict(self.remarks),
            "n_snippets": self.n_snippets,
            "hours": self.hours,
            "seconds": self.seconds,
            "snippets_per_s": self.snippets_per_s,
            "times_real_time": self.times_real_time,
            "seconds_by_stage": dict(self.seconds_by_stage),
            "share_by_stage": self.share_by_stage,
        }


def extract(
    videos: Paths,
    out: Path | str = "features",
    settings: Settings | None = None,
    *,
    part: Part = WHOLE,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> ExtractReport:
    """Extract the features of videos into one shard per video.

    A video that fails is listed in the report and does not stop the others. Several processes may fill one folder.
    With ``runtime.save_flow`` a video is also extracted if its flow images are not there.

    Args:
        videos: Video files and folders of them.
        out: Folder for ``<video>.safetensors``.
        settings: Default: what the package ships.
        part: Which of the videos, for job arrays; random weights are calibrated on the first of all of them.
        cache: Where calibrated weights and digests are remembered.
        progress: Who is told.

    Raises:
        InputError: If there are no videos, or two have the same name.
        ConfigError: If flow is to be written, but none is computed.
        WeightsError: If the weights are not there.
        BackendError: If a decoder or flow engine that was asked for is not there.
        StorageError: If the folder cannot be written; what was finished before is kept.
    """
    ctx, found, started_s = context(settings, cache, progress), find_videos(as_paths(videos)), time.monotonic()
    reasons = unusable(found)
    usable = [path for path in found if video_name(path) not in reasons]
    mine = [path for path in usable if part.holds(video_name(path))]
    reasons = {name: reason for name, reason in reasons.items() if part.holds(name)}
    if not mine:
        return ExtractReport({}, failures=reasons)
    saved = SavedFlow.of(ctx.settings)
    filling = Filling(ctx, recipe_for(ctx, usable), Path(out), saved, failures=reasons)
    waiting = {path: key for path in mine if (key := filling.pending(path))}
    if waiting:
        filling.make_all(waiting)
    seconds = time.monotonic() - started_s
    used = ctx.settings.model_copy(update={"extract": filling.recipe.settings})
    speeds.remember(ctx.cache, used, filling.n_snippets, seconds)
    return _report(filling, [path for path in found if part.holds(video_name(path))], seconds)


def _report(filling: Filling, videos: Sequence[Path], seconds: float) -> ExtractReport:
    """Put together what happened, videos in their order whatever finished first."""
    names = {video_name(path): path for path in videos}
    return ExtractReport(
        {n: shard_path(filling.folder, path) for n, path in names.items() if n not in filling.failures},
        tuple(name for name in names if name in set(filling.made)),
        {name: filling.failures[name] for name in names if name in filling.failures},
        {name: filling.remarks[name] for name in names if name in filling.remarks},
        filling.n_snippets,
        seconds,
        filling.duration_s / 3600,
        filling.seconds_by_stage,
    )


def unusable(videos: Sequence[Path]) -> dict[str, str]:
    """Return the reasons why files cannot be videos; a named pipe would be waited on for ever."""
    reasons = {}
    for path in videos:
        try:
            check_file(path)
        except InputError as error:
            reasons[video_name(path)] = str(error)
    return reasons


@contextmanager
def opened_once(recipe: Recipe, ctx: Context) -> Iterator[Engines]:
    """Lend what opens the engines when they are first asked for, and gives the same ones again afterwards."""
    with ExitStack() as stack:
        opened: list[Extractor] = []

        def extractor() -> Extractor:
            if not opened:
                opened.append(stack.enter_context(lend_extractor(recipe, ctx)))
            return opened[0]

        yield extractor


def features_of(video: Path, recipe: Recipe, ctx: Context, engines: Engines | None = None) -> Path:
    """Return the shard of a single video from the cache, made if need be.

    Args:
        video: The video.
        recipe: How its features are made.
        ctx: Where they are kept.
        engines: Of `opened_once`, for several videos; by default they are opened for this one.
    """
    digests = source(video, recipe.settings, ctx.cache)
    key = key_of(digests, recipe.key_fields)

    def make(work: Path) -> None:
        with (
            opened_once(recipe, ctx) as own,
            ctx.progress.task(f"extract {video.name}", None, "snippets") as bar,
        ):
            features = (engines or own)().extract(video, identity(video, recipe.settings, ctx.cache), bar.advance)
        check_unchanged(video, key, recipe, ctx.cache)
        shards.write(work / f"{video_name(video)}{shards.SUFFIX}", features, key)

    entry = ctx.cache.get(EXTRACT, {**digests, **recipe.key_fields}, make)
    return next(entry.path.glob(f"*{shards.SUFFIX}"))
