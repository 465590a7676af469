"""Text from outside, such as file names, made fit for a terminal."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path


def printable(text: str | Path) -> str:
    r"""Return text on one line: control characters, bidirectional marks and bytes that are no text as ``\x1b``."""
    readable = os.fsencode(text).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else _escaped(c) for c in readable)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
