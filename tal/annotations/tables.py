"""CSV as programs and spreadsheets write it: commas, semicolons or tabs, empty columns at the end."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tal.parsing import Place

SEPARATORS = (",", ";", "\t", "|")
_ALIASES = {"type": "label"}
_DECLARED = re.compile(r"sep=([^\w\s\"]|\t)[;,\t]*\r?\n", re.IGNORECASE)
MAX_COLUMNS = 1000
"""Every row gets as many cells; what has more is no table of annotations."""


@dataclass(frozen=True)
class Row:
    """One row below the header.

    Attributes:
        line: Number of its last line in the file, counted from 1.
        cells: As many as there are columns, without the blanks around them; more only where `misfit` says so.
    """

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A CSV file that was read.

    Attributes:
        path: The file.
        place: Where the header stands.
        separator: What stands between two cells.
        header: Names of the columns in small letters; ``label`` also where the file says ``type``.
        rows: Rows that are not empty.
    """

    path: Path
    place: Place
    separator: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]

    def place_of(self, row: Row) -> Place:
        """Return where a row stands."""
        return Place(self.path, f"line {row.line}")


def separator(text: str) -> str:
    """Return what separates the columns: the mark that makes ``video`` a column of the header, else a comma.

    A first line ``sep=;``, which spreadsheets write and obey, decides.
    """
    if declared := _DECLARED.match(text):
        return declared[1]
    first = next((line for line in io.StringIO(text) if line.strip()), "")
    for mark in SEPARATORS:
        if "video" in (cell.strip(' "\r\n').lower() for cell in first.split(mark)):
            return mark
    return ","


def read_table(text: str, path: Path) -> Table:
    """Read the text of a CSV file; empty columns at the end, which spreadsheets leave, are dropped.

    Raises:
        AnnotationError: If quotes do not match, or there are thousands of columns.
    """
    mark = separator(text)
    rows = _rows(_DECLARED.sub("\n", text, count=1) if _DECLARED.match(text) else text, mark, path)
    line, cells = next(rows, (0, ()))
    header = _without_empty_end([_ALIASES.get(cell.lower(), cell.lower()) for cell in cells], 0)
    if len(header) > MAX_COLUMNS:
        raise Place(path, f"line {line}").error(f"{len(header)} columns", f"write at most {MAX_COLUMNS}")
    fitted = tuple(Row(n, _padded(_without_empty_end(found, len(header)), len(header))) for n, found in rows)
    return Table(path, Place(path, f"line {line}") if line else Place(path), mark, tuple(header), fitted)


def misfit(row: Row, table: Table) -> tuple[str, str] | None:
    """Return what is wrong with the number of a row's cells and what to do, or None."""
    if len(row.cells) == len(table.header):
        return None
    what = {",": "commas", ";": "semicolons", "\t": "tabs"}.get(table.separator, f"'{table.separator}'")
    problem = f"{len(row.cells)} cells under {len(table.header)} columns"
    return problem, f"write one cell per column; quote cells that contain {what}"


def _rows(text: str, mark: str, path: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise Place(path, f"line {reader.line_num}").error(f"not CSV ({error})", "check its quotes") from error
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield reader.line_num, tuple(cell.strip() for cell in cells)


def _without_empty_end(cells: Sequence[str], at_least: int) -> tuple[str, ...]:
    n = len(cells)
    while n > at_least and not cells[n - 1]:
        n -= 1
    return tuple(cells[:n])


def _padded(cells: tuple[str, ...], n: int) -> tuple[str, ...]:
    return cells + ("",) * (n - len(cells))
