"""Published results made again: a method trained on given features with its published settings, over several seeds.

Each published row is set beside our detections counted as that row was: its protocol, its videos. What cannot be made
equal, such as the features, is named with the verdict.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tal import config, datasets
from tal.annotations import Labels, Truth
from tal.cache import Cache
from tal.datasets import TEST, TRAIN, Dataset, layout, published, truths
from tal.errors import ConfigError, InputError
from tal.pipeline.context import Context, context
from tal.pipeline.learning import Run, train
from tal.pipeline.localizing import localize_shards
from tal.pipeline.reproduction_reports import Reproduction
from tal.pipeline.reproduction_rows import Bench, beside
from tal.progress import Progress
from tal.results import Results
from tal.settings import Settings

LAST, APART = 3, 20
"""States of a run whose results are averaged, and how far they lie apart, as a part of the run's updates."""


def reproduce(
    dataset: str,
    features: Path | str,
    settings: Settings | None = None,
    *,
    annotations: Path | str | None = None,
    n_seeds: int = 3,
    runs: Path | str | None = None,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> Reproduction:
    """Train and judge a method as published, and compare with what was published.

    Args:
        dataset: A data set that is described and has published numbers, such as ``thumos14``.
        features: Folder of shards of both splits, or the folder of a copy that holds them.
        settings: Those to train with; default: STPN's published ones for this data set. Unless ``train.last`` is set,
            the last 3 states of a run are averaged, a twentieth of its updates apart.
        annotations: File or folder with both splits; default: looked for under `features`.
        n_seeds: Trainings, with ``train.seed`` and the seeds after it.
        runs: Folder in which the models are kept, ``<method>-<seed>``; default: they stay in the cache alone.
        cache: Where trainings, activations and detections are kept.
        progress: Who is told.

    Raises:
        ConfigError: If there is no such data set, or nothing was published of it.
        InputError: If annotations or features of a video are not there.
    """
    about = datasets.load(dataset)
    if n_seeds < 1:
        raise ConfigError(f"{n_seeds} seeds; train with one at least")
    ctx = context(averaged(settings or config.load(dataset=dataset)), cache, progress)
    rows = published.read(dataset, str(ctx.settings.method["name"]))
    bench = _prepare(dataset, about, Path(features), Path(annotations) if annotations else None)
    with TemporaryDirectory(prefix="tal-reproduce-") as aside:
        found = _all_seeds(bench, n_seeds, Path(runs or aside), ctx)
    return beside(bench, rows, found, ctx)


def averaged(settings: Settings) -> Settings:
    """Return settings with which several last states are kept."""
    if "last" in settings.train.model_fields_set and settings.train.last > 1:
        return settings
    apart = max(1, settings.train.steps // APART)
    return settings.model_copy(update={"train": settings.train.model_copy(update={"last": LAST, "last_every": apart})})


def _prepare(name: str, about: Dataset, root: Path, annotations: Path | None) -> Bench:
    truth = truth_of(annotations or root, about)
    labels = truths.labels_of(truth, TRAIN)
    files = _shards(root, about)
    missing = [video for video in labels.by_video if video not in files]
    if missing and about.gone is None:
        hint = f"'tal data check {name} {root}' names all"
        raise InputError(f"{root}: no features of {len(missing)} training videos, such as '{missing[0]}'; {hint}")
    by_stem = {files[video].stem: labels.by_video[video] for video in labels.by_video if video in files}
    test = [video for video, one in truth.videos.items() if one.subset == TEST]
    tests = tuple(sorted(video for video in test if video in files))
    if not by_stem or not tests:
        raise InputError(
            f"{root}: no features of {TEST if by_stem else TRAIN} videos; 'tal data check' says what is there"
        )
    return Bench(name, about, truth, Labels(by_stem), files, tests)


def truth_of(root: Path, about: Dataset) -> Truth:
    """Return all annotations under a folder; of a video that several know, those with Ambiguous segments tell.

    Raises:
        InputError: If they are not of both splits.
        AnnotationError: If one cannot be read.
    """
    found = layout.find(root, about).annotations
    known = [truths.read(path, about, form) for path, form in found.items()]
    splits = {video.subset for truth in known for video in truth.videos.values()}
    if splits != {TRAIN, TEST}:
        held = f"only the {splits.pop()} split" if splits else "none"
        raise InputError(f"{root}: annotations of both splits are needed, found {held}; name them with --annotations")
    return truths.joined(sorted(known, key=lambda truth: not any(one.ambiguous for one in truth.videos.values())))


def _shards(root: Path, about: Dataset) -> dict[str, Path]:
    """Return the shard of each video under a folder."""
    found = [one for one in layout.find(root, about).collections if one.form == "shards" and one.files]
    if not found:
        raise InputError(f"{root}: no shards of {about.title}; run 'tal extract' or 'tal import-features' first")
    if len(found) > 1:
        places = ", ".join(one.place for one in found)
        raise InputError(f"{root}: several collections of features ({places}); name one of them")
    return {video: files[0].path for video, files in found[0].files.items()}


def _all_seeds(bench: Bench, n_seeds: int, runs: Path, ctx: Context) -> dict[int, list[Results]]:
    """Return what each seed's last states detect."""
    first = ctx.settings.train.seed
    found = {}
    with ctx.progress.task("reproduce", n_seeds, "trainings") as bar:
        for seed in range(first, first + n_seeds):
            found[seed] = _one_seed(bench, seed, runs, ctx)
            bar.advance(1, f"seed {seed}")
    return found


def _one_seed(bench: Bench, seed: int, runs: Path, ctx: Context) -> list[Results]:
    settings = ctx.settings.model_copy(update={"train": ctx.settings.train.model_copy(update={"seed": seed})})
    ctx = replace(ctx, settings=settings)
    name = f"{settings.method['name']}-{seed}"
    folder = _folder(bench)
    run = train(folder, bench.labels, settings, name=name, runs=runs, cache=ctx.cache, progress=ctx.progress)
    tests = {video: bench.files[video] for video in bench.tests}
    return [localize_shards(tests, state, ctx)[0] for state in states(run)]


def _folder(bench: Bench) -> Path:
    """Return the one folder of the training videos' shards."""
    stems = bench.labels.by_video
    folders = {path.parent for path in bench.files.values() if path.stem in stems}
    if len(folders) > 1:
        raise InputError(f"features of training videos lie in {len(folders)} folders; put them into one")
    return folders.pop()


def states(run: Run) -> list[Path]:
    """Return the models of a run's last states, the final one last."""
    return [*sorted((run.path / "last").glob("*.safetensors")), run.model]
