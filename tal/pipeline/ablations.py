"""A paper's ablation tables, run on given features and set beside the published numbers.

Every row is a training and a localization like any other: what is in the cache is not done again, so that an ablation
which was interrupted goes on, and a variant that stands in several tables is trained once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from tal import config, shards
from tal.annotations import Labels, Truth, read_labels, read_truth
from tal.cache import Cache
from tal.errors import ConfigError, InputError, TalError
from tal.evaluation import Evaluation
from tal.files import digest_of
from tal.pipeline import ablation_tables, guides
from tal.pipeline.ablation_reports import AblationReport, RowReport, TableReport
from tal.pipeline.ablation_tables import Row, Table
from tal.pipeline.chain import held_out
from tal.pipeline.context import Context, context
from tal.pipeline.evaluating import evaluate
from tal.pipeline.learning import train
from tal.pipeline.localizing import localize_shards
from tal.progress import Progress
from tal.results import Results
from tal.settings import Settings


@dataclass(frozen=True)
class _Bench:
    """What all rows have in common.

    Attributes:
        features: Folder of shards.
        labels: What is trained on.
        truth: What is compared with.
        subset: Evaluated subset.
        shards: The evaluated videos that have features.
        n_seeds: Trainings per row.
        runs: Where models are left.
        ctx: Settings of the full method.
        protocol: What the user wants instead of the paper's protocol.
        done: What was localized already, by settings.
    """

    features: Path
    labels: Labels
    truth: Truth
    subset: str
    shards: Mapping[str, Path]
    n_seeds: int
    runs: Path
    ctx: Context
    protocol: str
    done: dict[str, Results] = field(default_factory=dict)


def ablate(
    features: Path | str,
    labels: Path | str,
    annotations: Path | str,
    settings: Settings | None = None,
    *,
    rows: Sequence[str] = (),
    n_seeds: int = 1,
    runs: Path | str | None = None,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> AblationReport:
    """Run the ablation tables of a method's paper on given features.

    Args:
        features: Folder of shards that `tal.extract` wrote; it may hold more videos than are used.
        labels: Video-level labels of the training videos.
        annotations: Ground truth; by default the subset without labelled videos is evaluated.
        settings: Those of the full method, from which each row departs; default: the shipped ones of STPN. Tables are
            counted by the paper's protocol unless ``evaluate.protocol`` was set.
        rows: Names of rows, or of tables such as ``table 4``; default: all.
        n_seeds: Trainings per row, with ``train.seed`` and the seeds after it.
        runs: Folder in which the rows' models are kept, ``<row>-<seed>``, equal ones under the first name; default:
            they stay in the cache alone.
        cache: Where trainings, activations and detections are kept.
        progress: Who is told.

    Returns:
        All rows, those that failed with the reason.

    Raises:
        ConfigError: If there are no tables of the method or no such row.
        InputError: If labels, truth and features do not fit together.
        TalError: If every row failed for the same reason.
    """
    ctx = context(settings, cache, progress)
    tables = ablation_tables.choose(ablation_tables.read(str(ctx.settings.method["name"])), rows)
    if n_seeds < 1:
        raise ConfigError(f"{n_seeds} seeds; train with one at least")
    with TemporaryDirectory(prefix="tal-ablation-") as aside:
        bench, missing = _prepare(Path(features), Path(labels), Path(annotations), Path(runs or aside), n_seeds, ctx)
        found = _run_all(tables, bench)
    n = len(bench.labels.by_video), len(bench.shards)
    return AblationReport(str(ctx.settings.method["name"]), bench.subset, *n, missing, found)


def _prepare(
    features: Path, labels: Path, annotations: Path, runs: Path, n_seeds: int, ctx: Context
) -> tuple[_Bench, tuple[str, ...]]:
    """Read what all rows need; also return which videos cannot be evaluated."""
    known, truth = read_labels(labels), read_truth(annotations)
    subset = ctx.settings.evaluate.subset or held_out(truth, known.by_video)
    paths = {video: features / f"{video}{shards.SUFFIX}" for video in sorted(truth.select(subset).videos)}
    there = {video: path for video, path in paths.items() if path.is_file()}
    if not there:
        raise InputError(f"{features}: no features of the videos of subset '{subset}'; run 'tal extract' on them")
    given = ctx.settings.evaluate
    protocol = given.protocol if "protocol" in given.model_fields_set else ""
    bench = _Bench(features, known, truth, subset, there, n_seeds, runs, ctx, protocol)
    return bench, tuple(video for video in paths if video not in there)


def _run_all(tables: Sequence[Table], bench: _Bench) -> tuple[TableReport, ...]:
    errors: list[TalError] = []
    found = []
    n = sum(len(table.rows) for table in tables) * bench.n_seeds
    with bench.ctx.progress.task("ablate", n, "trainings") as bar:
        for table in tables:
            reports = []
            for row in table.rows:
                reports.append(_run(row, table, bench, errors))
                bar.advance(bench.n_seeds, f"{table.source}, {row.name}")
            found.append(TableReport(table, bench.protocol or table.protocol, tuple(reports)))
    if len(errors) * bench.n_seeds == n and len({str(error) for error in errors}) == 1:
        raise errors[0]  # nothing about the rows
    return tuple(found)


def _run(row: Row, table: Table, bench: _Bench, errors: list[TalError]) -> RowReport:
    """Train and judge one variant with every seed; a problem ends the row alone."""
    first = bench.ctx.settings.train.seed
    try:
        found = [_evaluated(row, table, seed, bench) for seed in range(first, first + bench.n_seeds)]
    except TalError as error:
        errors.append(error)
        bench.ctx.progress.say(f"failed: {table.source}, {row.name}: {error}")
        return RowReport(row, error=str(error))
    wanted = bench.ctx.settings.evaluate.tiou
    at = tuple(_mean_at(one, table.tiou) for one in found)
    return RowReport(row, at, tuple(_mean_at(one, wanted) for one in found))


def _mean_at(found: Evaluation, tiou: Sequence[float]) -> float:
    by_tiou = dict(zip(found.tiou, found.map.tolist(), strict=True))
    return fmean(by_tiou[threshold] for threshold in tiou)


def _evaluated(row: Row, table: Table, seed: int, bench: _Bench) -> Evaluation:
    settings = _settings(row, table, seed, bench)
    key = digest_of(settings.model_dump(mode="json", exclude={"evaluate"}))
    if key not in bench.done:  # what `--force` is not asked to make twice
        bench.done[key] = _localized(f"{_slug(row.name)}-{seed}", settings, bench)
    return evaluate(bench.done[key], bench.truth, settings)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")


def _localized(name: str, settings: Settings, bench: _Bench) -> Results:
    ctx = Context(settings, bench.ctx.cache, bench.ctx.progress)
    run = train(
        bench.features, bench.labels, settings, name=name, runs=bench.runs, cache=ctx.cache, progress=ctx.progress
    )
    return localize_shards(bench.shards, run.path, ctx)[0]


def _settings(row: Row, table: Table, seed: int, bench: _Bench) -> Settings:
    """Return the full method's settings, or those of the method in its place, with what the row changes."""
    full = bench.ctx.settings
    start = guides.settings_of(row.method, full) if row.method else full
    tiou = sorted({*full.evaluate.tiou, *table.tiou})
    protocol = bench.protocol or table.protocol
    wanted = {"train.seed": seed, "evaluate.tiou": tiou, "evaluate.subset": bench.subset, "evaluate.protocol": protocol}
    return config.load(sets=row.set, options=wanted, base=start.model_dump(mode="json"))
