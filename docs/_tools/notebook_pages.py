"""Notebooks as pages: text as it is, code as blocks, stored outputs below it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from markdown_words import block


def pages(docs: Path) -> dict[str, str]:
    """Return the address and the text of a page for each notebook of a folder."""
    return {
        path.relative_to(docs).with_suffix(".md").as_posix(): page(path)
        for path in sorted(docs.rglob("*.ipynb"))
        if ".ipynb_checkpoints" not in path.parts
    }


def page(path: Path) -> str:
    """Return a notebook's cells as Markdown, with a link to the file itself."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts = [part for one in cells for part in _cell(one)]
    return "\n\n".join([*parts, f"[The notebook itself]({path.name})\n"])


def _cell(cell: dict[str, Any]) -> Iterator[str]:
    text = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield text
    elif cell["cell_type"] == "code" and text.strip():
        yield block(text, "python")
        for output in cell.get("outputs", []):
            yield from _output(output)


def _output(output: dict[str, Any]) -> Iterator[str]:
    data = output.get("data", {})
    if "text/html" in data:
        yield f"<div>{_one_block(data['text/html'])}</div>"
    elif text := "".join(output.get("text", data.get("text/plain", []))):
        yield block(text, "text")


def _one_block(html: list[str] | str) -> str:
    """Return HTML without the blank lines at which Markdown would take over again."""
    return "\n".join(line for line in "".join(html).splitlines() if line.strip())
