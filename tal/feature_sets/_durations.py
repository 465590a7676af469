"""How long videos are, from the files that tell it: ground truth, tables, lists."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from tal.parsing import Place, as_number, as_object, parse_json, read_text, shown, video_name

_SECONDS = ("duration", "duration_second", "duration_s", "seconds")
_AT_END = re.compile(r"[\s,;]([0-9.eE+-]+)$")


@dataclass(frozen=True)
class Duration:
    """What is known about a video's time.

    Attributes:
        seconds: When it ends.
        covered_s: The part that rescaled features cover, from the start (BSN's ``feature_frame``); else all of it.
        fps: Its frames per second, where the file says that as well.
    """

    seconds: float
    covered_s: float
    fps: Fraction | None = None


def read_durations(path: Path) -> dict[str, Duration]:
    """Read how long videos are.

    Read are ActivityNet-style JSON (``database``, or BSN's and mmaction2's object of videos), CSV with the columns
    ``video`` and ``duration`` (or ``fps`` and ``count``, THUMOS14's table), and text with a name and seconds on a line,
    or on two lines in turn. Videos without a duration are left out.

    Raises:
        AnnotationError: If the file is of another kind, or a duration is no positive number.
    """
    text = read_text(path)
    if path.suffix.lower() == ".json":
        found = dict(_of_json(parse_json(text, path), path))
    else:
        found = dict(_of_table(text, path) if path.suffix.lower() == ".csv" else _of_lines(text, path))
    if not found:
        raise Place(path).error("no durations", "give ActivityNet-style JSON, or CSV with the columns video, duration")
    return found


def _of_json(tree: Mapping[str, Any], path: Path) -> Iterator[tuple[str, Duration]]:
    place = Place(path, "database") if "database" in tree else Place(path)
    for name, value in as_object(tree.get("database", tree), place).items():
        entry, at = as_object(value, place.key(name)), place.key(name)
        key = next((key for key in _SECONDS if entry.get(key) is not None), None)
        if key is not None:
            seconds = _positive(entry[key], at.key(key))
            yield video_name(name), Duration(seconds, seconds * _covered(entry, at))


def _covered(entry: Mapping[str, Any], at: Place) -> float:
    """Return which share of its frames BSN's features of a video were taken from."""
    if entry.get("feature_frame") is None or entry.get("duration_frame") is None:
        return 1.0
    frames = _positive(entry["feature_frame"], at.key("feature_frame"))
    return min(1.0, frames / _positive(entry["duration_frame"], at.key("duration_frame")))


def _of_table(text: str, path: Path) -> Iterator[tuple[str, Duration]]:
    rows = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    try:
        yield from _of_rows(rows, path)
    except csv.Error as error:
        raise Place(path, f"line {max(1, rows.line_num)}").error(f"not CSV ({error})", "check its quotes") from error


def _of_rows(rows: csv.DictReader[str], path: Path) -> Iterator[tuple[str, Duration]]:
    columns = {(name or "").strip().lower(): name for name in rows.fieldnames or []}
    seconds = next((columns[key] for key in _SECONDS if key in columns), None)
    if "video" not in columns or (seconds is None and not {"fps", "count"} <= set(columns)):
        problem = f"no columns 'video' and 'duration' (found: {', '.join(columns)[:80] or 'nothing'})"
        raise Place(path, "line 1").error(problem, "name them in the first line; 'fps' and 'count' do as well")
    for row in rows:
        if found := _of_row(row, columns, seconds, Place(path, f"line {rows.line_num}")):
            yield video_name(str(row[columns["video"]]).strip()), found


def _of_row(row: Mapping[str, Any], columns: Mapping[str, str], seconds: str | None, place: Place) -> Duration | None:
    fps = None
    if "fps" in columns and (seconds is None or row[columns["fps"]]):
        fps = Fraction(str(_positive(row[columns["fps"]], place)))
    if seconds is None and fps is not None:
        end_s = _positive(row[columns["count"]], place) / float(fps)
    elif seconds is not None and row[seconds]:
        end_s = _positive(row[seconds], place)
    else:
        return None
    return Duration(end_s, end_s, fps)


def _of_lines(text: str, path: Path) -> Iterator[tuple[str, Duration]]:
    lines = ((n, line.strip()) for n, line in enumerate(text.splitlines(), start=1) if line.strip())
    for number, line in lines:
        place, (name, told) = Place(path, f"line {number}"), _name_and_number(line)
        told = told or next(lines, (0, ""))[1]
        if not told:
            raise place.error(f"no duration of {shown(line)}", "write a name and seconds on each line")
        seconds = _positive(told, place)
        yield video_name(name.rpartition("/")[2]), Duration(seconds, seconds)  # the list may hold paths


def _name_and_number(line: str) -> tuple[str, str]:
    """Return the parts of a line with both; of any other the line and nothing. Takes time in proportion to it."""
    end = _AT_END.search(line)
    name = line[: end.start()].rstrip(" \t,;") if end else ""
    return (name, end[1]) if end and name and not any(map(str.isspace, name)) else (line, "")


def _positive(value: object, place: Place) -> float:
    number = as_number(value, place, texts=True)
    if not 1e-6 <= number <= 1e9:
        raise place.error(f"not a positive number ({number:g})", "write seconds, or leave the video out")
    return number
