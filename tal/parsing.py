"""Strict reading of users' text files: where a value stands, what is wrong with it, what to do.

Every problem is an `AnnotationError` of one line: ``FILE, PLACE: PROBLEM; REMEDY``. PLACE is ``line 3`` or a JSON path
such as ``database.v1.annotations[3].segment``.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tal.errors import AnnotationError
from tal.types import Segment

VIDEO_SUFFIXES = (
    *(".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv"),
    *(".ts", ".vob", ".webm", ".wmv"),
)

MAX_TEXT = 1000
"""Characters of a name or label; what is longer is none, and comparing such texts takes forever."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file.

    Attributes:
        path: The file.
        at: ``line 3`` or a JSON path; empty for the file as a whole.
    """

    path: Path
    at: str = ""

    def key(self, name: str) -> Place:
        """Return the place of an object's field."""
        return Place(self.path, f"{self.at}.{name}" if self.at else name)

    def item(self, index: int) -> Place:
        """Return the place of a list's item."""
        return Place(self.path, f"{self.at}[{index}]")

    def error(self, problem: str, remedy: str) -> AnnotationError:
        """Return the one-line error for a problem at this place."""
        where = f"{self.path}, {_cut(self.at)}" if self.at else str(self.path)
        return AnnotationError(" ".join(f"{where}: {_cut(problem)}; {_cut(remedy)}".split()))


def _cut(text: str, limit: int = 400) -> str:
    return text if len(text) <= limit else f"{text[:limit]}..."


def shown(value: object, limit: int = 40) -> str:
    """Return a value as it may stand in a message, cut to `limit` characters."""
    try:
        text = repr(value[: 2 * limit] if isinstance(value, str) else value)
    except (ValueError, RecursionError):  # an integer of thousands of digits; lists hundreds deep
        text = f"a {type(value).__name__}"
    return text if len(text) <= limit else f"{text[:limit]}..."


def video_name(text: str) -> str:
    """Return a video's name without its suffix, where that is a video suffix: a dot alone does not end a name."""
    stem, dot, suffix = text.rpartition(".")
    return stem if stem and f"{dot}{suffix.lower()}" in VIDEO_SUFFIXES else text


def read_text(path: Path) -> str:
    """Read a UTF-8 file, with or without a byte order mark.

    Raises:
        AnnotationError: If it is missing, cannot be read or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise Place(path).error(f"cannot be read ({reason})", "check the path") from error
    except UnicodeDecodeError as error:
        raise Place(path).error(f"not UTF-8 (byte {error.start})", "save it as UTF-8") from error


def parse_json(text: str, path: Path) -> Mapping[str, Any]:
    """Parse JSON whose top level is an object and whose objects name each key once.

    Raises:
        AnnotationError: If it is not JSON, names a key twice or holds something else than an object.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(name for name, n in Counter(name for name, _ in pairs).items() if n > 1)
            raise Place(path).error(f"the key {shown(twice)} occurs twice in one object", "keep one of them")
        return found

    try:
        tree = json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise Place(path, f"line {error.lineno}").error(f"not JSON ({error.msg})", "correct the syntax") from error
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits; lists thousands deep
        raise Place(path).error("not JSON that can be read", "check how it was written") from error
    return as_object(tree, Place(path))


def as_object(value: object, place: Place) -> Mapping[str, Any]:
    """Return a value that must be a JSON object."""
    if not isinstance(value, dict):
        raise place.error(f"expected an object, found {shown(value)}", "write {...}")
    return value


def as_list(value: object, place: Place) -> list[Any]:
    """Return a value that must be a JSON list."""
    if not isinstance(value, list):
        raise place.error(f"expected a list, found {shown(value)}", "write [...]")
    return value


def required(entry: Mapping[str, Any], name: str, place: Place) -> Any:
    """Return an object's field that must be there."""
    if name not in entry:
        found = ", ".join([*islice(entry, 5), *(["…"] if len(entry) > 5 else [])]) or "nothing"
        raise place.error(f"no field '{name}' (found: {found})", f"add '{name}'")
    return entry[name]


def as_text(value: object, place: Place) -> str:
    """Return a text without the blanks around it; it must not be empty, nor longer than any name or label."""
    if not isinstance(value, str) or not value.strip():
        raise place.error(f"expected a text, found {shown(value)}", "write a name")
    if len(value) > MAX_TEXT:
        raise place.error(f"a text of {len(value)} characters", f"write a name of at most {MAX_TEXT}")
    return value.strip()


def as_number(value: object, place: Place, texts: bool = False) -> float:
    """Return a finite number; `texts` accepts one written as a text, such as ``"18.6"``."""
    known: tuple[type, ...] = (int, float, str) if texts else (int, float)
    number = math.nan
    if isinstance(value, known) and not isinstance(value, bool):
        try:
            number = float(value)  # type: ignore[arg-type]  # one of `known`
        except (ValueError, OverflowError):
            number = math.nan
    if not math.isfinite(number):
        raise place.error(f"expected a number, found {shown(value)}", "write a finite number")
    return number


def as_segment(value: object, place: Place, texts: bool = False) -> Segment:
    """Return ``[start, end]`` in seconds as a segment."""
    if not isinstance(value, list) or len(value) != 2:
        raise place.error(f"expected [start, end], found {shown(value)}", "write two times in seconds")
    return interval(as_number(value[0], place, texts), as_number(value[1], place, texts), place)


def interval(start_s: float, end_s: float, place: Place) -> Segment:
    """Return a segment that must not begin before zero nor end before it begins; zero length is allowed."""
    if start_s < 0:
        raise place.error(f"the start is negative ({start_s:g} s)", "times count from the start of the video")
    if end_s < start_s:
        raise place.error(f"ends ({end_s:g} s) before it starts ({start_s:g} s)", "put the start first")
    return Segment(start_s, end_s)
