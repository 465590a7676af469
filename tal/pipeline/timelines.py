"""Detections, truth, activations, shards and videos -> one timeline per video, one at a time.

Curves come from a folder that ``tal localize --activations`` wrote, or from a model and shards, through the cache.
Where neither tells, a timeline has none. Nothing is extracted here; of videos without a shard, the head is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from extract.decoders import load as load_decoder
from extract.reports import DecodeReport
from extract.video import video_name, videos_at
from tal import sampling, shards
from tal.annotations import Instance, Truth, VideoTruth, read_truth
from tal.cache import Cache
from tal.errors import InputError
from tal.pipeline.action_models import ActionModel
from tal.pipeline.context import context
from tal.pipeline.curves import Source, open_source
from tal.progress import Progress
from tal.results import Results
from tal.settings import Settings
from tal.shards import ShardHeader
from tal.timelines import Curves, Mark, Timeline
from tal.types import Detection, Segment

Shards = Path | str | Mapping[str, Path] | None
"""A folder of shards, or video name to shard."""


def gather(
    results: Results,
    *,
    truth: Truth | Path | str | None = None,
    model: Path | str | ActionModel | None = None,
    features: Shards = None,
    activations: Path | str | None = None,
    videos: Sequence[Path | str] = (),
    settings: Settings | None = None,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> Iterator[Timeline]:
    """Return what there is to see of each video of `results`, in their order, each made when it is asked for.

    Args:
        results: Detections.
        truth: Ground truth; of videos that it does not know, nothing is said.
        model: A run folder, its ``model.safetensors``, or an opened model: for classes and, with `features`, curves.
        features: Shards: for durations, marks and, with `model`, curves.
        activations: Folder that ``tal localize --activations`` wrote: for curves.
        videos: Video files and folders of them, found by name.
        settings: `runtime.device` counts.
        cache: Where activations are kept.
        progress: Who is told.

    Raises:
        InputError: At once, if a folder is missing or nothing names the classes of activations.
        ModelError: If model and shards do not fit, or activations are damaged.
        ShardError: If a shard is damaged.
    """
    ctx = context(settings, cache, progress)
    real = read_truth(truth) if isinstance(truth, str | Path) else truth
    source = open_source(results, model, activations, ctx)
    at_hand = _Material(real, shards_by_name(features), source, videos_by_name(videos))

    def each() -> Iterator[Timeline]:
        with ctx.progress.task("timelines", len(results.by_video), "videos") as bar:
            for name, found in results.by_video.items():
                yield at_hand.timeline(name, found, _reason(results, name))
                bar.advance(1, name)

    return each()


@dataclass(frozen=True)
class _Material:
    """Where timelines come from.

    Attributes:
        truth: Ground truth, if there is some.
        shards: Video name to shard.
        source: Where curves come from, if from anywhere.
        videos: Video name to file.
    """

    truth: Truth | None
    shards: Mapping[str, Path]
    source: Source | None
    videos: Mapping[str, Path]

    def timeline(self, name: str, found: Sequence[Detection], reason: str) -> Timeline:
        """Return what there is to see of one video."""
        real = self.truth.videos.get(name) if self.truth else None
        shard, file = self.shards.get(name), self.videos.get(name)
        about = shards.header(shard) if shard else None
        timeline = Timeline(
            name,
            0.0,
            tuple(sorted(found, key=lambda d: -d.score)),
            None if real is None else tuple(sorted(real.instances, key=lambda i: i.segment.start_s)),
            marks=tuple(sorted(_marks(shard, about, real), key=lambda mark: mark.segment.start_s)),
            source=file,
            reason=reason,
        )
        curves = self.source.curves(name, shard, timeline.labels) if self.source else {}
        duration_s = _known_s(about, real, file) or _last_s(timeline, curves)
        return replace(timeline, curves=curves, duration_s=duration_s)


def _known_s(about: ShardHeader | None, real: VideoTruth | None, file: Path | None) -> float | None:
    """Return how long a video is, seconds; None where nothing tells."""
    if about is not None:
        return about.duration_s
    claimed_s = _claimed_s(file) if file is not None else None
    return claimed_s or (real.duration_s if real else None)


def _claimed_s(file: Path) -> float | None:
    """Return when a video ends, as its file claims, seconds; None where it does not, or cannot be read."""
    try:
        claimed_s = load_decoder().probe(file).duration_s
    except InputError:
        return None
    return float(claimed_s) if claimed_s else None


def _last_s(timeline: Timeline, curves: Mapping[str, Curves]) -> float:
    """Return when the last thing on a timeline ends, seconds; of curves, half a step after the last snippet."""
    things: list[Detection | Instance | Mark] = [*timeline.detections, *(timeline.truth or ()), *timeline.marks]
    ends = [thing.segment.end_s for thing in things if math.isfinite(thing.segment.end_s)]
    for one in curves.values():
        t = one.times_s
        ends.append(float(t[-1] + (t[-1] - t[-2]) / 2) if len(t) > 1 else float(t[-1]))
    return max(ends, default=0.0)


def _reason(results: Results, name: str) -> str:
    empty = results.provenance.get("empty")
    return str(empty.get(name, "")) if isinstance(empty, Mapping) else ""


def _marks(shard: Path | None, about: ShardHeader | None, real: VideoTruth | None) -> Iterator[Mark]:
    for segment in real.ambiguous if real else ():
        yield Mark("ambiguous", segment, "ambiguous: counts neither for nor against a detection")
    if shard is not None and about is not None:
        yield from _damage(about)
        yield from _cuts(shard, about)


def _damage(about: ShardHeader) -> Iterator[Mark]:
    """Yield where a video's pictures are missing; damage whose place is not known is a mark over all of it."""
    video = about.provenance.get("video")
    plain = video.get("decode") if isinstance(video, Mapping) else None
    if not isinstance(plain, Mapping):
        return
    try:
        report = DecodeReport.from_dict(plain)
    except (KeyError, TypeError, ValueError):  # written by another version: nothing is known
        return
    for start_s, end_s in report.gaps:
        yield Mark("gap", Segment(start_s, end_s), f"no pictures for {end_s - start_s:.2f} s")
    if report.n_bad_packets or report.n_damaged:
        text = f"{report.n_bad_packets} bad packets, {report.n_damaged} damaged frames; where is not recorded"
        yield Mark("damage", Segment(0.0, about.duration_s), text)


def _cuts(shard: Path, about: ShardHeader) -> Iterator[Mark]:
    """Yield where shots begin, told from RGB features as CPMN's sampling does."""
    if "rgb" not in about.shapes or about.grid.n_snippets < 2:
        return
    for first in sampling.shots(shards.read_stream(shard, "rgb"))[1:].tolist():
        at_s = about.grid.time_s(first)
        yield Mark("shot", Segment(at_s, at_s), "the features change: perhaps a cut")


def shards_by_name(features: Shards) -> dict[str, Path]:
    """Return the shards in a folder by video name.

    Raises:
        InputError: If there is no such folder.
    """
    if features is None:
        return {}
    if isinstance(features, Mapping):
        return dict(features)
    folder = Path(features)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of features; run 'tal extract' first")
    return {path.stem: path for path in sorted(folder.glob(f"*{shards.SUFFIX}"))}


def videos_by_name(videos: Sequence[Path | str]) -> dict[str, Path]:
    """Return video files, also those in folders, by the name under which detections are kept; the first of a name wins.

    Raises:
        InputError: If a path is missing, or a folder holds no video.
    """
    found: dict[str, Path] = {}
    for path in videos:
        for file in videos_at(Path(path)):
            found.setdefault(video_name(file), file)
    return found
