"""Videos and a trained model -> detections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

import tal
from extract.video import find_videos, video_name
from tal import config, localization, models, shards
from tal.cache import Cache, Stage
from tal.errors import BatchError, TalError
from tal.files import write_atomic
from tal.pipeline.context import Context, context
from tal.pipeline.engines import Recipe, recipe_of
from tal.pipeline.extraction import Paths, as_paths, features_of, shard_key, shard_path
from tal.progress import Progress
from tal.results import Results, dumps, read_results, write_results
from tal.settings import Settings
from tal.types import Activations, Features, FloatArray

ACTIVATE = Stage("activate", version=1)
LOCALIZE = Stage("localize", version=1)


@dataclass
class _LazyModel:
    """A model that is loaded when its first activations are needed."""

    path: Path
    device: str
    identity: str
    loaded: models.Model | None = None

    def activate(self, features: Features) -> dict[str, Activations]:
        if self.loaded is None:
            self.loaded = models.load(self.path, self.device)
        return self.loaded.activate(features)


def localize(
    videos: Paths,
    model: Path | str,
    settings: Settings | None = None,
    *,
    features: Path | str | None = None,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> Results:
    """Find when the model's actions happen in videos.

    Args:
        videos: Video files and folders of them.
        model: A run folder or its ``model.safetensors``.
        settings: Default: the ones the model was trained with.
        features: Folder in which fitting shards are looked for first.
        cache: Where features, activations and detections are kept.
        progress: Who is told.

    Raises:
        BatchError: If some of several videos failed; its `results` holds the others.
        TalError: If the only video failed.
    """
    ctx = context(settings or model_settings(model), cache, progress)
    files, failures = _gather(find_videos(as_paths(videos)), Path(model), Path(features) if features else None, ctx)
    results = localize_shards(files, model, ctx)[0]
    if failures:
        raise LocalizeBatchError(results, failures)
    return results


class LocalizeBatchError(BatchError):
    """Some videos failed; `results` holds the detections of the others."""

    def __init__(self, results: Results, failures: dict[str, str]) -> None:
        super().__init__(f"{len(failures)} of {len(failures) + len(results.by_video)} videos failed", failures)
        self.results = results


def model_settings(
    model: Path | str,
    files: Sequence[Path] = (),
    sets: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings a model was trained with, overlaid with the given ones."""
    return config.load(files=files, sets=sets, options=options, base=models.read_meta(Path(model)).settings)


def localize_shards(files: Mapping[str, Path], model: Path | str, ctx: Context) -> tuple[Results, bool]:
    """Find the actions in videos whose shards are given; also say whether that was in the cache.

    Args:
        files: Video name to shard.
        model: A run folder or its ``model.safetensors``.
        ctx: The `localize` section of its settings counts.
    """
    trained = _LazyModel(Path(model), ctx.settings.runtime.device, models.identity(Path(model)))
    digests = {name: shards.header(path).digest for name, path in files.items()}
    plain = ctx.settings.localize.model_dump(mode="json")
    fields = {"model": trained.identity, "shards": digests, "localize": plain}

    def make(work: Path) -> None:
        write_results(work / "detections.json", _locate_all(files, digests, trained, ctx))

    entry = ctx.cache.get(LOCALIZE, fields, make)
    results = read_results(entry.path / "detections.json")
    _explain_empty(results, ctx)
    return results, entry.hit


def _gather(
    videos: Sequence[Path], model: Path, folder: Path | None, ctx: Context
) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the shard of each video, and why there is none for some."""
    recipe = recipe_of(models.read_meta(model).features, ctx)
    files: dict[str, Path] = {}
    failures: dict[str, str] = {}
    for video in videos:
        try:
            files[video_name(video)] = _shard_of(video, folder, recipe, ctx)
        except TalError as error:
            if len(videos) == 1:
                raise
            failures[video_name(video)] = str(error)
            ctx.progress.say(f"failed: {error}")
    return files, failures


def _shard_of(video: Path, folder: Path | None, recipe: Recipe, ctx: Context) -> Path:
    there = shard_path(folder, video) if folder else None
    if there and there.exists() and shards.is_current(there, shard_key(video, recipe, ctx.cache)):
        return there
    return features_of(video, recipe, ctx)


def _locate_all(files: Mapping[str, Path], digests: Mapping[str, str], model: _LazyModel, ctx: Context) -> Results:
    meta, settings = models.read_meta(model.path), ctx.settings.localize
    found, empty = {}, {}
    with ctx.progress.task("localize", len(files), "videos") as bar:
        for name, path in files.items():
            activations, about = _activations(path, digests[name], model, ctx.cache), shards.header(path)
            located = localization.localize(activations, about.grid, meta.classes, settings, about.duration_s)
            found[name] = located.detections
            if located.reason:
                empty[name] = located.reason
            bar.advance(1, name)
    return Results(found, _provenance(meta, model.identity, ctx, empty))


def _activations(path: Path, digest: str, model: _LazyModel, cache: Cache) -> dict[str, Activations]:
    """Return what the model says about one video, from the cache or computed."""

    def make(work: Path) -> None:
        parts = {
            f"{network}/{name}": np.ascontiguousarray(values)
            for network, one in model.activate(shards.read(path)).items()
            for name, values in vars(one).items()
        }
        (work / "activations.safetensors").write_bytes(save(parts))

    entry = cache.get(ACTIVATE, {"model": model.identity, "shard": digest}, make)
    tensors = load_file(entry.path / "activations.safetensors")
    parts: dict[str, dict[str, FloatArray]] = {}
    for key in sorted(tensors):
        network, _, name = key.partition("/")
        parts.setdefault(network, {})[name] = tensors[key]
    return {network: Activations(**fields) for network, fields in parts.items()}


def _provenance(meta: models.ModelMeta, identity: str, ctx: Context, empty: Mapping[str, str]) -> dict[str, Any]:
    return {
        "tal": tal.__version__,
        "model": {"sha256": identity, "method": dict(meta.method), "classes": list(meta.classes)},
        "features": dict(meta.features),
        "localize": ctx.settings.localize.model_dump(mode="json"),
        "empty": dict(empty),
    }


def _explain_empty(results: Results, ctx: Context) -> None:
    empty = results.provenance.get("empty", {})
    for reason, n in Counter(empty.values()).items():
        ctx.progress.say(f"no detections in {n} of {len(results.by_video)} videos: {reason}")


def write_detections(path: Path, results: Results) -> None:
    """Write detections as ActivityNet-style JSON, leaving an equal file alone."""
    text = dumps(results)
    if not path.exists() or path.read_text() != text:
        write_atomic(path, text)
