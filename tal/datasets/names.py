"""Which of the videos that should be there are there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from tal.datasets import TEST, Dataset
from tal.datasets.findings import Finding, Part, counted, named

REMEDIES: Mapping[Part, str] = {
    "videos": "download them again, or check how the files are called",
    "features": "extract or import them, or check how the files are called",
    "annotations": "take the data set's own annotations",
}
Expected = Mapping[str, frozenset[str]]
"""Split to the names of its videos; a split whose names are not known is left out."""


def compare(part: Part, where: str, there: Collection[str], expected: Expected, about: Dataset) -> Iterator[Finding]:
    """Yield a finding for each split, and one for what belongs to none."""
    present = frozenset(there)
    for split, names in expected.items():
        if present & names:
            yield _split(part, where, split, names - present, about, len(names))
        elif present:
            yield Finding("absent", part, where, f"nothing of the {split} split")
    extra = present - frozenset().union(*expected.values())
    if extra and expected:
        what = f"{counted(len(extra), 'more video')} without annotations of the {about.n_classes} classes, not used"
        yield Finding("note", part, where, f"{what}: {named(extra)}", videos=tuple(sorted(extra)))
    if not expected and present:
        yield Finding("note", part, where, f"{counted(len(present), 'video')}; annotations would tell which belong")


def _split(part: Part, where: str, split: str, missing: frozenset[str], about: Dataset, n: int) -> Finding:
    known = set_without(missing, split, about)
    if known or not missing:
        which = f", the set {known}" if known else ""
        return Finding("fits", part, where, f"all {n - len(missing)} {split} videos{which}")
    missing = missing - _needless(split, about)
    what = f"{len(missing)} of {n} {split} videos are missing: {named(missing)}"
    names = tuple(sorted(missing))
    if about.gone is not None and part != "annotations" and len(missing) < n / 2:
        had = f", {about.gone[split]} of {n} could be had in 2018" if split in about.gone else ""
        return Finding("note", part, where, f"{what}; many are no longer on YouTube{had}", videos=names)
    return Finding("problem", part, where, what, REMEDIES[part], names)


def set_without(missing: Collection[str], split: str, about: Dataset) -> str:
    """Return the name of the set that is left when videos of a split are missing; empty if there is none."""
    if split != TEST:
        return ""
    return next((name for name, one in about.sets.items() if frozenset(one.without) == frozenset(missing)), "")


def _needless(split: str, about: Dataset) -> frozenset[str]:
    """Return the videos that every set without all videos leaves out: they have nothing to be found."""
    without = [frozenset(one.without) for one in about.sets.values() if one.split == split and one.without]
    return frozenset.intersection(*without) if without else frozenset()
