"""A user's copy of a data set: what of it is there, what is missing, what does not fit."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

from extract import decoders
from tal import datasets
from tal.annotations import Truth
from tal.datasets import Dataset, features, layout, truths
from tal.datasets.findings import Finding, Part, counted, has_problem, named
from tal.datasets.layout import Found
from tal.datasets.names import Expected, compare
from tal.errors import ConfigError, TalError, suggest
from tal.progress import Progress, Silent

PARTS: tuple[Part, ...] = get_args(Part)
CUT_S, CUT_SHARE = 2.0, 0.02
"""By how much a video's length may differ from the known one: containers, and sound behind the pictures."""
_HOW: Mapping[Part, str] = {
    "videos": "name the folder that holds them",
    "features": "make them with 'tal extract' or 'tal import-features'",
    "annotations": "put the data set's own annotations there",
}


@dataclass(frozen=True)
class DataReport:
    """What became of a check.

    Attributes:
        dataset: Name of the description.
        title: The data set's name in papers.
        root: The folder that was looked at.
        findings: Annotations first, then features, then videos.
    """

    dataset: str
    title: str
    root: Path
    findings: tuple[Finding, ...]

    @property
    def fits(self) -> bool:
        """Whether nothing is wrong with what is there."""
        return not has_problem(self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        about = {"dataset": self.dataset, "title": self.title, "root": str(self.root), "fits": self.fits}
        return {**about, "findings": [one.to_dict() for one in self.findings]}


def check_data(
    name: str,
    root: Path | str,
    *,
    need: Collection[str] = (),
    values: bool = True,
    progress: Progress | None = None,
) -> DataReport:
    """Look at a copy of a data set and compare it with its description.

    Args:
        name: A data set that is described, such as ``thumos14``.
        root: Folder with videos, features and annotations or some of them, or an annotation file.
        need: Which of ``videos``, ``features`` and ``annotations`` must be there.
        values: Whether all values of features are read; else only how many there are.
        progress: Who is told.

    Raises:
        ConfigError: If there is no such description or no such part.
        InputError: If there is nothing at `root`.
    """
    about = datasets.load(name)
    for part in need:
        if part not in PARTS:
            raise ConfigError(f"--need: no part '{part}'{suggest(part, PARTS)}")
    found = layout.find(Path(root), about)
    return DataReport(name, about.title, Path(root), tuple(_check(found, about, need, values, progress or Silent())))


def _check(found: Found, about: Dataset, need: Collection[str], values: bool, progress: Progress) -> Iterator[Finding]:
    truth, told = _annotations(found, about)
    yield from told
    expected, durations = expected_names(about, truth), known_lengths(about, truth)
    collections = [one for one in found.collections if one.files]
    for one in collections:
        yield from features.check(one, about, expected, durations, values, progress)
    yield from _strangers(found, collections, about)
    if found.videos:
        yield from compare("videos", "", found.videos, expected, about)
        yield from _twice(found)
        yield from _videos(found, durations, progress)
    there = {"videos": found.videos, "features": collections, "annotations": found.annotations}
    for part in PARTS:
        if not there[part]:
            yield Finding("problem" if part in need else "absent", part, "", f"no {part} here", _HOW[part])


def expected_names(about: Dataset, truth: Truth) -> Expected:
    """Return which videos there should be, by split: as the description says, else as annotations do."""
    expected = {}
    for split, one in about.splits.items():
        annotated = (name for name, video in truth.videos.items() if video.subset == split)
        if names := frozenset(one.durations or annotated):
            expected[split] = names
    return expected


def known_lengths(about: Dataset, truth: Truth) -> dict[str, float]:
    """Return how long videos are, seconds: as the description says, else as annotations do."""
    return {**{n: v.duration_s for n, v in truth.videos.items() if v.duration_s}, **about.durations}


def _annotations(found: Found, about: Dataset) -> tuple[Truth, list[Finding]]:
    """Return all annotations that can be read, and what is to be said about each file."""
    told: list[Finding] = []
    known: list[Truth] = []
    for path, form in found.annotations.items():
        where = found.relative(path)
        try:
            truth = truths.read(path, about, form)
        except TalError as error:
            told.append(Finding("problem", "annotations", where, _without(path, error)))
            continue
        if truth.videos:
            known.append(truth)
            told += truths.check(truth, where, about)
        else:
            what = f"{form.form}: no video of the subsets of {about.title}"
            told.append(Finding("note", "annotations", where, what))
    return truths.joined(known), told


def _without(path: Path, error: TalError) -> str:
    """Return what is wrong with a file without its name."""
    return str(error).removeprefix(f"{path}, ").removeprefix(f"{path}: ")


def _strangers(found: Found, collections: Collection[layout.Collection], about: Dataset) -> Iterator[Finding]:
    """Tell of files beside features, or in their place, that are not named after videos."""
    for one in found.collections:
        if one.strangers and (one in collections or one.form == "shards") and not _models(one):
            what = f"{counted(len(one.strangers), 'file')} not named after a video of {about.title}"
            example = ", ".join(path.name for path in one.strangers[:3])
            yield Finding("note", "features", one.place, f"{what}, not used: {example}")


def _models(one: layout.Collection) -> bool:
    """Return whether the files are trained models."""
    return all(path.name == "model.safetensors" or path.parent.name == "last" for path in one.strangers)


def _twice(found: Found) -> Iterator[Finding]:
    twice = tuple(sorted(video for video, files in found.videos.items() if len(files) > 1))
    if twice:
        what = f"{counted(len(twice), 'video')} in several files: {named(twice)}"
        yield Finding("problem", "videos", "", what, "keep one of each", twice)


def _videos(found: Found, durations: Mapping[str, float], progress: Progress) -> Iterator[Finding]:
    """Open each video without decoding it, and compare its length with the known one."""
    decoder = decoders.load()
    broken: dict[str, str] = {}
    cut: dict[str, float] = {}
    with progress.task("look into videos", len(found.videos), "videos") as bar:
        for video, files in sorted(found.videos.items()):
            try:
                length_s = decoder.probe(files[0]).duration_s
            except TalError as error:
                broken[video], length_s = str(error), None
            if length_s is not None and video in durations and _differs(length_s, durations[video]):
                cut[video] = float(length_s)
            bar.advance(1, video)
    yield from _told(broken, cut, durations, len(found.videos))


def _differs(length_s: Fraction, known_s: float) -> bool:
    return abs(float(length_s) - known_s) > CUT_S + CUT_SHARE * known_s


def _told(
    broken: Mapping[str, str], cut: Mapping[str, float], durations: Mapping[str, float], n: int
) -> Iterator[Finding]:
    if broken:
        first = min(broken)
        what = f"{counted(len(broken), 'video')} cannot be opened, the first: {broken[first]}"
        yield Finding("problem", "videos", "", what, "download them again", tuple(sorted(broken)))
    if cut:
        first = min(cut)
        example = f"{first} lasts {cut[first]:.1f} s, not {durations[first]:.1f} s"
        what = f"{counted(len(cut), 'video')} with another length than the data set's: {example}"
        yield Finding("problem", "videos", "", what, "download them again", tuple(sorted(cut)))
    if not broken and not cut:
        what = f"{counted(n, 'video')} can be opened"
        yield Finding("fits", "videos", "", what, "'tal probe --full' reads every frame")
