"""Features of a data set compared with what they should be: names, streams, dimensions, values, rate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tal.datasets import Dataset
from tal.datasets.contents import Seen, readable, see
from tal.datasets.findings import Finding, counted, named
from tal.datasets.layout import Collection
from tal.datasets.names import Expected, compare
from tal.datasets.rates import MOST, RateReport, judge
from tal.progress import Progress

AGAIN = "extract or import them again"


@dataclass
class _Survey:
    """What was seen in a collection."""

    seen: dict[str, Seen] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)


def check(
    one: Collection,
    about: Dataset,
    expected: Expected,
    durations_s: Mapping[str, float],
    look: bool,
    progress: Progress,
) -> Iterator[Finding]:
    """Yield what of a collection of features fits the description and what does not.

    Args:
        one: The collection.
        about: The data set.
        expected: Names of the videos of each split.
        durations_s: Lengths of videos, seconds, as far as they are known from elsewhere than the features.
        look: Whether all values are read.
        progress: Who is told.
    """
    survey = _Survey()
    with progress.task(f"look into {one.place}", len(one.files), "videos") as bar:
        for video, files in sorted(one.files.items()):
            seen, why = readable(lambda files=files: see(files, look))  # type: ignore[misc]
            if seen:
                survey.seen[video] = seen
            else:
                survey.unreadable[video] = why
            bar.advance(1, video)
    yield from compare("features", one.place, one.files, expected, about)
    yield from _unreadable(survey, one)
    yield from _shapes(survey, one)
    yield from _values(survey, one, look)
    yield from _rate(survey, one, about, durations_s)


def _unreadable(survey: _Survey, one: Collection) -> Iterator[Finding]:
    if survey.unreadable:
        names = tuple(sorted(survey.unreadable))
        what = f"{counted(len(names), 'video')} cannot be read, the first: {survey.unreadable[names[0]]}"
        yield Finding("problem", "features", one.place, what, videos=names)


def _shapes(survey: _Survey, one: Collection) -> Iterator[Finding]:
    kinds = Counter(_kind(seen) for seen in survey.seen.values())
    if not kinds:
        return
    usual = kinds.most_common(1)[0][0]
    other = tuple(video for video, seen in survey.seen.items() if _kind(seen) != usual)
    origins = ", ".join(sorted({seen.origin for seen in survey.seen.values()} - {""}))
    what = f"{one.form}, {usual}" + (f", {origins}" if origins else "")
    yield Finding("fits", "features", one.place, what)
    if other:
        what = f"{counted(len(other), 'video')} with other streams or dimensions: {named(other)}"
        example = f"{_kind(survey.seen[min(other)])}, not {usual}"
        yield Finding("problem", "features", one.place, f"{what} ({example})", AGAIN, tuple(sorted(other)))
    uneven = tuple(sorted(v for v, seen in survey.seen.items() if len(set(seen.counts.values())) > 1))
    if uneven:
        what = f"{counted(len(uneven), 'video')} with more snippets in one stream than in the other: {named(uneven)}"
        yield Finding("problem", "features", one.place, what, AGAIN, uneven)


def _kind(seen: Seen) -> str:
    return " and ".join(f"{name} {seen.dims[name]}-d" for name in sorted(seen.dims, reverse=True))


def _values(survey: _Survey, one: Collection, look: bool) -> Iterator[Finding]:
    bad = tuple(sorted(video for video, seen in survey.seen.items() if not seen.finite))
    if bad:
        what = f"{counted(len(bad), 'video')} without snippets, or with values that are not finite: {named(bad)}"
        yield Finding("problem", "features", one.place, what, AGAIN, bad)
    elif look and survey.seen:
        yield Finding("fits", "features", one.place, f"all values of {counted(len(survey.seen), 'video')} are finite")


def _rate(survey: _Survey, one: Collection, about: Dataset, durations_s: Mapping[str, float]) -> Iterator[Finding]:
    counts = {video: max(seen.counts.values()) for video, seen in survey.seen.items() if seen.counts}
    claims = {video: seen.grid for video, seen in survey.seen.items() if seen.grid}
    report = judge(counts, durations_s, claims, about)
    if not report.n_videos:
        if counts:
            what = "how long the videos are is not known, so the rate of the features cannot be checked"
            yield Finding("note", "features", one.place, what, "put the annotations or the videos beside them")
    elif report.fixed:
        yield _stretched(report, one, bool(claims) and not report.misfits)
    elif claims:
        yield from _claimed(report, one, sorted({grid.rate for grid in claims.values()}))
    else:
        yield _unclaimed(report, one)


def _stretched(report: RateReport, one: Collection, known: bool) -> Finding:
    what = f"every video has {report.fixed} snippets, whatever its length: stretched features"
    if known:
        return Finding("note", "features", one.place, f"{what}, each at a rate of its own, as the shards say")
    return Finding(
        "problem", "features", one.place, f"{what}, which have no rate", "take others, or import them as such"
    )


def _claimed(report: RateReport, one: Collection, rates: list[str]) -> Iterator[Finding]:
    claimed = " or ".join(rates[:2]) + (" ..." if len(rates) > 2 else "")
    n, n_bad = report.n_videos, len(report.misfits)
    if not n_bad:
        what = f"snippet counts fit the videos' lengths at {claimed}, as the shards say ({counted(n, 'video')})"
        yield Finding("fits", "features", one.place, what)
    elif n_bad <= (1 - MOST) * n:
        what = f"{n_bad} of {n} snippet counts do not fit {claimed}: {named(report.misfits)}"
        remedy = "they are cut short or another video; check and extract them again"
        yield Finding("problem", "features", one.place, what, remedy, report.misfits)
    else:
        what = f"wrong rate: {n_bad} of {n} snippet counts do not fit {claimed}, {report.factor:.2f} times as many"
        yield Finding("problem", "features", one.place, what, _fitting(report), report.misfits)


def _fitting(report: RateReport) -> str:
    if report.best is None:
        return "no usual rate would fit; find out how they were made and import them with that rate"
    return f"{_best(report)} would fit {report.n_best} of {report.n_videos}: import them again with that rate"


def _best(report: RateReport) -> str:
    best = report.best
    if best is None:
        return "no usual rate"
    return best.rate if best.name == "unnamed" else f"{best.rate} ({best.name})"


def _unclaimed(report: RateReport, one: Collection) -> Finding:
    n = counted(report.n_videos, "video")
    if report.best is None:
        what = f"the snippet counts of {n} fit no usual rate"
        remedy = "find out how they were made and import them with that rate"
        return Finding("problem", "features", one.place, what, remedy)
    what = f"snippet counts fit {_best(report)} for {report.n_best} of {n}"
    return Finding("fits", "features", one.place, what, "import them with that rate: tal import-features")
