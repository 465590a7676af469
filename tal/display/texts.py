"""Words and columns: text from files made safe to show, tables in plain text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from unicodedata import east_asian_width

UNSHOWN = "\N{REPLACEMENT CHARACTER}"


def safe(text: str) -> str:
    """Return text without what steers a terminal or breaks an XML parser: control characters, lone surrogates."""
    return "".join(c if c.isprintable() else UNSHOWN for c in text)


def markup(text: str) -> str:
    """Return text as it may stand anywhere in HTML, inside of quoted attributes too."""
    return escape(safe(text), quote=True)


def cut(text: str, limit: int) -> str:
    """Return text with an ellipsis in place of what is over `limit` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def columns(head: Sequence[str], rows: Sequence[Sequence[str]], n_texts: int) -> str:
    """Return lines in which columns stand below each other.

    Args:
        head: One heading per column.
        rows: Cells; a row may be shorter than the heading.
        n_texts: The first so many columns are texts and stand left, the others are numbers and stand right.
    """
    lines = [head, *([safe(cell) for cell in row] for row in rows)]
    widths = [max(width(line[i]) for line in lines if i < len(line)) for i in range(len(head))]
    return "\n".join("  ".join(_padded(line, widths, n_texts)).rstrip() for line in lines)


def _padded(line: Sequence[str], widths: Sequence[int], n_texts: int) -> list[str]:
    blanks = [" " * (wanted - width(cell)) for cell, wanted in zip(line, widths, strict=False)]
    return [cell + blanks[i] if i < n_texts else blanks[i] + cell for i, cell in enumerate(line)]


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)
