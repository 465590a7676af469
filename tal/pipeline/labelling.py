"""A table of labels for one's own videos: a template to fill in, and what is wrong with one that was filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extract.video import find_videos, video_name
from tal import parsing
from tal.annotations.formats import check_header
from tal.annotations.tables import Table, read_table
from tal.csv_text import written
from tal.errors import InputError
from tal.files import write_atomic
from tal.parsing import read_text
from tal.pipeline.extraction import Paths, as_paths
from tal.pipeline.label_findings import Finding, examine

COLUMNS = ("video", "label")
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Template:
    """A table of labels that was written or brought up to date.

    Attributes:
        path: The file.
        added: Names of the videos that got a row.
        n_kept: Rows that were there; not a byte of them has changed.
        n_unlabelled: Videos without a label, those that were added included.
    """

    path: Path
    added: tuple[str, ...]
    n_kept: int
    n_unlabelled: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        counts = {"n_kept": self.n_kept, "n_unlabelled": self.n_unlabelled}
        return {"labels": str(self.path), "added": list(self.added), **counts}


@dataclass(frozen=True)
class LabelCheck:
    """What was found in a table of labels.

    Attributes:
        path: The file.
        findings: What cannot be used first, then by line.
        n_videos: Videos that were given.
        n_labelled: How many of them have a label.
        classes: Label to number of videos, the most frequent first.
    """

    path: Path
    findings: tuple[Finding, ...]
    n_videos: int
    n_labelled: int
    classes: dict[str, int]

    @property
    def n_unusable(self) -> int:
        """Number of findings that keep the file from being used."""
        return sum(finding.fatal for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        counts = {"n_videos": self.n_videos, "n_labelled": self.n_labelled, "n_unusable": self.n_unusable}
        found = [finding.to_dict() for finding in self.findings]
        return {"labels": str(self.path), **counts, "classes": self.classes, "findings": found}


def make_template(videos: Paths, path: Path | str = "labels.csv") -> Template:
    """Write a table with one row per video, to be filled in; add new videos to one that is there.

    What was typed is never lost: rows are only added below, in the file's own columns, separator and line ends.

    Args:
        videos: Video files and folders of them.
        path: The CSV file.

    Raises:
        InputError: If there is no video.
        AnnotationError: If a file is there that is no table with a column ``video``; it is left alone.
    """
    path, names = Path(path), _cells_by_name(videos)
    before = path.read_bytes() if path.is_file() else b""
    if not before.strip():
        text = written([COLUMNS, *((cell, "") for cell in names.values())], ",", "\n")
        write_atomic(path, (b"" if text.isascii() else BOM) + text.encode())
        return Template(path, tuple(names), 0, len(names))
    table = _open(path)
    rows = _names_and_labels(table)
    added = {name: cell for name, cell in names.items() if name not in {video for video, _ in rows}}
    if added:
        write_atomic(path, before + _more(added.values(), table, before))
    labelled = {video for video, label in rows if label}
    return Template(path, tuple(added), len(table.rows), len(names.keys() - labelled))


def check_labels(videos: Paths, path: Path | str = "labels.csv") -> LabelCheck:
    """Check a table of labels against the videos.

    Args:
        videos: Video files and folders of them.
        path: The CSV file.

    Raises:
        InputError: If there is no video.
        AnnotationError: If the file cannot be read as a table with the columns ``video`` and ``label``.
    """
    names, table = list(_cells_by_name(videos)), _open(Path(path), COLUMNS)
    findings = examine(table, names)
    rows = [(video, label) for video, label in _names_and_labels(table) if label]
    counts: dict[str, int] = {}
    for _, label in set(rows):
        counts[label] = counts.get(label, 0) + 1
    classes = dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))
    return LabelCheck(Path(path), findings, len(names), len({v for v, _ in rows} & set(names)), classes)


def _open(path: Path, columns: Sequence[str] = ("video",)) -> Table:
    if path.suffix.lower() != ".csv":
        raise InputError(f"{path}: not a .csv file; choose one with --output")
    table = read_table(read_text(path), path)
    check_header(table, columns)
    return table


def _cells_by_name(videos: Paths) -> dict[str, str]:
    """Return video name to what stands in the table for it: its file name, where that is read as this name."""
    found = find_videos(as_paths(videos))
    if not found:
        raise InputError("no videos; name video files, or folders of them")
    cells = {video_name(path): f"{video_name(path)}{path.suffix}" for path in found}
    return {name: cell if parsing.video_name(cell) == name else name for name, cell in cells.items()}


def _names_and_labels(table: Table) -> list[tuple[str, str]]:
    """Return the video and the label of each row, the label empty where there is none."""
    video = table.header.index("video")
    label = table.header.index("label") if "label" in table.header else None
    return [(parsing.video_name(row.cells[video]), "" if label is None else row.cells[label]) for row in table.rows]


def _more(cells: Any, table: Table, before: bytes) -> bytes:
    """Return rows for more videos as they continue a file."""
    end = "\r\n" if b"\r\n" in before else "\n"
    n, at = len(table.header), table.header.index("video")
    rows = [[cell if i == at else "" for i in range(n)] for cell in cells]
    joint = "" if before.endswith((b"\n", b"\r")) else end
    return (joint + written(rows, table.separator, end)).encode()
