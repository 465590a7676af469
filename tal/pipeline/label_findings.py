"""What may be wrong with a table of labels, line by line, in plain words."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tal.annotations import AMBIGUOUS
from tal.annotations.spelling import alike
from tal.annotations.tables import Row, Table, misfit
from tal.errors import suggest
from tal.parsing import video_name

HOW = {
    "spelling": "differ only in case, blanks or signs",
    "plural": "differ only by an ending",
    "letter": "differ in one letter",
}
MAX_HINTS = 20
"""Looking for the nearest name takes time."""
_SEVERAL = re.compile(r"\s*[;|+,/]\s*|\s+and\s+")


@dataclass(frozen=True)
class Finding:
    """One thing to look at.

    Attributes:
        code: For programs.
        line: Line of the file, counted from 1; None where there is none.
        text: What is the matter.
        remedy: What to do.
        fatal: Whether the file cannot be used like this.
    """

    code: str
    line: int | None
    text: str
    remedy: str
    fatal: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {
            "code": self.code,
            "line": self.line,
            "text": self.text,
            "remedy": self.remedy,
            "fatal": self.fatal,
        }


@dataclass(frozen=True)
class _Entry:
    """A row that could be read; the label is empty where nothing was typed yet."""

    line: int
    video: str
    label: str
    subset: str


def examine(table: Table, videos: Collection[str]) -> tuple[Finding, ...]:
    """Return what is to be said of a table with the columns ``video`` and ``label``.

    Args:
        table: The table.
        videos: Names of the videos that are there.

    Returns:
        What cannot be used first, then by line; findings without a line at the end.
    """
    entries = [_entry(row, table) for row in table.rows if misfit(row, table) is None]
    found = [
        *_rows(table),
        *_videos(entries, set(videos)),
        *_missing(entries, videos),
        *_twice(entries),
        *_spellings(entries),
        *_rare(entries),
    ]
    return tuple(sorted(found, key=lambda one: (not one.fatal, one.line is None, one.line or 0)))


def _entry(row: Row, table: Table) -> _Entry:
    cells = dict(zip(table.header, row.cells, strict=True))
    return _Entry(row.line, video_name(cells["video"]), cells["label"], cells.get("subset", ""))


def _rows(table: Table) -> Iterator[Finding]:
    """Find rows that no column fits."""
    for row in table.rows:
        if wrong := misfit(row, table):
            yield Finding("cells", row.line, wrong[0], "give each label a row of its own", fatal=True)


def _videos(entries: Sequence[_Entry], there: set[str]) -> Iterator[Finding]:
    """Find rows whose video is not there, is not named or is said to be in two subsets."""
    subsets: dict[str, str] = {}
    n_hints = 0
    for one in entries:
        if not one.video:
            yield Finding("no video", one.line, "empty 'video'", "write the video or remove the row", fatal=True)
            continue
        if one.video not in there:
            hint = suggest(one.video, there)[2:] if n_hints < MAX_HINTS else ""
            n_hints += 1
            remedy = hint if "did you mean" in hint else "correct the name or remove the row"
            yield Finding("unknown video", one.line, f"no video is named '{one.video}'", remedy, fatal=bool(one.label))
        if one.subset != subsets.setdefault(one.video, one.subset):
            text = f"video '{one.video}' is in subset '{one.subset}' here and in '{subsets[one.video]}' above"
            yield Finding("subset", one.line, text, "give each video one subset", fatal=True)


def _missing(entries: Sequence[_Entry], videos: Collection[str]) -> Iterator[Finding]:
    """Find videos without a label."""
    labelled = {one.video for one in entries if one.label}
    lines = {one.video: one.line for one in entries}
    if not labelled:
        yield Finding("no labels", None, "no label at all", "write an action beside each video", fatal=True)
        return
    for video in sorted(set(videos) - labelled):
        text = f"video '{video}' has no label"
        remedy = "write one, or it is not learnt from" if video in lines else "add a row, or it is not learnt from"
        yield Finding("unlabelled", lines.get(video), text, remedy)


def _twice(entries: Sequence[_Entry]) -> Iterator[Finding]:
    """Find rows that say again what a row above says."""
    first: dict[tuple[str, str], int] = {}
    for one in entries:
        line = first.setdefault((one.video, one.label), one.line)
        if one.label and line != one.line:
            yield Finding("twice", one.line, f"the same video and label as in line {line}", "remove one of the rows")


def _spellings(entries: Sequence[_Entry]) -> Iterator[Finding]:
    """Find labels that are probably one."""
    lines, counts = _lines(entries), _counts(entries)
    for pair in alike(lines):
        one, other = pair[:2]
        rare, usual = sorted((one, other), key=lambda label: (counts[label], -lines[label]))
        text = f"'{rare}' ({_videos_of(counts[rare])}) and '{usual}' ({_videos_of(counts[usual])}) {HOW[pair[2]]}"
        yield Finding("alike", lines[rare], text, f"if they are one action, write '{usual}'")


def _rare(entries: Sequence[_Entry]) -> Iterator[Finding]:
    """Find labels of one video, labels that look like several, and the one that is no class."""
    lines, counts = _lines(entries), _counts(entries)
    for label, line in lines.items():
        parts = [part for part in _SEVERAL.split(label) if part]
        if label == AMBIGUOUS:
            text = f"'{label}' marks time that counts for nothing and is never learnt"
            yield Finding("ambiguous", line, text, "choose another word if it is an action")
        elif len(parts) > 1 and any(part in lines for part in parts):
            yield Finding("several", line, f"'{label}' is read as one label", "give each label a row of its own")
        elif counts[label] == 1 and len(lines) > 1:
            yield Finding("once", line, f"'{label}' has one video only", "label more videos with it, or leave it out")


def _lines(entries: Sequence[_Entry]) -> dict[str, int]:
    """Return the first line of each label."""
    found: dict[str, int] = {}
    for one in entries:
        if one.label:
            found.setdefault(one.label, one.line)
    return found


def _counts(entries: Sequence[_Entry]) -> Mapping[str, int]:
    """Return the number of videos of each label."""
    by_label: dict[str, set[str]] = defaultdict(set)
    for one in entries:
        by_label[one.label].add(one.video)
    return Counter({label: len(videos) for label, videos in by_label.items()})


def _videos_of(n: int) -> str:
    return "1 video" if n == 1 else f"{n} videos"
