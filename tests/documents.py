"""The documentation as data: its files, its fenced blocks, and the command lines in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SHELLS = {"", "sh", "bash", "shell", "console"}
ENDS = {"|", "||", "&&", ";", ">", ">>", "<", "&"}
FENCE = re.compile(
    r"^(?P<indent>[ ]*)(?:<!-- (?P<kind>runs|file)(?:: (?P<about>[^>]*?))? -->\n(?P=indent))?"
    r"```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```[ ]*$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        path: The file it stands in.
        line: Line of its first fence, from 1.
        language: What stands behind the fence.
        text: What is inside, without the fence's indentation.
        mark: ``runs``, ``file`` or nothing: the comment before the fence.
        about: What stands behind the mark: the file's place, or what the block needs.
    """

    path: Path
    line: int
    language: str
    text: str
    mark: str = ""
    about: str = ""

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def files() -> list[Path]:
    """Return the readme and all pages that are written by hand."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def blocks_of(path: Path, text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    for found in FENCE.finditer(text):
        n_indent = len(found["indent"])
        inside = "".join(line[n_indent:] or "\n" for line in found["text"].splitlines(keepends=True))
        line = text.count("\n", 0, found.start()) + 1
        yield Block(path, line, found["language"], inside, found["kind"] or "", found["about"] or "")


def blocks(*languages: str) -> list[Block]:
    """Return all blocks in one of some languages."""
    found = [block for path in files() for block in blocks_of(path, path.read_text(encoding="utf-8"))]
    return [block for block in found if block.language in languages]


def command_lines(text: str) -> Iterator[list[str]]:
    """Yield the words behind ``tal`` of each such line: no comments, nothing behind a pipe, 1 for a variable."""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if not re.match(r"\s*(\$ |[A-Z_]+=\S+ )*tal( |$)", line):
            continue
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        lexer.commenters = "#"
        words = list(lexer)
        words = words[words.index("tal") + 1 :]
        words = words[: next((i for i, word in enumerate(words) if word in ENDS), len(words))]
        yield [re.sub(r"\$\w+", "1", word) for word in words]


def inline_commands(text: str) -> list[list[str]]:
    """Return the words behind ``tal`` of each inline code that names a command: two at most, the first always one."""
    found = re.findall(r"(?<!`)`tal ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)(?=[ `])", FENCE.sub("", text))
    return [words.split() for words in found]
