"""Text for a terminal: what comes from outside is made fit for it, and what it can show is asked in one place.

``NO_COLOR`` (not empty) takes colours away, ``FORCE_COLOR`` (not empty) keeps them in pipes and files, ``TERM=dumb``
gets neither colours nor bars. Rich and Typer know these variables themselves; nothing here overrides them.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import TextIO

DUMB = {"dumb", "unknown"}
"""Terminals that cannot move their cursor, by ``TERM``."""


def printable(text: str | Path) -> str:
    r"""Return text on one line: control characters, bidirectional marks and bytes that are no text as ``\x1b``."""
    readable = os.fsencode(text).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else _escaped(c) for c in readable)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def can_redraw(stream: TextIO) -> bool:
    """Whether lines that were written to a stream can be drawn over: a terminal that is not dumb."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in DUMB
