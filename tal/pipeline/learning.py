"""Features and video-level labels -> a trained model in ``runs/<name>/``."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tal import methods, models, shards
from tal.annotations import Labels, read_labels
from tal.cache import Cache, Entry, Stage
from tal.errors import ConfigError, InputError, ModelError, suggest
from tal.files import place, sha256_file, shipped_module, write_atomic
from tal.pipeline import environments, guides
from tal.pipeline.context import Context, context
from tal.pipeline.guides import FolderGuide, ModelGuide
from tal.progress import Progress
from tal.settings import Settings

if TYPE_CHECKING:
    from tal.training import Guide

METHOD = Stage("method", version=1)
TRAIN = Stage("train", version=1, resumable=True)
MODEL, CONFIG, METRICS, LAST = "model.safetensors", "config.yaml", "metrics.jsonl", "last"


@dataclass(frozen=True)
class Run:
    """A trained model.

    Attributes:
        path: Folder with ``model.safetensors``, ``config.yaml``, ``metrics.jsonl`` and ``environment.json``.
        method: Name of the method.
        classes: Class names in the order of the model's outputs.
        n_videos: Number of training videos.
        cached: Whether the same training had been done before.
    """

    path: Path
    method: str
    classes: tuple[str, ...]
    n_videos: int
    cached: bool

    @property
    def model(self) -> Path:
        """The model file."""
        return self.path / MODEL

    def _repr_html_(self) -> str:
        """Return the table that a notebook shows."""
        from tal import display

        state = "made before" if self.cached else "trained now"
        row = (str(self.path), self.method, self.n_videos, len(self.classes), ", ".join(self.classes[:20]), state)
        return display.table("trained model", ("folder", "method", "videos", "classes", "names", "state"), [row])

    @property
    def metrics(self) -> Path:
        """Losses over the updates, one JSON object a line: ``network``, ``step``, ``losses``, ``seconds``."""
        return self.path / METRICS


def train(
    features: Path | str = "features",
    labels: Path | str | Labels = "labels.csv",
    settings: Settings | None = None,
    *,
    name: str | None = None,
    runs: Path | str = "runs",
    subset: str = "",
    without: Collection[str] = (),
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> Run:
    """Train a method on feature shards and video-level labels.

    Args:
        features: Folder of shards that `extract` wrote.
        labels: CSV, ActivityNet JSON or THUMOS14 folder, or labels that were read.
        settings: Default: the shipped settings of STPN.
        name: Name of the run; default: the method's.
        runs: Folder of runs.
        subset: Subset of the labels file to train on.
        without: Labelled videos that are known to have no features and are left out.
        cache: Where trainings and their checkpoints are kept; a killed one goes on from there.
        progress: Who is told.

    Raises:
        InputError: If labels and features do not fit together.
        ConfigError: If a hyper-parameter is not known.
    """
    ctx = context(settings, cache, progress)
    ctx = replace(ctx, settings=resolve_method(ctx.settings, ctx.cache))
    known = read_labels(Path(labels), subset) if isinstance(labels, str | Path) else labels
    files = _shards(Path(features), known, without)
    chosen = Labels({video: known.by_video[video] for video in files})
    entry = _trained(chosen, files, ctx)
    method = str(ctx.settings.method["name"])
    folder = Path(runs) / (name or method)
    _publish(entry, folder, ctx.settings)
    return Run(folder, method, chosen.classes, len(files), entry.hit)


def _trained(labels: Labels, files: Mapping[str, Path], ctx: Context) -> Entry:
    """Return the training, from the cache or made now, the one of its guide before it."""
    fields = _key_fields(ctx.settings, labels, files)
    guide = _find_guide(labels, files, ctx)
    if guide is not None:
        fields["guide"] = guide.identity
        fields["train"] = {**fields["train"], "guide": guide.kind}  # its place does not matter
    return ctx.cache.get(TRAIN, fields, _fitting(labels, files, ctx, guide))


@dataclass(frozen=True)
class _Found:
    """Where a guide lies, of which kind it is, and what determines its word."""

    kind: str
    path: Path
    identity: str

    def open(self, device: str) -> Guide:
        """Make it ready for use."""
        return FolderGuide(self.path) if self.kind == "folder" else ModelGuide(models.load(self.path, device))


def _find_guide(labels: Labels, files: Mapping[str, Path], ctx: Context) -> _Found | None:
    name = ctx.settings.train.guide
    kind = guides.kind_of(name)
    if kind == "none":
        return None
    if methods.load(method := str(ctx.settings.method["name"])).Network.GUIDE == "none":
        raise ConfigError(f"{method} learns from labels alone; leave train.guide empty")
    if kind == "folder":
        return _Found(kind, Path(name), guides.identity_of(Path(name), files))
    path = Path(name)
    if kind == "method":
        ctx.progress.say(f"{ctx.settings.method['name']} learns from {name}, which is trained first")
        path = _trained(labels, files, _guide_context(name, ctx)).path / MODEL
    if models.read_meta(path).classes != labels.classes:
        raise ModelError(f"{path}: a guide for other classes; train it on the same labels")
    return _Found("model", path, models.identity(path))


def _guide_context(method: str, ctx: Context) -> Context:
    return replace(ctx, settings=resolve_method(guides.settings_of(method, ctx.settings), ctx.cache))


def resolve_method(settings: Settings, cache: Cache) -> Settings:
    """Return the settings with all of the method's hyper-parameters, validated.

    The method's module imports PyTorch, so the answer is remembered for the module's very source.
    """
    name = str(settings.method["name"])
    fields = {"source": cache.sha256(shipped_module(f"tal.methods.{name}")), "given": settings.method}

    def make(work: Path) -> None:
        full = {"name": name, **methods.resolve(settings.method).model_dump(mode="json")}
        (work / "method.json").write_text(json.dumps(full))

    entry = Cache(cache.root).get(METHOD, fields, make)
    return settings.model_copy(update={"method": json.loads((entry.path / "method.json").read_text())})


def _shards(folder: Path, labels: Labels, without: Collection[str]) -> dict[str, Path]:
    """Return the shard of each labelled video, in order of names."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of features; run 'tal extract' first")
    there = {path.stem for path in folder.glob(f"*{shards.SUFFIX}")}
    wanted = sorted(set(labels.by_video) - set(without))
    missing = [video for video in wanted if video not in there]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        hint = suggest(missing[0], there) if len(there) < 10_000 else ""
        hint = hint if "did you mean" in hint else "; extract it, or take it out of the labels"
        raise InputError(f"{folder}: no features for the labelled video '{missing[0]}'{more}{hint}")
    if not wanted:
        raise InputError("no labelled video is left to train on")
    return {video: folder / f"{video}{shards.SUFFIX}" for video in wanted}


def _key_fields(settings: Settings, labels: Labels, files: Mapping[str, Path]) -> dict[str, Any]:
    videos = {v: {"shard": shards.header(path).digest, "labels": labels.by_video[v]} for v, path in files.items()}
    return {"method": settings.method, "train": settings.train.model_dump(mode="json"), "videos": videos}


def _fitting(labels: Labels, files: Mapping[str, Path], ctx: Context, guide: _Found | None) -> Callable[[Path], None]:
    def make(work: Path) -> None:
        from tal import training

        for path in files.values():
            shards.read(path)  # a damaged shard ends here, not in the weights
        environments.record(work, ctx.settings.runtime.device)
        videos = [training.TrainingVideo(v, path, labels.by_video[v]) for v, path in files.items()]
        opened = guide.open(ctx.settings.runtime.device) if guide else None
        training.fit(training.TrainingSet(videos, labels.classes), ctx.settings, work, ctx.progress, opened)

    return make


def _publish(entry: Entry, folder: Path, settings: Settings) -> None:
    """Put the model with its resolved settings, its metrics and its environment where the user looks for them."""
    tree = settings.model_dump(mode="json", exclude={"runtime"})
    models.copy(entry.path / MODEL, folder / MODEL, tree)
    earlier = {path.name: path for path in (entry.path / LAST).glob("*.safetensors")}
    for path in (folder / LAST).glob("*.safetensors"):
        if path.name not in earlier:
            path.unlink()
    for name, path in earlier.items():
        models.copy(path, folder / LAST / name, tree)
    write_atomic(folder / CONFIG, yaml.safe_dump(tree, sort_keys=False))
    target = folder / METRICS
    if not target.exists() or sha256_file(target) != sha256_file(entry.path / METRICS):
        place(entry.path / METRICS, target)
    environments.publish(entry.path, folder)
