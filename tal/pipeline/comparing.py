"""Runs and detections files side by side, and whether their differences would outlast other test videos.

Intervals are about the choice of test videos, which the bootstrap draws anew; deviations are about seeds. A group of
seeds is compared by the mean of its members, which all see the same resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from tal import bootstrap, shards
from tal.annotations import Truth, VideoTruth, read_truth
from tal.bootstrap import Matched
from tal.bootstrap.matching import instances_of, matched
from tal.bootstrap.rankings import Floats
from tal.cache import Cache
from tal.errors import ConfigError, InputError, suggest
from tal.evaluation import Evaluation
from tal.evaluation import evaluate as counted
from tal.evaluation.remarks import remarks
from tal.evaluation.videosets import named
from tal.pipeline.comparison_groups import Group, find_groups, is_run
from tal.pipeline.comparison_reports import Comparison, Line, Pair
from tal.pipeline.context import Context, context
from tal.pipeline.localizing import localize_shards, model_settings
from tal.progress import Progress
from tal.results import Results, read_results
from tal.settings import EvaluateSettings, Settings


@dataclass(frozen=True)
class Resampling:
    """How the bootstrap draws.

    Attributes:
        n: Resamples; the ends of a 95 % interval rest on 2.5 % of them.
        seed: Of the draws; all lines see the same ones.
        confidence: Share of the resamples inside an interval, in (0, 1).
    """

    n: int = 1000
    seed: int = 0
    confidence: float = 0.95


@dataclass(frozen=True)
class _Bench:
    """What all lines have in common.

    Attributes:
        truth: All of it.
        videos: The evaluated part.
        blocked: Videos that a named set leaves out.
        chosen: Protocol, thresholds and subset.
        features: Folder of the test videos' shards, where there is one.
        ctx: Device, cache, and who is told.
        opened: Detections files that were read already and are still needed.
    """

    truth: Truth
    videos: dict[str, VideoTruth]
    blocked: frozenset[str]
    chosen: EvaluateSettings
    features: Path | None
    ctx: Context
    opened: dict[Path, Results] = field(default_factory=dict)


def compare(
    entries: Sequence[Group] | Sequence[Path | str],
    truth: Path | str | Truth,
    settings: Settings | None = None,
    *,
    features: Path | str | None = None,
    against: str | None = None,
    resampling: Resampling | None = None,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Evaluate runs and detections files, and tell how sure the differences of their average mAP are.

    Args:
        entries: Run folders, detections files and what else `find_groups` understands, or what it returned.
        truth: Ground truth of the test videos.
        settings: Its `evaluate` section counts, and ``runtime.device``; runs localize with their own settings.
        features: Folder of the test videos' shards, for run folders.
        against: Name of the line that all others are compared with; default: every two are.
        resampling: Default: 1,000 resamples, intervals of 95 %.
        cache: Where activations and detections are kept.
        progress: Who is told.

    Raises:
        InputError: If an entry is nothing that can be compared, or features are missing.
        ConfigError: If the subset cannot be told, or `against` is no line.
    """
    ctx, how = context(settings, cache, progress), resampling or Resampling()
    _check(how)
    given = tuple(entry for entry in entries if isinstance(entry, Group))
    groups = given or find_groups([str(entry) for entry in entries])
    if against is not None and against not in (names := [group.name for group in groups]):
        raise ConfigError(f"--against: nothing is called '{against}'{suggest(against, names)}")
    bench = _prepare(groups, truth, Path(features) if features else None, ctx)
    return _compare(groups, bench, how, against)


def _check(how: Resampling) -> None:
    if how.n < 1 or how.seed < 0 or not 0 < how.confidence < 1:
        raise ConfigError(f"{how}: draw at least once, with a seed from 0 and a confidence between 0 and 1")


def _prepare(groups: Sequence[Group], truth: Path | str | Truth, features: Path | None, ctx: Context) -> _Bench:
    known = read_truth(Path(truth)) if isinstance(truth, str | Path) else truth
    members = [member for group in groups for member in group.members]
    runs, files = [m for m in members if is_run(m)], [m for m in members if not is_run(m)]
    if runs and features is None:
        raise InputError(f"{runs[0]}: to compare a run, name the folder of the test videos' features with --features")
    opened = {files[0]: read_results(files[0])} if files else {}
    there = {path.stem for path in features.glob(f"*{shards.SUFFIX}")} if features and not files else set()
    subset = _subset(known, ctx.settings.evaluate, {*there, *(v for one in opened.values() for v in one.by_video)})
    chosen = ctx.settings.evaluate.model_copy(update={"subset": subset})
    blocked = named(chosen.videos).blocked if chosen.videos else frozenset()
    videos = {name: video for name, video in known.select(subset).videos.items() if name not in blocked}
    return _Bench(known, videos, blocked, chosen, features, ctx, opened)


def _subset(truth: Truth, settings: EvaluateSettings, touched: set[str]) -> str:
    """Return the subset that is named, the only one, or the one that detections or features belong to."""
    if settings.videos and not settings.subset and len(truth.subsets) > 1:
        return named(settings.videos).subset
    if settings.subset or len(truth.subsets) == 1:
        return settings.subset or truth.subsets[0]
    found = {truth.videos[name].subset for name in touched & truth.videos.keys()}
    if len(found) != 1:
        listed = ", ".join(name or "(none)" for name in truth.subsets)
        raise ConfigError(f"which subset of the ground truth is to be compared ({listed})? choose one with --subset")
    return found.pop()


@dataclass(frozen=True)
class _Judged:
    """A line's members: evaluated, and matched for resampling."""

    group: Group
    evaluations: tuple[Evaluation, ...]
    matched: tuple[Matched, ...]

    @property
    def average(self) -> float:
        return float(np.mean([one.average for one in self.evaluations]))

    @property
    def missing(self) -> set[str]:
        return {video for one in self.evaluations for video in one.missing}


def _compare(groups: Sequence[Group], bench: _Bench, how: Resampling, against: str | None) -> Comparison:
    n_instances, n = instances_of(bench.videos), sum(len(group.members) for group in groups)
    judged, values = [], []
    with bench.ctx.progress.task("compare", n, "runs") as bar:
        for group in groups:
            judged.append(one := _judge(group, bench))
            values.append(bootstrap.averages(one.matched, n_instances, how.n, how.seed))
            bar.advance(len(group.members), group.name)
    lines = tuple(_line(one, drawn, how) for one, drawn in zip(judged, values, strict=True))
    pairs = tuple(
        _pair(judged[i], judged[j], values[i] - values[j], how)
        for i, j in _chosen_pairs([group.name for group in groups], against)
    )
    chosen = bench.chosen
    told = dict.fromkeys(text for one in judged for found in one.evaluations for text in remarks(found, one.group.name))
    return Comparison(
        *(chosen.protocol, chosen.subset, chosen.videos, chosen.tiou, len(bench.videos), int(n_instances.sum())),
        *(how.n, how.seed, how.confidence, lines, pairs, tuple(told)),
    )


def _chosen_pairs(names: Sequence[str], against: str | None) -> list[tuple[int, int]]:
    if against is None:
        return list(combinations(range(len(names)), 2))
    other = names.index(against)
    return [(i, other) for i in range(len(names)) if i != other]


def _judge(group: Group, bench: _Bench) -> _Judged:
    found = [_evaluated(_results(member, bench), bench) for member in group.members]
    evaluations, matches = zip(*found, strict=True)
    return _Judged(group, evaluations, matches)


def _results(member: Path, bench: _Bench) -> Results:
    """Return a file's detections, or those that a run's model makes of the features."""
    if not is_run(member):
        return bench.opened.pop(member, None) or read_results(member)
    features = bench.features or Path()
    files = {video: path for video in bench.videos if (path := features / f"{video}{shards.SUFFIX}").is_file()}
    if not files:
        raise InputError(f"{features}: no features of the videos of subset '{bench.chosen.subset}'; extract them")
    settings = model_settings(member, options={"runtime.device": bench.ctx.settings.runtime.device})
    return localize_shards(files, member, replace(bench.ctx, settings=settings))[0]


def _evaluated(results: Results, bench: _Bench) -> tuple[Evaluation, Matched]:
    found = counted(results, bench.truth, bench.chosen)
    left_out = {*(bench.truth.videos.keys() - bench.videos.keys()), *bench.blocked}
    detections = {name: listed for name, listed in results.by_video.items() if name not in left_out}
    once = matched(detections, bench.videos, bench.chosen.protocol, bench.chosen.tiou)
    plain = once.mean_average_precision(np.ones((len(bench.videos), 1), np.int32))[:, 0]
    if not np.allclose(plain, found.map, atol=1e-9):
        raise ValueError(f"matched once: mAP {plain}, evaluated: {found.map}")
    return found, once


def _line(one: _Judged, drawn: Floats, how: Resampling) -> Line:
    extra = {video for evaluation in one.evaluations for video in evaluation.extra}
    return Line(
        one.group.name,
        tuple(map(str, one.group.members)),
        tuple(tuple(evaluation.map.tolist()) for evaluation in one.evaluations),
        bootstrap.interval(one.average, bootstrap.centred(one.average, drawn), how.confidence),
        tuple(sorted(one.missing)),
        tuple(sorted(extra)),
    )


def _pair(first: _Judged, second: _Judged, drawn: Floats, how: Resampling) -> Pair:
    difference = bootstrap.interval(first.average - second.average, drawn, how.confidence)
    return Pair(first.group.name, second.group.name, difference, tuple(sorted(first.missing ^ second.missing)))
