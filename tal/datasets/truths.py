"""Annotations of a data set: read whatever form they have, and compared with what they should hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from tal.annotations import Labels, Truth, VideoTruth, read_truth
from tal.datasets import TEST, Dataset, Form
from tal.datasets.findings import Finding, counted, named
from tal.datasets.names import Expected, compare, set_without
from tal.errors import InputError

LATE_S = 1.0
"""By how much annotated ends and lengths of videos may differ without a word, seconds."""


def read(path: Path, about: Dataset, form: Form | None = None) -> Truth:
    """Read annotations with the subsets called ``train`` and ``test``; videos of other subsets are left out.

    Raises:
        AnnotationError: If the file cannot be read.
    """
    chosen: dict[str, VideoTruth] = {}
    for name, video in read_truth(path).videos.items():
        split = about.split_of(video.subset) if video.subset else form.subset if form else ""
        if split:
            chosen[about.video(name) or name] = replace(video, subset=split)
    return Truth(chosen)


def joined(truths: Iterable[Truth]) -> Truth:
    """Return all videos of several annotations; the first that knows a video tells."""
    videos: dict[str, VideoTruth] = {}
    for truth in truths:
        videos = {**truth.videos, **videos}
    return Truth(videos)


def labels_of(truth: Truth, split: str) -> Labels:
    """Return what happens somewhere in each video of a split.

    Raises:
        InputError: If there is no such video.
    """
    of_split = {name: video for name, video in truth.videos.items() if video.subset == split}
    by_video = {n: tuple(sorted({i.label for i in v.instances})) for n, v in sorted(of_split.items()) if v.instances}
    if not by_video:
        raise InputError(f"the annotations know no {split} video; give the file or folder that holds both splits")
    return Labels(by_video)


def restricted(truth: Truth, set_name: str, about: Dataset) -> Truth:
    """Return the videos of a named set."""
    one = about.sets[set_name]
    chosen = {n: v for n, v in truth.videos.items() if v.subset == one.split and n not in one.without}
    return Truth(chosen)


def set_of(truth: Truth, about: Dataset) -> str:
    """Return the name of the set that the test videos of annotations make; empty if there is none."""
    known = about.splits[TEST].durations
    test = {name for name, video in truth.videos.items() if video.subset == TEST}
    if known:
        return set_without(known.keys() - test, TEST, about) if test <= known.keys() else ""
    return next((name for name, one in about.sets.items() if one.n_videos == len(test)), "")


def check(truth: Truth, where: str, about: Dataset) -> Iterator[Finding]:
    """Yield what of annotations fits the description and what does not."""
    for split in about.splits:
        videos = {name: video for name, video in truth.videos.items() if video.subset == split}
        if videos:
            yield from _names(videos, where, split, about)
            yield _instances(videos, where, split, about)
            yield from _ambiguous(videos, where, split, about)
    found = {label for video in truth.videos.values() for label in (i.label for i in video.instances)}
    yield from _classes(found, where, about)
    yield from _doubles(truth, where, about)
    yield from _times(truth, where, about)


def _names(videos: Mapping[str, VideoTruth], where: str, split: str, about: Dataset) -> Iterator[Finding]:
    known = about.splits[split]
    if known.durations:
        expected: Expected = {split: frozenset(known.durations)}
        for finding in compare("annotations", where, videos, expected, about):
            extra = finding.level == "note"  # annotated, so it should be one of the data set's
            yield replace(finding, level="problem", what=_unknown(finding.videos)) if extra else finding
        return
    what = f"{len(videos)} {split} videos"
    if len(videos) == known.n_videos:
        yield Finding("fits", "annotations", where, what)
    else:
        what = f"{what}, expected {known.n_videos}"
        yield Finding("problem", "annotations", where, what, "take the data set's own annotations")


def _unknown(videos: tuple[str, ...]) -> str:
    return f"{counted(len(videos), 'video')} that the data set does not annotate: {named(videos)}"


def _instances(videos: Mapping[str, VideoTruth], where: str, split: str, about: Dataset) -> Finding:
    n = sum(len(video.instances) for video in videos.values())
    name = set_of(Truth(videos), about) if split == TEST else ""
    wanted = about.sets[name].n_instances if name else about.splits[split].n_instances
    of = name or f"the {split} split"
    if wanted is None:
        return Finding("note", "annotations", where, f"{n} instances in {of}; how many there should be is not known")
    if n == wanted:
        return Finding("fits", "annotations", where, f"{n} instances in {of}")
    what = f"{n} instances in {of}, expected {wanted}"
    return Finding("problem", "annotations", where, what, "take the data set's own annotations")


def _ambiguous(videos: Mapping[str, VideoTruth], where: str, split: str, about: Dataset) -> Iterator[Finding]:
    n = sum(len(video.ambiguous) for video in videos.values())
    if n:
        what = f"{n} Ambiguous segments in the {split} split, which protocols other than activitynet leave out"
        yield Finding("note", "annotations", where, what)
    elif split == TEST and about.doubles:
        what = "no Ambiguous segments in the test split: protocols that forgive detections there cannot"
        yield Finding("note", "annotations", where, what, "the THUMOS14 folder has them")


def _classes(found: set[str], where: str, about: Dataset) -> Iterator[Finding]:
    unknown = found - set(about.classes) if about.classes else set()
    missing = set(about.classes) - found
    if len(found) == about.n_classes and not unknown:
        yield Finding("fits", "annotations", where, f"{len(found)} classes")
        return
    parts = [f"{len(found)} classes, expected {about.n_classes}"]
    parts += [f"unknown: {named(unknown)}"] if unknown else []
    parts += [f"missing: {named(missing)}"] if missing else []
    yield Finding("problem", "annotations", where, ", ".join(parts), "check how the classes are called")


def _doubles(truth: Truth, where: str, about: Dataset) -> Iterator[Finding]:
    for label, other in about.doubles.items():
        n: Counter[bool] = Counter()
        for video in truth.videos.values():
            others = {i.segment for i in video.instances if i.label == other}
            n.update(i.segment in others for i in video.instances if i.label == label)
        if n[False]:
            what = f"{n[False]} of {n.total()} {label} are not annotated as {other}, too, as they should be"
            yield Finding("problem", "annotations", where, what, "take the data set's own annotations")
        elif n[True]:
            what = f"all {n[True]} {label} are annotated as {other}, too, as they should be"
            yield Finding("note", "annotations", where, what)


def _times(truth: Truth, where: str, about: Dataset) -> Iterator[Finding]:
    """Compare annotated ends with the lengths of videos: those of the description, else of the annotations."""
    lengths = {**{n: v.duration_s for n, v in truth.videos.items() if v.duration_s}, **about.durations}
    late = {
        name
        for name, video in truth.videos.items()
        if name in lengths and any(i.segment.end_s > lengths[name] + LATE_S for i in video.instances)
    }
    if known := late & set(about.beyond_end):
        what = f"{counted(len(known), 'video')} annotated behind their end, as in every copy: {named(known)}"
        yield Finding("note", "annotations", where, what, videos=tuple(sorted(known)))
    if new := late - known:
        what = f"{counted(len(new), 'video')} annotated behind their end: {named(new)}"
        names = tuple(sorted(new))
        if about.durations:
            yield Finding("problem", "annotations", where, what, "times are seconds, not frames; check them", names)
        else:  # both come from the same file, and ActivityNet has some
            yield Finding("note", "annotations", where, what, videos=names)
