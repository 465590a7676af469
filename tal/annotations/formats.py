"""The file formats of annotations, each read into drafts: what a file says about a video, before it is sorted out."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tal.annotations.tables import Table, misfit, read_table
from tal.parsing import (
    Place,
    as_list,
    as_number,
    as_object,
    as_segment,
    as_text,
    interval,
    parse_json,
    read_text,
    required,
    shown,
    video_name,
)
from tal.types import Segment

_THUMOS14_FILE = re.compile(r"(?P<label>.+)_(?P<subset>val|test)\.txt")


@dataclass(slots=True)
class Draft:
    """What a file says about one video; segments are None where only labels were asked for."""

    subset: str = ""
    duration_s: float | None = None
    annotations: list[tuple[str, Segment | None]] = field(default_factory=list)


Drafts = dict[str, Draft]


def read_drafts(path: Path, timed: bool) -> Drafts:
    """Read a file of any format.

    Args:
        path: A ``.csv`` or ``.json`` file or a THUMOS14 folder.
        timed: Whether annotations must have segments.

    Raises:
        AnnotationError: For the first thing that is wrong; names file, place and remedy.
    """
    kind = path.suffix.lower()
    if path.is_dir():
        drafts = _read_thumos14(path)
    elif kind == ".json":
        drafts = _read_activitynet(path, timed)
    elif kind == ".csv":
        drafts = _read_csv(path, timed)
    else:
        problem = "not a format that is read here" if path.exists() else "no such file or folder"
        raise Place(path).error(problem, "give a .csv, a .json or a THUMOS14 folder")
    if not drafts:
        raise Place(path).error("no videos", "annotate at least one")
    return drafts


def _add(drafts: Drafts, video: str, found: Draft, place: Place) -> None:
    """Add a row's annotations to a video that earlier rows may have named."""
    draft = drafts.setdefault(video, Draft(found.subset, found.duration_s))
    if draft.subset != found.subset:
        problem = f"video '{video}' is in subset '{found.subset}' here and in '{draft.subset}' above"
        raise place.error(problem, "give each video one subset")
    draft.annotations += found.annotations


def _duration(value: object, place: Place) -> float | None:
    if value is None or value == "":
        return None
    seconds = as_number(value, place, texts=True)
    if seconds < 0:
        raise place.error(f"the duration is negative ({seconds:g} s)", "write seconds")
    return seconds


def _read_activitynet(path: Path, timed: bool) -> Drafts:
    tree = parse_json(read_text(path), path)
    place = Place(path, "database")
    drafts: Drafts = {}
    for name, value in as_object(required(tree, "database", Place(path)), place).items():
        video = video_name(as_text(name, place))
        if video in drafts:
            raise place.error(f"two videos are named '{video}' when suffixes are dropped", "keep one of them")
        drafts[video] = _activitynet_video(as_object(value, place.key(name)), timed, place.key(name))
    return drafts


def _activitynet_video(entry: Mapping[str, Any], timed: bool, place: Place) -> Draft:
    subset = entry.get("subset", "")
    if not isinstance(subset, str):
        raise place.key("subset").error(f"expected a text, found {shown(subset)}", "write the name of a split")
    inner = place.key("annotations")
    annotations = as_list(required(entry, "annotations", place), inner)
    return Draft(
        subset,
        _duration(entry.get("duration"), place.key("duration")),
        [_activitynet_annotation(a, timed, inner.item(i)) for i, a in enumerate(annotations)],
    )


def _activitynet_annotation(value: object, timed: bool, place: Place) -> tuple[str, Segment | None]:
    entry = as_object(value, place)
    label = as_text(required(entry, "label", place), place.key("label"))
    if not timed:
        return label, None
    return label, as_segment(required(entry, "segment", place), place.key("segment"), texts=True)


def _read_thumos14(folder: Path) -> Drafts:
    files = [file for file in sorted([*folder.glob("*.txt"), *folder.glob("*/*.txt")]) if _thumos14_name(file)]
    if not files:
        raise Place(folder).error("no files CLASS_val.txt or CLASS_test.txt", "give the folder that holds them")
    drafts: Drafts = {}
    for file in files:
        _read_thumos14_class(file, drafts)
    return drafts


def _thumos14_name(file: Path) -> tuple[str, str] | None:
    match = _THUMOS14_FILE.fullmatch(file.name)
    return (match["label"], match["subset"]) if match else None


def _read_thumos14_class(file: Path, drafts: Drafts) -> None:
    label, subset = _thumos14_name(file) or ("", "")
    for place, cells in _lines(file):
        if len(cells) != 3:
            raise place.error(f"{len(cells)} fields", "write VIDEO START END")
        segment = as_segment(list(cells[1:]), place, texts=True)
        _add(drafts, video_name(cells[0]), Draft(subset, None, [(label, segment)]), place)


def _lines(file: Path) -> Iterator[tuple[Place, list[str]]]:
    for number, line in enumerate(io.StringIO(read_text(file)), start=1):
        if cells := line.split():
            yield Place(file, f"line {number}"), cells


def _read_csv(path: Path, timed: bool) -> Drafts:
    table = read_table(read_text(path), path)
    check_header(table, ("video", "label", "start", "end") if timed else ("video", "label"))
    drafts: Drafts = {}
    for one in table.rows:
        place = table.place_of(one)
        if wrong := misfit(one, table):
            raise place.error(*wrong)
        row = dict(zip(table.header, one.cells, strict=True))
        _add(drafts, video_name(_cell(row, "video", place)), _csv_draft(row, timed, place), place)
    return drafts


def check_header(table: Table, names: Sequence[str]) -> None:
    """Refuse a table in which a column of these names is missing or comes twice.

    Raises:
        AnnotationError: Names the column, and what to do.
    """
    header, place = table.header, table.place
    for name in names:
        if header.count(name) > 1:
            raise place.error(f"two columns '{name}'", "keep one of them")
        if name not in header:
            found = ", ".join(column for column in header if column) or "nothing"
            raise place.error(f"no column '{name}' (found: {found})", _header_remedy(header, name, names))


def _header_remedy(header: Sequence[str], name: str, names: Sequence[str]) -> str:
    near = get_close_matches(name, [column for column in header if column not in names], n=1)
    return f"rename '{near[0]}' to '{name}'" if near else f"the header must name {', '.join(names)}"


def _csv_draft(row: Mapping[str, str], timed: bool, place: Place) -> Draft:
    """Return what a row says; without a label it says nothing yet, which only ground truth minds."""
    duration_s = _duration(row.get("duration", ""), _column(place, "duration"))
    segment = interval(_csv_number(row, "start", place), _csv_number(row, "end", place), place) if timed else None
    labelled = timed or row["label"]
    return Draft(row.get("subset", ""), duration_s, [(_cell(row, "label", place), segment)] if labelled else [])


def _column(place: Place, name: str) -> Place:
    return Place(place.path, f"{place.at}, column '{name}'")


def _cell(row: Mapping[str, str], name: str, place: Place) -> str:
    if not row[name]:
        raise place.error(f"empty '{name}'", f"write the {name} or remove the row")
    return as_text(row[name], _column(place, name))


def _csv_number(row: Mapping[str, str], name: str, place: Place) -> float:
    return as_number(_cell(row, name, place), _column(place, name), texts=True)
