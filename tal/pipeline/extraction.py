"""Videos -> one feature shard each; what is there and was made with the same settings is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from extract.video import video_name
from tal import shards
from tal.cache import Cache
from tal.ledger import Ledger
from tal.pipeline import speeds
from tal.pipeline.context import Context, context, patience_of
from tal.pipeline.digests import many_digests
from tal.pipeline.engines import Recipe, lend_extractor, recipe_for
from tal.pipeline.extract_reports import ExtractReport
from tal.pipeline.filling import Filling
from tal.pipeline.flow_folders import SavedFlow
from tal.pipeline.keys import EXTRACT, Paths, as_paths, check_unchanged, identity, key_of, shard_key, shard_path, source
from tal.pipeline.outages import Outage
from tal.pipeline.outlets import Outlet, open_outlet
from tal.pipeline.parts import WHOLE, Part, Selection
from tal.pipeline.sources import Sources, at_hand, open_sources
from tal.pipeline.supervising import Job, make_alone, supervise
from tal.pipeline.surveying import Survey, Target, first_usable, usable
from tal.pipeline.tally import Tally
from tal.progress import Progress
from tal.settings import Settings

if TYPE_CHECKING:
    from extract.features import Extractor

    Engines = Callable[[], Extractor]

__all__ = ["EXTRACT", "ExtractReport", "Paths", "as_paths", "extract", "features_of", "shard_key", "shard_path"]


def extract(
    videos: Paths,
    out: Path | str = "features",
    settings: Settings | None = None,
    *,
    part: Part = WHOLE,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    retry_failed: bool = False,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> ExtractReport:
    """Extract the features of videos into one shard per video.

    A video that fails is listed in the report and does not stop the others; the next call tries it again, unless the
    process that decoded it died. Several processes may fill one folder. What became of each video is written down in
    the folder's ledger (`tal.ledger`). With ``runtime.save_flow`` a video is also extracted if its flow images are not
    there.

    Args:
        videos: Video files and folders of them, or URLs, see `tal.storage`.
        out: Folder or URL for ``<video>.safetensors``.
        settings: Default: what the package ships.
        part: Which of the videos, for job arrays; random weights are calibrated on the first of all of them.
        only: Shell patterns; a video is worked on only if one fits its name, file name or path. None: all are.
        skip: Patterns of videos that are left alone.
        retry_failed: Whether videos whose process died are tried again, too.
        cache: Where calibrated weights and digests are remembered.
        progress: Who is told.

    Raises:
        InputError: If there are no videos, or two have the same name.
        ConfigError: If flow is to be written, but none is computed, or `only` fits no video.
        WeightsError: If the weights are not there.
        BackendError: If a decoder or flow engine that was asked for is not there, or the extracting process dies
            without a video in work.
        StorageError: If the folder cannot be written; what was finished before is kept.
        RemoteError: If a URL cannot be reached or used. Of what fails later, a video at a time is reported.
    """
    ctx, selection = context(settings, cache, progress), Selection(part, tuple(only), tuple(skip))
    return run_job(Job.of(as_paths(videos), Path(out), selection, retry_failed, ctx), ctx)


class Engine(Protocol):
    """What makes the shards of a job in place of this process and its children."""

    def recipe_for(self, ctx: Context, videos: Sequence[Path]) -> Recipe:
        """Decide how features are made."""

    def fill(self, filling: Filling, videos: Sequence[Path], job: Job) -> None:
        """Make what is not there."""


def run_job(job: Job, ctx: Context, engine: Engine | None = None) -> ExtractReport:
    """Do what `extract` was asked for, here or in a process that is watched, as ``runtime.isolate`` says."""
    with many_digests(ctx.cache) as cache:
        return _run_job(job, replace(ctx, cache=cache), engine)


def _run_job(job: Job, ctx: Context, engine: Engine | None) -> ExtractReport:
    with open_sources(job.videos, ctx) as (sources, told):
        return _run_with(job, told, engine, sources)


def _run_with(job: Job, ctx: Context, engine: Engine | None, sources: Sources) -> ExtractReport:
    started_s, outage = time.monotonic(), Outage(patience_of(ctx.settings.runtime), in_charge=True)
    found = outage.begin(lambda: sources.find(job.videos))
    mine = job.selection.of(found)
    some, reasons = usable(mine, sources, 1, outage)
    if not some:
        return ExtractReport({}, failures=reasons)
    calibrating = first_usable(found, sources, ctx.settings.extract, outage)
    saved = SavedFlow.of(ctx.settings)
    recipe = outage.begin(lambda: (engine.recipe_for if engine else recipe_for)(ctx, calibrating))
    tally, outlet = Tally(), open_outlet(job.out, ctx.cache.root, ctx.settings.runtime)
    with Ledger(outlet.folder, ctx.progress.say) as ledger:
        ledger.reap()
        filling = Filling(Target(ctx, recipe, outlet.folder, ledger, saved, sources, outlet), tally)
        (engine.fill if engine else _fill)(filling, mine, job)
    seconds = time.monotonic() - started_s
    if engine is None:
        used = ctx.settings.model_copy(update={"extract": recipe.settings})
        speeds.remember(ctx.cache, used, tally.n_snippets, seconds)
    return _report(tally, outlet, mine, seconds)


def _fill(filling: Filling, videos: Sequence[Path], job: Job) -> None:
    """Make what is not there; videos with which processes died go last, each in a process of its own."""
    isolate = filling.target.ctx.settings.runtime.isolate
    found = Survey(filling.target, filling.tally, job.retry_failed).of(videos)
    waiting, suspects = found.waiting, found.suspects
    if isolate == "all" and (waiting or suspects):
        left = frozenset(video_name(path) for path in (*waiting, *suspects))
        supervise(filling, replace(job, selection=replace(job.selection, names=left)))
        return
    if isolate == "none":
        waiting, suspects = {**waiting, **suspects}, {}
    if waiting:
        filling.make_all(waiting)
    for path, key in suspects.items():
        make_alone(filling, path, key, job)


def _report(tally: Tally, outlet: Outlet, videos: Sequence[Path], seconds: float) -> ExtractReport:
    """Put together what happened, videos in their order whatever finished first."""
    names, made = {video_name(path): path for path in videos}, set(tally.made)
    return ExtractReport(
        {n: outlet.address(shard_path(outlet.folder, path)) for n, path in names.items() if n not in tally.failures},
        tuple(name for name in names if name in made),
        {name: tally.failures[name] for name in names if name in tally.failures},
        {name: tally.remarks[name] for name in names if name in tally.remarks},
        tally.n_snippets,
        seconds,
        tally.duration_s / 3600,
        tally.seconds_by_stage,
    )


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
            at_hand(ctx.cache, video),
        ):
            features = (engines or own)().extract(video, identity(video, recipe.settings, ctx.cache), bar.advance)
        check_unchanged(video, key, recipe, ctx.cache)
        shards.write(work / f"{video_name(video)}{shards.SUFFIX}", features, key)

    entry = ctx.cache.get(EXTRACT, {**digests, **recipe.key_fields}, make)
    return next(entry.path.glob(f"*{shards.SUFFIX}"))
