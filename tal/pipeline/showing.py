"""One video as one or several methods see it: from files of detections and from models, through the cache."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from extract.video import video_name
from tal import parsing, shards
from tal.annotations import Truth, read_truth
from tal.cache import Cache
from tal.errors import ConfigError, InputError, suggest
from tal.figures.rows import Row
from tal.pipeline.context import Context, context
from tal.pipeline.localizing import localize, localize_shards, model_settings
from tal.pipeline.timelines import gather
from tal.progress import Progress
from tal.results import Results, read_results
from tal.timelines import Timeline

FEW_NAMES, MAX_NAMES = 12, 10_000
"""How many names a message may list, and among how many the nearest is looked for."""


@dataclass(frozen=True)
class Method:
    """What is known of one method.

    Attributes:
        name: For people; empty where there is one method.
        detections: A file of detections; None to localize with the model.
        model: A run folder or its ``model.safetensors``; for curves, too. Without both, the classes of Kinetics.
    """

    name: str
    detections: Path | None = None
    model: Path | None = None


def parse_methods(detections: Sequence[str] = (), models: Sequence[str] = ()) -> tuple[Method, ...]:
    """Read ``FILE``, ``RUN`` and ``NAME=PATH``; detections and a model of one name are one method.

    Without a name, a method is called as its file or folder; the only one has no name. Detections that are there alone
    and a model that is there alone belong together.

    Raises:
        ConfigError: If a name stands twice.
    """
    given = [*(_parsed(text, "--detections") for text in detections), *(_parsed(text, "--model") for text in models)]
    if not given:
        return (Method(""),)
    alone = len(detections) <= 1 and len(models) <= 1 and not any(one.name for one in given)
    found: dict[str, Method] = {}
    for one in given:
        name = "" if alone else one.name or _usual_name(one)
        before = found.get(name, Method(name))
        if (one.model and before.model) or (one.detections and before.detections):
            option, path = ("--model", one.model) if one.model else ("--detections", one.detections)
            raise ConfigError(f"{option}: two are named '{name}'; name them yourself, e.g. {option} STPN={path}")
        found[name] = Method(name, one.detections or before.detections, one.model or before.model)
    return tuple(found.values())


def show(
    video: Path | str,
    methods: Sequence[Method] = (Method(""),),
    *,
    truth: Path | str | None = None,
    features: Path | str | None = None,
    activations: Path | str | None = None,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> tuple[Row, ...]:
    """Return what methods say about one video.

    Args:
        video: A video file, or a name in the detections or among the features.
        methods: Where their detections and curves come from.
        truth: Ground truth.
        features: Folder of shards: for curves, durations and marks, and to localize without extracting.
        activations: Folder that ``tal localize --activations`` wrote: for curves.
        cache: Where features, activations and detections are kept.
        progress: Who is told.

    Raises:
        InputError: If a file is missing, or nothing knows the video.
        TalError: If it cannot be localized.
    """
    path = Path(video)
    place = _Place(
        path if path.is_file() else None,
        video_name(path) if path.is_file() else parsing.video_name(str(video)),
        read_truth(truth) if truth else None,
        Path(features) if features else None,
        Path(activations) if activations else None,
    )
    return tuple(Row(one.name, place.timeline(one, context(None, cache, progress))) for one in methods)


@dataclass(frozen=True)
class _Place:
    """A video, and what else is at hand.

    Attributes:
        file: The video file, if it is there.
        name: Its name.
        truth: Ground truth.
        features: Folder of shards.
        activations: Folder of activations.
    """

    file: Path | None
    name: str
    truth: Truth | None
    features: Path | None
    activations: Path | None

    def timeline(self, method: Method, ctx: Context) -> Timeline:
        """Return what a method says."""
        if method.detections is not None:
            found = _of_video(read_results(method.detections), self.name, method.detections)
            return self._gathered(found, method, ctx, self.activations)
        if shard := self._shard():
            settings = model_settings(method.model)
            found, _ = localize_shards(shard, _model(method), Context(settings, ctx.cache, ctx.progress))
            return self._gathered(found, method, ctx, self.activations)
        if self.file is None:
            raise InputError(f"{self.name}: no such video file{self._hint()}")
        with TemporaryDirectory() as folder:  # what was computed stays in the cache
            found = localize(
                self.file,
                method.model,
                features=self.features,
                activations=folder,
                cache=ctx.cache,
                progress=ctx.progress,
            )
            return self._gathered(found, method, ctx, Path(folder))

    def _gathered(self, found: Results, method: Method, ctx: Context, activations: Path | None) -> Timeline:
        videos = [self.file] if self.file else []
        timelines = gather(
            found,
            truth=self.truth,
            model=method.model,
            features=self._shard(),
            activations=activations,
            videos=videos,
            cache=ctx.cache,
            progress=ctx.progress,
        )
        return next(timelines)

    def _shard(self) -> Mapping[str, Path]:
        """Return the shard of the video by its name, nothing where there is none."""
        if self.features is None:
            return {}
        if not self.features.is_dir():
            raise InputError(f"{self.features}: no such folder of features; run 'tal extract' first")
        path = self.features / f"{self.name}{shards.SUFFIX}"
        return {self.name: path} if path.is_file() else {}

    def _hint(self) -> str:
        if self.features is None:
            return "; give a file, or name detections that hold it with --detections"
        there = [path.stem for path in self.features.glob(f"*{shards.SUFFIX}")]
        return f", and no features of it in {self.features}{_near(self.name, there)}"


def _model(method: Method) -> Path:
    if method.model is None:
        raise InputError("nothing says what to look for in these features; name a model with --model")
    return method.model


def _of_video(results: Results, name: str, path: Path) -> Results:
    """Return the detections of one video."""
    if name not in results.by_video:
        raise InputError(f"{path}: no video '{name}'{_near(name, results.by_video)}")
    return Results({name: results.by_video[name]}, results.provenance)


def _parsed(text: str, option: str) -> Method:
    name, equals, path = text.partition("=")
    if not equals or Path(text).exists():
        name, path = "", text
    if not path:
        raise ConfigError(f"{option} {text}: nothing behind the name; write NAME=PATH")
    return Method(name.strip(), Path(path)) if option == "--detections" else Method(name.strip(), None, Path(path))


def _usual_name(method: Method) -> str:
    """Return what a method is called that was given no name: its file of detections, or its run."""
    if method.model is None:
        return method.detections.stem if method.detections else ""
    run = method.model.parent if method.model.suffix else method.model
    return run.resolve().name


def _near(name: str, known: Collection[str]) -> str:
    """Return the nearest name as a hint; all of them only where they are few."""
    hint = suggest(name, known) if len(known) < MAX_NAMES else ""
    if "did you mean" in hint or len(known) <= FEW_NAMES:
        return hint
    return f"; it knows {len(known)} others, e.g. '{min(known)}'"
