"""Videos and a trained model, or I3D's own 400 classes -> detections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

import tal
from extract.decoders._base import check_file
from extract.video import video_name
from tal import config, models, shards
from tal.cache import Cache, Stage
from tal.errors import BatchError, InputError, TalError
from tal.files import place, write_atomic
from tal.pipeline import guides
from tal.pipeline.action_models import ActionModel, TrainedModel
from tal.pipeline.context import Context, context
from tal.pipeline.engines import Recipe, recipe_for, recipe_of
from tal.pipeline.extraction import Paths, as_paths, features_of, opened_once, shard_key, shard_path
from tal.pipeline.guides import read_activations
from tal.pipeline.kinetics import kinetics_model, preset
from tal.pipeline.sources import is_remote, open_sources
from tal.progress import Progress
from tal.results import Results, dumps, read_results, write_results
from tal.settings import Settings
from tal.types import Activations

if TYPE_CHECKING:
    from tal.pipeline.extraction import Engines

ACTIVATE = Stage("activate", version=1)
ACTIVATIONS = "activations.safetensors"
LOCALIZE = Stage("localize", version=1)


def localize(
    videos: Paths,
    model: Path | str | None = None,
    settings: Settings | None = None,
    *,
    features: Path | str | None = None,
    activations: Path | str | None = None,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> Results:
    """Find when actions happen in videos.

    Args:
        videos: Video files and folders of them, or URLs (`tal.storage`); none for all videos whose shards lie in
            `features`.
        model: A run folder or its ``model.safetensors``. None: the 400 classes of Kinetics, by I3D's own head.
        settings: Default: `model_settings` of the model. A trained model's features are always made as in training.
        features: Folder in which fitting shards are looked for first.
        activations: Folder to write each video's `Activations` to, ``<video>.safetensors`` with ``<network>/cas`` and
            the others: for reports, or as a ``train.guide``.
        cache: Where features, activations and detections are kept.
        progress: Who is told.

    Raises:
        BatchError: If some of several videos failed; its `results` holds the others.
        TalError: If the only video failed.
    """
    ctx, given = context(settings or model_settings(model), cache, progress), as_paths(videos)
    folder = Path(features) if features else None
    if folder and model and not given:
        chosen: ActionModel = TrainedModel(Path(model), ctx.settings.runtime.device)
        files, failures = shards_in(folder)
    else:
        chosen, files, failures = _of_videos(given, model, folder, ctx)
    results = _localize_shards(files, chosen, ctx)[0]
    if activations:
        _write_activations(files, chosen, Path(activations), ctx.cache)
    if failures:
        raise LocalizeBatchError(results, failures)
    return results


def _of_videos(
    given: Sequence[Path], model: Path | str | None, folder: Path | None, ctx: Context
) -> tuple[ActionModel, dict[str, Path], dict[str, str]]:
    """Return what finds actions in these videos, their shards, and why there are none for some."""
    with open_sources(given, ctx) as (sources, told):
        found = sources.find(given)
        chosen, recipe = open_model(model, found, told)
        files, failures = gather_shards(found, recipe, folder, told)
    return chosen, files, {name: sources.named(reason) for name, reason in failures.items()}


def open_model(model: Path | str | None, videos: Sequence[Path], ctx: Context) -> tuple[ActionModel, Recipe]:
    """Return a trained model, or I3D's own 400 classes, and how the features are made that it reads."""
    if model is None:
        kinetics = kinetics_model(videos, ctx)
        return kinetics, kinetics.recipe
    trained = TrainedModel(Path(model), ctx.settings.runtime.device)
    made = trained.meta.features  # nothing is known of an imported model's
    return trained, recipe_of(made, ctx) if made else recipe_for(ctx, videos)


class LocalizeBatchError(BatchError):
    """Some videos failed; `results` holds the detections of the others."""

    def __init__(self, results: Results, failures: dict[str, str]) -> None:
        super().__init__(f"{len(failures)} of {len(failures) + len(results.by_video)} videos failed", failures)
        self.results = results


def model_settings(
    model: Path | str | None,
    files: Sequence[Path] = (),
    sets: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings a model was trained with, or None's for Kinetics-400 classes, overlaid with the given ones.

    Raises:
        ConfigError: For an unknown key or value.
        ModelError: If there is no such model.
    """
    if model is None:
        return config.load(files=[preset(), *files], sets=sets, options=options)
    return config.load(files=files, sets=sets, options=options, base=models.read_meta(Path(model)).settings)


def localize_shards(files: Mapping[str, Path], model: Path | str, ctx: Context) -> tuple[Results, bool]:
    """Find the actions in videos whose shards are given; also say whether that was in the cache.

    Args:
        files: Video name to shard.
        model: A run folder or its ``model.safetensors``.
        ctx: The `localize` section of its settings counts.
    """
    return _localize_shards(files, TrainedModel(Path(model), ctx.settings.runtime.device), ctx)


def _localize_shards(files: Mapping[str, Path], model: ActionModel, ctx: Context) -> tuple[Results, bool]:
    digests = {name: shards.header(path).digest for name, path in files.items()}
    plain = ctx.settings.localize.model_dump(mode="json")
    fields = {"model": model.identity, "shards": digests, "localize": plain}

    def make(work: Path) -> None:
        write_results(work / "detections.json", _locate_all(files, digests, model, ctx))

    entry = ctx.cache.get(LOCALIZE, fields, make)
    results = read_results(entry.path / "detections.json")
    _explain_empty(results, ctx)
    return results, entry.hit


def gather_shards(
    videos: Sequence[Path], recipe: Recipe, folder: Path | None, ctx: Context
) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the shard of each video, and why there is none for some."""
    files: dict[str, Path] = {}
    failures: dict[str, str] = {}
    with opened_once(recipe, ctx) as engines, ctx.progress.task("videos", len(videos), "videos") as bar:
        for video in videos:
            try:
                files[video_name(video)] = _shard_of(video, folder, recipe, ctx, engines)
            except TalError as error:
                if len(videos) == 1:
                    raise
                failures[video_name(video)] = str(error)
                ctx.progress.say(f"failed: {error}")
            bar.advance(1, video_name(video))
    return files, failures


def shards_in(folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the shard of each video in a folder, and what is wrong with some."""
    paths = sorted(folder.glob(f"*{shards.SUFFIX}"))
    if not paths:
        raise InputError(f"{folder}: no shards; make some with 'tal extract' or 'tal import-features'")
    files: dict[str, Path] = {}
    failures: dict[str, str] = {}
    for path in paths:
        try:
            shards.header(path)
            files[path.stem] = path
        except TalError as error:
            failures[path.stem] = str(error)
    return files, failures


def _shard_of(video: Path, folder: Path | None, recipe: Recipe, ctx: Context, engines: Engines) -> Path:
    if not is_remote(ctx.cache, video):
        check_file(video)
    there = shard_path(folder, video) if folder else None
    if there and there.exists() and shards.is_current(there, shard_key(video, recipe, ctx.cache)):
        return there
    return features_of(video, recipe, ctx, engines)


def _locate_all(files: Mapping[str, Path], digests: Mapping[str, str], model: ActionModel, ctx: Context) -> Results:
    settings = ctx.settings.localize
    found, empty = {}, {}
    with ctx.progress.task("localize", len(files), "videos") as bar:
        for name, path in files.items():
            activations, about = activations_of(path, digests[name], model, ctx.cache), shards.header(path)
            located = model.locate(activations, about.grid, about.duration_s, settings)
            found[name] = located.detections
            if located.reason:
                empty[name] = located.reason
            bar.advance(1, name)
    plain = settings.model_dump(mode="json")
    return Results(found, {"tal": tal.__version__, **model.provenance, "localize": plain, "empty": empty})


def activations_of(path: Path, digest: str, model: ActionModel, cache: Cache) -> dict[str, Activations]:
    """Return what the model says about one video, from the cache or computed."""
    return read_activations(_activation_file(path, digest, model, cache))


def _activation_file(path: Path, digest: str, model: ActionModel, cache: Cache) -> Path:
    def make(work: Path) -> None:
        parts = {
            f"{network}/{name}": np.ascontiguousarray(values)
            for network, one in model.activate(shards.read(path)).items()
            for name, values in vars(one).items()
        }
        (work / ACTIVATIONS).write_bytes(save(parts))

    return cache.get(ACTIVATE, {"model": model.identity, "shard": digest}, make).path / ACTIVATIONS


def _write_activations(files: Mapping[str, Path], model: ActionModel, folder: Path, cache: Cache) -> None:
    for name, path in files.items():
        place(_activation_file(path, shards.header(path).digest, model, cache), folder / f"{name}{guides.SUFFIX}")


def _explain_empty(results: Results, ctx: Context) -> None:
    empty = results.provenance.get("empty", {})
    for reason, n in Counter(empty.values()).items():
        ctx.progress.say(f"no detections in {n} of {len(results.by_video)} videos: {reason}")


def write_detections(path: Path, results: Results) -> None:
    """Write detections as ActivityNet-style JSON, leaving an equal file alone."""
    text = dumps(results)
    if not path.exists() or path.read_text() != text:
        write_atomic(path, text)
