"""CSV as text that every reader takes the same way (RFC 4180), whichever Python writes it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

NUL, INSTEAD = "\0", "\N{REPLACEMENT CHARACTER}"
"""No CSV holds the one, and Python 3.10 can neither write nor read it."""


def written(rows: Iterable[Sequence[object]], separator: str = ",", end: str = "\n") -> str:
    """Return rows as CSV, cells quoted where needed.

    Args:
        rows: Cells, written as `str` gives them.
        separator: Between cells.
        end: Of each row.
    """
    text = io.StringIO(newline="")
    plain = csv.writer(text, delimiter=separator, lineterminator=end)
    quoting = csv.writer(text, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL)
    for row in rows:  # a lone carriage return ends a row for readers, but not for every Python's writer
        cells = [str(cell).replace(NUL, INSTEAD) for cell in row]
        (quoting if any("\r" in cell for cell in cells) else plain).writerow(cells)
    return text.getvalue()
