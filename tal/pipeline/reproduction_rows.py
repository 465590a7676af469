"""Our detections beside published rows: counted as each row was, and what could not be made equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from tal import config, shards
from tal.annotations import Labels, Truth
from tal.datasets import TEST, Dataset, truths
from tal.datasets.contents import origin
from tal.datasets.published import Published
from tal.evaluation.protocols import PROTOCOLS
from tal.pipeline.context import Context
from tal.pipeline.evaluating import evaluate
from tal.pipeline.reproduction_reports import TIOU, Compared, Counted, Reproduction, judge
from tal.results import Results
from tal.settings import Settings
from tal.shards import ShardHeader

ALL = "test videos"


@dataclass(frozen=True)
class Bench:
    """What all seeds have in common.

    Attributes:
        name: Name of the data set's description.
        about: The description.
        truth: Annotations, subsets called ``train`` and ``test``.
        labels: What is trained on, by the names of shards.
        files: Shard of each video.
        tests: Test videos that have features.
    """

    name: str
    about: Dataset
    truth: Truth
    labels: Labels
    files: Mapping[str, Path]
    tests: tuple[str, ...]


def beside(bench: Bench, rows: Sequence[Published], found: Mapping[int, list[Results]], ctx: Context) -> Reproduction:
    """Set what each seed's last states detected beside published rows."""
    ways: dict[tuple[str, str], Counted] = {}
    compared = [_compared(row, ways, rows, bench, found, ctx) for row in rows if row.at(TIOU) is not None]
    if not compared:
        way = bench.about.protocol, truths.set_of(bench.truth, bench.about)
        ways[way] = _count(way, rows, bench, found, ctx)
    wanted = bench.truth.select(TEST).videos
    return Reproduction(
        dataset=bench.name,
        title=bench.about.title,
        method=str(ctx.settings.method["name"]),
        schedule=schedule(ctx.settings, bench.name),
        n_updates=ctx.settings.train.steps,
        seeds=tuple(found),
        n_states=len(next(iter(found.values()))),
        features=in_words(shards.header(bench.files[bench.tests[0]])),
        n_trained=len(bench.labels.by_video),
        missing=tuple(sorted(name for name, one in wanted.items() if one.instances and name not in bench.tests)),
        tiou=bench.about.tiou,
        counted=tuple(ways.values()),
        rows=tuple(compared),
    )


def _compared(
    row: Published,
    ways: dict[tuple[str, str], Counted],
    rows: Sequence[Published],
    bench: Bench,
    found: Mapping[int, list[Results]],
    ctx: Context,
) -> Compared:
    """Set our detections beside one row; ways of counting that are new are added to `ways`."""
    way, differs = _way(row, bench)
    if way not in ways:
        ways[way] = _count(way, rows, bench, found, ctx)
    ours = ways[way]
    if ours.n_missing:
        differs.append(f"{ours.n_missing} of {ours.n_videos} videos have no features here and count as missed")
    if row.chosen.startswith("best"):
        differs.append(f"published of the state that is {row.chosen}")
    differs.append(_features_differ(row, bench))
    return Compared(row, ours, tuple(differs), judge(ours.at(TIOU), row.at(TIOU) or 0.0, row.deviation))


def schedule(settings: Settings, dataset: str) -> str:
    """Say whose settings these are, by what they are equal to."""
    name = str(settings.method["name"])
    known = {"shipped": config.load(name)}
    if dataset in config.datasets(name):
        known = {f"published for {dataset}": config.load(name, dataset=dataset), **known}
    return next((words for words, one in known.items() if _essence(one) == _essence(settings)), "changed")


def _essence(settings: Settings) -> tuple[object, ...]:
    """Return what decides a result beside the seed and how many states are kept."""
    left_out = {"seed", "last", "last_every"}
    train = settings.train.model_dump(mode="json", exclude=left_out)
    return settings.method, train, settings.localize.model_dump(mode="json")


def _way(row: Published, bench: Bench) -> tuple[tuple[str, str], list[str]]:
    """Return protocol and videos by which a row is compared, and why these are not its own."""
    differs = []
    protocol = row.protocol
    if protocol not in PROTOCOLS:
        told = f"by {protocol}, which is not known here" if protocol else "by a protocol that is not stated"
        protocol = bench.about.protocol
        differs.append(f"published {told}, counted here by {protocol}")
    there = truths.set_of(bench.truth, bench.about)
    sets = bench.about.sets
    wanted = row.videos if row.videos in sets else ""
    have = sets[there].without if there else ()
    if wanted and there and set(have) <= set(sets[wanted].without):
        return (protocol, wanted), [*differs, *_no_ambiguous(protocol, bench)]
    differs.append(f"published on {row.videos or 'videos that are not stated'}, counted here on {there or ALL}")
    return (protocol, there), [*differs, *_no_ambiguous(protocol, bench)]


def _no_ambiguous(protocol: str, bench: Bench) -> list[str]:
    """Return the reason that numbers differ where a protocol needs ambiguous segments and there are none."""
    has = any(one.ambiguous for one in bench.truth.videos.values())
    needs = bool(bench.about.doubles) and protocol != "activitynet"
    return ["the annotations have no Ambiguous segments"] if needs and not has else []


def _count(
    way: tuple[str, str], rows: Sequence[Published], bench: Bench, found: Mapping[int, list[Results]], ctx: Context
) -> Counted:
    """Count all seeds' detections one way, at every threshold that the data set or a row has."""
    protocol, set_name = way
    chosen = truths.restricted(bench.truth, set_name, bench.about) if set_name else bench.truth.select(TEST)
    tiou = tuple(sorted({TIOU, *bench.about.tiou, *chain.from_iterable(row.tiou for row in rows)}))
    wanted = {"protocol": protocol, "tiou": tiou, "subset": TEST, "videos": ""}
    settings = ctx.settings.model_copy(update={"evaluate": ctx.settings.evaluate.model_copy(update=wanted)})
    maps = []
    for listed in found.values():
        each = [evaluate(_of_set(results, chosen), chosen, settings).map for results in listed]
        maps.append(tuple(float(value) for value in 100 * np.mean(each, axis=0)))
    n_instances = sum(len(video.instances) for video in chosen.videos.values())
    n_missing = sum(bool(video.instances) and name not in bench.tests for name, video in chosen.videos.items())
    return Counted(protocol, set_name or ALL, len(chosen.videos), n_instances, n_missing, tiou, tuple(maps))


def _of_set(results: Results, chosen: Truth) -> Results:
    return Results({video: found for video, found in results.by_video.items() if video in chosen.videos})


def _features_differ(row: Published, bench: Bench) -> str:
    """Say in what our features differ from a row's, as far as both are known; equal they are never known to be."""
    ours, theirs = shards.header(bench.files[bench.tests[0]]), row.features
    fps = bench.about.fps if isinstance(theirs.fps, str) else theirs.fps
    other_rate = fps is not None and fps != ours.grid.fps
    other_stride = theirs.stride is not None and theirs.stride != ours.grid.stride
    certainly = other_rate or other_stride or _other_network(theirs.network, ours)
    note = f" ({theirs.note})" if theirs.note else ""
    verb = "differ" if certainly or note else "may differ"
    return f"features {verb}: {theirs.words}{note} there"


def _other_network(wanted: str, ours: ShardHeader) -> bool:
    """Return whether our features are known to come from another network, or from one that has learnt nothing."""
    made = ours.provenance.get("settings")
    network = str(made.get("backbone", "")) if isinstance(made, Mapping) else ""
    return bool(network and network != wanted) or str(ours.provenance.get("weights_spec", "")).startswith("random")


def in_words(about: ShardHeader) -> str:
    """Return what features are: how they were made, rate and dimensions."""
    dims = " + ".join(f"{name} {dim}-d" for name, dim in sorted(about.dims.items(), reverse=True))
    made = origin(about.provenance) or "made in a way that is not stated"
    return f"{made}, {float(about.grid.fps):g} fps, stride {about.grid.stride}, {dims}"
