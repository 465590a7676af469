"""Detections, and whatever else there is about them -> one HTML file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tal.report as pages
from extract.video import find_videos, video_name
from tal import config
from tal.annotations import Truth, read_truth
from tal.cache import Cache
from tal.errors import InputError
from tal.pipeline.action_models import ActionModel, TrainedModel
from tal.pipeline.context import context
from tal.pipeline.keys import Paths, as_paths
from tal.pipeline.learning import MODEL
from tal.pipeline.localizing import gather_shards, model_settings, open_model, shards_in
from tal.pipeline.report_figures import overview_of
from tal.pipeline.timelines import Shards, gather, videos_by_name
from tal.progress import Progress, Silent
from tal.results import Results, read_results
from tal.settings import Settings

DETECTIONS = "detections.json"
MOST_THUMBNAILS, FEWEST_THUMBNAILS, THUMBNAILS_IN_ALL = 40, 8, 1200


@dataclass(frozen=True)
class ReportOptions:
    """How a report looks.

    Attributes:
        title: Its heading; None: named after what it is about.
        embed: Write the videos into the file.
        min_score: Detections with a lower score are left out of the videos' pages; tables and figures count them.
        thumbnails: Whether videos that are at hand are shown as small pictures along the time line.
    """

    title: str | None = None
    embed: bool = False
    min_score: float | None = None
    thumbnails: bool = True


@dataclass(frozen=True)
class Report:
    """A report that was written.

    Attributes:
        path: The file.
        n_videos: Videos in it.
        n_at_hand: Those of them whose video file was found.
        n_bytes: Size of the file.
    """

    path: Path
    n_videos: int
    n_at_hand: int
    n_bytes: int


def report(  # noqa: PLR0913 - each names one kind of material, and all but one may be missing
    source: Path | str | Results,
    output: Path | str = "report.html",
    *,
    truth: Path | str | Truth | None = None,
    videos: Paths = (),
    features: Shards = None,
    activations: Path | str | None = None,
    model: Path | str | ActionModel | None = None,
    options: ReportOptions | None = None,
    settings: Settings | None = None,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> Report:
    """Write a report: one HTML file that opens from disk with no network.

    Args:
        source: A run folder, a file of detections, or results that were read. Of a run folder, its model, metrics and
            evaluation are shown, too, and the shards in ``../../features``, where ``tal run`` puts them.
        output: The file; links to videos are relative to it.
        truth: Ground truth: drawn below detections, and compared with them.
        videos: Video files and folders of them.
        features: Shards: for durations and marks and, with a model, curves.
        activations: Folder that ``tal localize --activations`` wrote: for curves.
        model: A run folder or its model, for curves; default: the one of a run folder.
        options: Title, embedding, least score.
        settings: Its `evaluate` section counts; default: the run's, or the shipped ones. Where it names no subset, the
            one that the run's evaluation is about.
        cache: Where activations are kept.
        progress: Who is told.

    Raises:
        InputError: If something that is named is missing.
        AnnotationError: If detections or truth are not what they should be.
        ConfigError: If a subset must be named.
        StorageError: If the file cannot be written.
    """
    run, results = _opened(source)
    chosen, ctx = options or ReportOptions(), context(settings or report_settings(source), cache, progress)
    known = read_truth(Path(truth)) if isinstance(truth, str | Path) else truth
    model, features = _of_run(run, model, features)
    at_hand = videos_by_name(as_paths(videos))
    shown = results if chosen.min_score is None else _above(results, chosen.min_score)
    timelines = gather(
        shown,
        truth=known,
        model=model,
        features=features,
        activations=activations,
        videos=list(at_hand.values()),
        settings=ctx.settings,
        cache=ctx.cache,
        progress=ctx.progress,
    )
    overview = overview_of(results, known, run, ctx) if len(results.by_video) != 1 else None
    path, n = Path(output), len(results.by_video)
    media = pages.Media(path.parent, chosen.embed, _n_thumbnails(n) if chosen.thumbnails else 0)
    pages.write(pages.Page(chosen.title or _title(source, results, run), timelines, overview, media), path)
    return Report(path, n, len(at_hand.keys() & results.by_video.keys()), path.stat().st_size)


def report_settings(
    source: Path | str | Results,
    files: Sequence[Path] = (),
    sets: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings of a run folder, else the shipped ones, overlaid with the given ones.

    Raises:
        ConfigError: For an unknown key or value.
    """
    run = None if isinstance(source, Results) else Path(source)
    if run is not None and run.is_dir() and (run / MODEL).is_file():
        return model_settings(run, files, sets, options)
    return config.load(files=files, sets=sets, options=options)


def report_localized(
    results: Results,
    output: Path | str,
    videos: Paths,
    model: Path | str | None = None,
    settings: Settings | None = None,
    *,
    features: Path | str | None = None,
    options: ReportOptions | None = None,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> Report:
    """Write a report of what `tal.pipeline.localize` has just found, with its curves: all of it is in the cache.

    The arguments are those of `localize`, and of `report`.
    """
    ctx = replace(context(settings or model_settings(model), cache, progress), progress=Silent())
    folder, given = Path(features) if features else None, as_paths(videos)
    if folder and model and not given:
        chosen: ActionModel = TrainedModel(Path(model), ctx.settings.runtime.device)
        files, at_hand = shards_in(folder)[0], []
    else:
        at_hand = [path for path in find_videos(given) if video_name(path) in results.by_video]
        chosen, recipe = open_model(model, at_hand, ctx)
        files = gather_shards(at_hand, recipe, folder, ctx)[0]
    return report(
        results,
        output,
        videos=at_hand,
        features=files,
        model=chosen,
        options=options,
        settings=ctx.settings,
        cache=cache,
        progress=progress,
    )


def _opened(source: Path | str | Results) -> tuple[Path | None, Results]:
    """Return the run folder, if it is one, and the detections."""
    if isinstance(source, Results):
        return None, source
    path = Path(source)
    if not path.is_dir():
        return None, read_results(path)
    if not (path / DETECTIONS).is_file():
        raise InputError(
            f"{path}: no {DETECTIONS} in this folder; write them with "
            f"'tal localize VIDEOS --model {path} -o {path / DETECTIONS}'"
        )
    return path, read_results(path / DETECTIONS)


def _of_run(
    run: Path | None, model: Path | str | ActionModel | None, features: Shards
) -> tuple[Path | str | ActionModel | None, Shards]:
    """Return the model and the features: the given ones, else those that lie with a run."""
    if run is None:
        return model, features
    own = run if (run / MODEL).is_file() else None
    return model or own, _beside(run) if features is None else features


def _beside(run: Path) -> Path | None:
    """Return the folder of features that ``tal run`` filled, if it is there."""
    folder = run.absolute().parent.parent / "features"
    return folder if folder.is_dir() else None


def _above(results: Results, least: float) -> Results:
    kept = {name: tuple(d for d in found if d.score >= least) for name, found in results.by_video.items()}
    return replace(results, by_video=kept)


def _n_thumbnails(n_videos: int) -> int:
    return max(FEWEST_THUMBNAILS, min(MOST_THUMBNAILS, THUMBNAILS_IN_ALL // max(n_videos, 1)))


def _title(source: Path | str | Results, results: Results, run: Path | None) -> str:
    if run is not None:
        return _shown(run.resolve().name)
    if len(results.by_video) == 1:
        return next(iter(results.by_video))
    return "Detections" if isinstance(source, Results) else _shown(Path(source).stem)


def _shown(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
