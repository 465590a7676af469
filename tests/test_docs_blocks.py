"""Code blocks of the readme and the documentation: commands parse, imports exist, settings load, marked ones run."""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import json
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import documents
import pytest
import typer
import typer.main
from documents import Block
from small import OPTIONS, Done, World, tal

from tal import config

LINES = [
    (block, words) for block in documents.blocks(*documents.SHELLS) for words in documents.command_lines(block.text)
]
RUNNING = [block for block in documents.blocks("sh") if block.mark == "runs" and not block.about]
SESSIONS = documents.blocks("pycon")
PAGES = sorted({block.path for block in SESSIONS})


@pytest.fixture(scope="session")
def program() -> Any:
    from cli.app import build

    return typer.main.get_command(build())


def parse(program: Any, words: list[str]) -> dict[str, Any]:
    """Return the options that a command line gives, without running it; what does not parse raises."""
    command, names = program, ["tal"]
    while hasattr(command, "commands"):
        if not words or words[0].startswith("-"):
            return {}
        assert words[0] in command.commands, f"unknown command {' '.join([*names, words[0]])}"
        command = command.commands[words[0]]
        names.append(words[0])
        words = words[1:]
    try:
        options: dict[str, Any] = command.make_context(" ".join(names), list(words)).params
    except typer.Exit:  # an option that answers by itself, such as --list
        return {}
    return options


def test_blocks_are_found_with_their_marks_and_lines() -> None:
    text = (
        "# T\n\n```sh\ntal a\n```\n\n<!-- runs: it -->\n```python\nx\n```\n\n- item\n\n  ```\n  tal b\n\n  c\n  ```\n"
    )
    found = list(documents.blocks_of(documents.DOCS / "x.md", text))
    assert [(b.language, b.text, b.mark, b.about) for b in found] == [
        ("sh", "tal a\n", "", ""),
        ("python", "x\n", "runs", "it"),
        ("", "tal b\n\nc\n", "", ""),
    ]
    assert [b.line for b in found[:2]] == [3, 7]


def test_command_lines_end_before_comments_pipes_and_files() -> None:
    text = 'make x\ntal a "b c"  # note\nX=1 tal d --e \\\n  f | less\n$ tal g > out.json\ntalk\ntal h $I/8\n'
    assert list(documents.command_lines(text)) == [["a", "b c"], ["d", "--e", "f"], ["g"], ["h", "1/8"]]


def test_the_parser_refuses_what_is_not_there(program: Any) -> None:
    with pytest.raises(AssertionError, match="unknown command tal extrakt"):
        parse(program, ["extrakt", "videos/"])
    with pytest.raises(Exception, match="No such option: --nonsense"):
        parse(program, ["extract", "videos/", "--nonsense"])
    with pytest.raises(Exception, match=r"(?i)missing (argument|parameter)"):
        parse(program, ["extract"])
    assert parse(program, ["cache", "why", "abc"])["key"] == "abc"


@pytest.mark.parametrize(("block", "words"), LINES, ids=lambda value: str(value) if isinstance(value, Block) else "")
def test_every_command_line_parses(program: Any, block: Block, words: list[str]) -> None:
    options = parse(program, words)
    method = options.get("method") if options.get("method") in config.methods() else None
    known = {"preset": options.get("preset"), "dataset": None}
    if "dataset" in options and method is not None:
        known["dataset"] = options["dataset"]
    config.load(
        method, sets=options.get("sets") or (), **known
    )  # settings, presets and data sets that are not there raise


@pytest.mark.parametrize("path", documents.files(), ids=lambda path: str(path.relative_to(documents.ROOT)))
def test_commands_named_in_the_text_exist(program: Any, path: Path) -> None:
    named = documents.inline_commands(path.read_text(encoding="utf-8"))
    for words in named:
        command = program
        for word in words:
            assert word in command.commands, f"tal {' '.join(words)}"
            command = command.commands[word]
            if not hasattr(command, "commands"):
                break


@pytest.mark.parametrize("block", documents.blocks("python"), ids=str)
def test_python_compiles_and_its_imports_exist(block: Block) -> None:
    tree = ast.parse(block.text, filename=str(block))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name) or import_module(f"{node.module}.{alias.name}"), alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                import_module(alias.name)


@pytest.mark.parametrize("block", [b for b in documents.blocks("yaml") if not b.mark], ids=str)
def test_yaml_is_what_the_strict_loader_takes(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "block.yaml"
    path.write_text(block.text, encoding="utf-8")
    config.load(files=[path])


@pytest.fixture
def desk(ran: Done, world: World, tmp_path: Path) -> Path:
    """A folder in which the names of the guides mean something: videos/, labels.csv, runs/stpn, my_video.mp4, ..."""
    (tmp_path / "videos").symlink_to(world.data.videos)
    for name in ("features", "runs"):
        shutil.copytree(world.folder / "out" / name, tmp_path / name)
    shutil.copy(world.data.labels, tmp_path / "labels.csv")
    truth = json.loads(world.data.annotations.read_text(encoding="utf-8"))
    truth["database"] = {name: one for name, one in truth["database"].items() if one["subset"] == "test"}
    (tmp_path / "annotations.json").write_text(json.dumps(truth), encoding="utf-8")
    video = max(world.data.videos.glob("*.mp4"))
    (tmp_path / "my_video.mp4").symlink_to(video)
    words = ["localize", "videos", "my_video.mp4", "--model", "runs/stpn", "-o", "detections.json"]
    assert tal(*words, cwd=tmp_path, cache=world.cache).returncode == 0
    return tmp_path


def small(words: list[str]) -> list[str]:
    """Return a command that makes features or models with the settings of the small world."""
    return [*words, *OPTIONS] if words[0] in ("extract", "train", "run") else words


@pytest.mark.parametrize("block", RUNNING, ids=str)
def test_marked_commands_run(block: Block, desk: Path, world: World) -> None:
    lines = list(documents.command_lines(block.text))
    assert len(lines) == len([line for line in block.text.splitlines() if line.strip()])
    for words in lines:
        done = tal(*small(words), cwd=desk, cache=world.cache)
        assert done.returncode == 0, f"{block}: tal {' '.join(words)}\n{done.stderr}"


@pytest.mark.parametrize("block", [b for b in documents.blocks("python") if b.mark == "runs"], ids=str)
def test_marked_python_runs(block: Block, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(block.text, str(block), "exec"), {"__name__": "block"})
    assert said.getvalue().strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_sessions_say_what_they_show(page: Path) -> None:
    text = "".join(block.text + "\n" for block in SESSIONS if block.path == page)
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    told = io.StringIO()
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=told.write)
    assert result.attempted > 0
    assert result.failed == 0, told.getvalue()
