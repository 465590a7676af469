"""Rows as an HTML table that takes fonts and colours from the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tal.display.texts import markup

Cell = str | int | float | None


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]], notes: Sequence[str] = (), *, decimals: int = 3
) -> str:
    """Return a table; numbers stand right, text left, and what is None is left empty.

    Args:
        title: Caption.
        columns: One heading per cell of a row.
        rows: Cells.
        notes: Lines below the table.
        decimals: With how many decimals floats are shown.

    Raises:
        ValueError: If a row has another number of cells than there are columns.
    """
    head = "".join(f'<th scope="col">{markup(name)}</th>' for name in columns)
    body = "".join(f"<tr>{''.join(_cell(cell, decimals) for cell in _checked(row, len(columns)))}</tr>" for row in rows)
    below = "".join(f"<p>{markup(note)}</p>" for note in notes)
    caption = f'<caption style="text-align:left;font-weight:bold">{markup(title)}</caption>' if title else ""
    return f"<div><table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}</div>"


def stacked(pieces: Iterable[str], title: str = "", note: str = "") -> str:
    """Return pieces of HTML below each other, with words above and below; the words are escaped, the pieces are not."""
    above = f"<p><strong>{markup(title)}</strong></p>" if title else ""
    below = f"<p>{markup(note)}</p>" if note else ""
    return f"<div>{above}{''.join(pieces)}{below}</div>"


def _checked(row: Sequence[Cell], n_columns: int) -> Sequence[Cell]:
    if len(row) != n_columns:
        raise ValueError(f"{len(row)} cells under {n_columns} columns: {row}")
    return row


def _cell(value: Cell, decimals: int) -> str:
    if value is None:
        return "<td></td>"
    text = f"{value:.{decimals}f}" if isinstance(value, float) else str(value)
    side = "left" if isinstance(value, str) else "right"
    return f'<td style="text-align:{side}">{markup(text)}</td>'
