"""What several generated pages share: escaping and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def plain(text: str) -> str:
    """Return text whose characters mean nothing to Markdown or HTML; code in double backticks stays code."""
    parts = re.split(r"``(.+?)``", text)
    return "".join(f"`{part}`" if i % 2 else _escaped(part) for i, part in enumerate(parts))


def _escaped(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([*\[\]\\])", r"\\\1", text)


def cell(text: str) -> str:
    """Return text that can stand in a cell of a table: one line, no bars."""
    return " ".join(text.split()).replace("|", "&#124;")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are Markdown."""
    lines = [head, ["---"] * len(head), *([cell(text) for text in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def code(text: str) -> str:
    """Return text as code that can stand in a table; nothing for nothing."""
    return f"<code>{text.replace('&', '&amp;').replace('<', '&lt;')}</code>" if text else ""


def block(text: str, language: str = "") -> str:
    """Return a fenced block."""
    return f"```{language}\n{text.strip()}\n```\n"
