"""The pages that are made from the program: every command, option, setting and cell is on them, with its words."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Annotated, Literal

import documents
import pytest
import typer
import typer.main
from pydantic import Field

from tal import types
from tal.config import keys
from tal.settings import Section, Settings

NAMES = ("markdown_words", "command_pages", "setting_pages", "notebook_pages")


@pytest.fixture(scope="module")
def tools() -> Iterator[dict[str, ModuleType]]:
    """The modules behind the pages, imported as MkDocs imports them."""
    folder = str(documents.DOCS / "_tools")
    sys.path.insert(0, folder)
    yield {name: importlib.import_module(name) for name in NAMES}
    sys.path.remove(folder)
    for name in NAMES:
        del sys.modules[name]


def test_every_command_has_a_page_with_all_of_its_options(tools: dict[str, ModuleType]) -> None:
    pages = tools["command_pages"].pages()
    commands = tools["command_pages"].commands()
    assert set(pages) == set(tools["command_pages"].titles())
    assert {"extract", "train", "localize", "evaluate", "run", "cache", "data", "weights"} <= set(commands)
    for name, command in commands.items():
        page = pages[f"reference/cli/{name}.md"]
        assert f"[`tal {name}`]({name}.md)" in pages["reference/cli/index.md"]
        for one in getattr(command, "commands", {"": command}).values():
            for parameter in one.params:
                shown = [] if getattr(parameter, "hidden", False) else parameter.opts
                assert [option for option in shown if option.startswith("-") and option not in page] == [], name


def test_a_page_tells_usage_examples_arguments_and_defaults(tools: dict[str, ModuleType]) -> None:
    app = typer.Typer()

    @app.command()
    def show(
        video: Annotated[Path, typer.Argument(help="A <video> | file.")],
        n: Annotated[int, typer.Option("--n", "-n", help="How *many*.")] = 3,
        cache: Annotated[str | None, typer.Option(envvar="X_CACHE", help="Where.")] = None,
        loud: Annotated[bool, typer.Option("--loud", help="Loud.")] = False,
    ) -> None:
        """Draw one.

        It takes [no] time.

        Examples:
            tal show a.mp4

            tal show a.mp4 -n 5
        """

    page = tools["command_pages"].page("show", typer.main.get_command(app))
    assert page.startswith("# tal show\n\nDraw one.\n\nIt takes \\[no\\] time.\n")
    assert "```\ntal show [OPTIONS] VIDEO\n```" in page
    assert "```sh\ntal show a.mp4\ntal show a.mp4 -n 5\n```" in page
    assert "A &lt;video&gt; &#124; file. | required |" in page
    assert "How \\*many\\*. | <code>3</code> |" in page
    assert "Where. | <code>$X_CACHE</code> |" in page
    assert "Loud. |  |" in page


def test_every_setting_is_described(tools: dict[str, ModuleType]) -> None:
    pages = tools["setting_pages"]
    page = pages.settings_page()
    groups = {section for section in Settings.model_fields if section != "method"}
    leaves = [key for key in keys(Settings) if key not in {*groups, "method", "extract.flow"}]
    assert len(leaves) > 60
    models = pages.method_configs()
    leaves += [f"method.{name}" for model in models.values() for name in model.model_fields]
    undescribed = [key for key in leaves if f"| `{key}` |  |" in page]
    missing = [key for key in leaves if f"| `{key}` |" not in page]
    assert (missing, undescribed) == ([], [])
    assert all(f"\n### {name}\n" in page for name in models)


class Several(Section):
    """Settings of a test.

    Attributes:
        rate: Pictures a second,
            ``5`` is usual.
        kind: Which one (a | b).
        pair: Two.
        parts: Shares.
        on: Whether.
    """

    rate: int = Field(5, ge=1, lt=9)
    kind: Literal["a", "b"] = "a"
    pair: tuple[float, float] | None = None
    parts: tuple[Annotated[float, Field(gt=0)], ...] = (0.5,)
    on: bool = True


def test_a_row_tells_words_values_bounds_and_default(tools: dict[str, ModuleType]) -> None:
    rows = dict(zip(Several.model_fields, tools["setting_pages"]._rows("x", Several), strict=True))
    assert rows == {
        "rate": [
            "`x.rate`",
            "Pictures a second, `5` is usual.",
            "whole number, ≥ 1, &lt; 9",
            "<code>5</code>",
        ],
        "kind": ["`x.kind`", "Which one (a | b).", "`a`, `b`", '<code>"a"</code>'],
        "pair": ["`x.pair`", "Two.", "2 of number or nothing", "<code>null</code>"],
        "parts": ["`x.parts`", "Shares.", "list of number", "<code>[0.5]</code>"],
        "on": ["`x.on`", "Whether.", "`true`, `false`", "<code>true</code>"],
    }


def test_the_shipped_yaml_is_shown_whole(tools: dict[str, ModuleType]) -> None:
    page = tools["setting_pages"].shipped_page()
    for path in (documents.ROOT / "configs" / "methods").glob("*.yaml"):
        assert path.read_text(encoding="utf-8").strip() in page


def test_a_notebook_becomes_a_page(tools: dict[str, ModuleType], tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# First\n", "words"]},
        {
            "cell_type": "code",
            "source": "1 + 1",
            "outputs": [
                {"data": {"text/plain": ["2"]}},
                {"data": {"text/html": "<p>\n\n<b>x</b></p>", "text/plain": "x"}},
                {"text": ["said\n"]},
            ],
        },
        {"cell_type": "raw", "source": "left out"},
        {"cell_type": "code", "source": "", "outputs": []},
    ]
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "one.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    assert tools["notebook_pages"].pages(tmp_path) == {
        "notebooks/one.md": "# First\nwords\n\n```python\n1 + 1\n```\n\n\n```text\n2\n```\n\n\n"
        "<div><p>\n<b>x</b></p></div>\n\n```text\nsaid\n```\n\n\n[The notebook itself](one.ipynb)\n"
    }


def test_tables_and_code_keep_bars_and_tags_harmless(tools: dict[str, ModuleType]) -> None:
    words = tools["markdown_words"]
    assert words.table(["a", "b"], [["x | y", words.code("<z> & w")]]) == (
        "| a | b |\n| --- | --- |\n| x &#124; y | <code>&lt;z> &amp; w</code> |\n"
    )


def test_the_glossary_has_the_words_of_the_code() -> None:
    words = (types.__doc__ or "").partition("Glossary:\n")[2].partition("\n\n")[0].splitlines()
    terms = {line.strip().partition(":")[0] for line in words if line.startswith("    ") and line[4] != " "}
    page = (documents.DOCS / "glossary.md").read_text(encoding="utf-8")
    assert {"snippet", "CAS", "tIoU", "detection"} <= terms
    assert [term for term in terms if f"**{term}**" not in page] == []
