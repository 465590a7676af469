"""What all commands have in common: options, exit statuses, colours, versions."""

from __future__ import annotations

import ast
import inspect
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from small import tal

from cli import app, versions

ESCAPE = "\x1b["


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command's words, such as ``cache ls``, and what Typer made of it."""
    root: Any = typer.main.get_command(app.build())
    for name, one in root.commands.items():
        inner = getattr(one, "commands", None)
        yield from ((f"{name} {word}", part) for word, part in inner.items()) if inner else [(name, one)]


COMMANDS = dict(commands())


def options(command: Any) -> set[str]:
    return {word for parameter in command.params for word in parameter.opts}


@cache
def calls() -> dict[str, set[str]]:
    """Return of every function of the command line, as ``module.name``, which functions it calls, as far as named."""
    found: dict[str, set[str]] = {}
    for file in Path(app.__file__).parent.glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
            called = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
            near = {f"{file.stem}.{one.id}" for one in called if isinstance(one, ast.Name)}
            far = {ast.unparse(one) for one in called if isinstance(one, ast.Attribute)}
            bare = {one.id for one in called if isinstance(one, ast.Name)}
            found[f"{file.stem}.{node.name}"] = near | far | bare
    return found


def reached(command: Any) -> set[str]:
    """Return what a command calls, at any depth."""
    function = inspect.unwrap(command.callback)
    start = f"{function.__module__.removeprefix('cli.')}.{function.__name__}"
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += calls().get(one, ())
    return seen


def test_the_walk_finds_what_is_known() -> None:
    assert "render.table" in reached(COMMANDS["evaluate"]) and "Table" in reached(COMMANDS["probe"])
    assert "render.table" not in reached(COMMANDS["cache clear"])
    assert "o.environment" in reached(COMMANDS["extract"]) and len(COMMANDS) >= 25


@pytest.mark.parametrize("name", COMMANDS)
def test_what_prints_a_table_prints_json_too(name: str) -> None:
    if reached(COMMANDS[name]) & {"render.table", "Table"}:
        forms = {"--json", "--table"} & options(COMMANDS[name])  # with --table, JSON is what comes without it
        assert forms, f"tal {name} prints a table and has no --json"


@pytest.mark.parametrize("name", COMMANDS)
def test_what_works_for_long_can_be_quiet_and_verbose(name: str) -> None:
    if reached(COMMANDS[name]) & {"o.environment", "display"}:
        assert {"--quiet", "--verbose", "-q", "-v"} <= options(COMMANDS[name]), f"tal {name}"


def test_both_at_once_is_refused(tmp_path: Path) -> None:
    done = tal("probe", "x.mp4", "-q", "-v", cwd=tmp_path, cache=tmp_path)
    assert (done.returncode, done.stderr) == (2, "tal: --quiet and --verbose; give one of them\n")


@pytest.mark.parametrize("words", [["data", "ls"], ["bench", "list"], ["cache", "ls"], ["weights", "ls"]])
def test_json_is_one_document_and_nothing_else(tmp_path: Path, words: list[str]) -> None:
    done = tal(*words, "--json", cwd=tmp_path, cache=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    assert isinstance(json.loads(done.stdout), dict | list)


def test_the_formats_of_features_as_json(tmp_path: Path) -> None:
    done = tal("import-features", "--list", "--json", cwd=tmp_path, cache=tmp_path)
    known = {one["format"]: one for one in json.loads(done.stdout)}
    assert known["wtalc"]["export"] == "yes" and known["basnet"]["stride"] == 16


def test_the_cache_as_json_tells_what_it_lists(tmp_path: Path) -> None:
    entry = tmp_path / "train" / "ab" / "abcdef"
    entry.mkdir(parents=True)
    (entry / "entry.json").write_text('{"preimage": {"stage": "train"}}')
    (found,) = json.loads(tal("cache", "ls", "--json", cwd=tmp_path, cache=tmp_path).stdout)
    assert (found["stage"], found["key"], found["n_bytes"]) == ("train", "abcdef", 32)
    assert found["path"] == str(entry) and re.match(r"20\d\d-\d\d-\d\dT", found["made"])


def test_verbose_tells_steps_and_times(tmp_path: Path) -> None:
    segments = {"annotations": [{"segment": [1, 2], "label": "jump"}], "subset": "test", "duration": 9}
    (tmp_path / "truth.json").write_text(json.dumps({"database": {"one": segments}}))
    found = {"results": {"one": [{"label": "jump", "score": 0.5, "segment": [1, 2]}]}, "version": "1"}
    (tmp_path / "found.json").write_text(json.dumps(found))
    words = ("evaluate", "found.json", "truth.json", "--json")
    plain, more = (tal(*words, *extra, cwd=tmp_path, cache=tmp_path) for extra in ([], ["-v"]))
    assert plain.stdout == more.stdout and json.loads(more.stdout)["map"][0] == 1
    assert re.search(r"^evaluate: 3 steps in \d+\.\d s$", more.stderr, re.MULTILINE)
    assert re.search(r"^done in \d+\.\d s$", more.stderr, re.MULTILINE) and "steps" not in plain.stderr


def test_without_words_tal_shows_its_help_in_groups(tmp_path: Path) -> None:
    alone, asked = (tal(*words, cwd=tmp_path, cache=tmp_path) for words in ([], ["--help"]))
    assert (alone.returncode, alone.stderr) == (0, "") and alone.stdout == asked.stdout
    places = [alone.stdout.index(panel) for panel in app.PANELS]
    assert places == sorted(places)
    shown = {name.partition(" ")[0] for name in COMMANDS}
    assert all(re.search(rf"^│ {name} ", alone.stdout, re.MULTILINE) for name in shown)


def test_the_help_is_the_same_with_and_without_options_made(monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    monkeypatch.setenv("TERMINAL_WIDTH", "200")
    short, whole = (CliRunner().invoke(app.build(words), ["--help"]) for words in ((), None))
    assert short.exit_code == whole.exit_code == 0
    assert short.stdout == whole.stdout and "import-features" in short.stdout


def test_version_tells_tal_alone_then_what_it_stands_on(tmp_path: Path) -> None:
    from tal import __version__

    first, *more = tal("--version", cwd=tmp_path, cache=tmp_path).stdout.splitlines()
    assert first == f"tal {__version__}"
    told = "\n".join(more)
    for part in ("torch ", "CUDA", "driver", "pyav ", "decoders: decord, nvdec, opencv, pyav", "native, opencv"):
        assert part in told


def test_version_loads_nothing_heavy() -> None:
    code = "import sys; from cli.versions import lines; lines(); sys.exit(len({'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_driver_is_read_from_where_its_module_tells_it(tmp_path: Path) -> None:
    told = tmp_path / "version"
    told.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n")
    assert versions._driver(told) == "NVIDIA driver 550.54.15"
    assert versions._driver(tmp_path / "none") == "no NVIDIA driver"


def on_terminal(words: list[str], **environment: str) -> str:
    """Return what a command prints to a terminal."""
    plain = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "FORCE_COLOR", "TERM"}}
    mine, theirs = pty.openpty()
    command = [sys.executable, "-m", "cli.app", *words]
    subprocess.run(command, stdout=theirs, stderr=theirs, env={**plain, "COLUMNS": "100", **environment}, check=False)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(mine, 1 << 16):
            shown += part
    except OSError:  # nobody writes any more
        pass
    os.close(mine)
    return shown.decode()


COLOUR = re.compile(r"\x1b\[[0-9;]*3[1-7]m")  # red to white; bold and dim are no colours


def test_help_has_colours_unless_the_user_wants_none() -> None:
    assert COLOUR.search(on_terminal(["probe", "--help"], TERM="xterm-256color"))
    assert not COLOUR.search(on_terminal(["probe", "--help"], TERM="xterm-256color", NO_COLOR="1"))


def test_tables_have_no_colours_where_the_user_or_the_terminal_wants_none(tmp_path: Path) -> None:
    words = ("cache", "ls")
    forced = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
    assert ESCAPE in tal(*words, cwd=tmp_path, cache=tmp_path, **forced).stdout
    assert not COLOUR.search(tal(*words, cwd=tmp_path, cache=tmp_path, **forced, NO_COLOR="1").stdout)
    assert ESCAPE not in tal(*words, cwd=tmp_path, cache=tmp_path, **{**forced, "TERM": "dumb"}).stdout


@pytest.mark.parametrize(("forced", "wanted"), [({}, False), ({"FORCE_COLOR": "1"}, True)])
def test_pipes_get_no_colours_unless_forced(tmp_path: Path, forced: dict[str, str], wanted: bool) -> None:
    shown = tal("data", "ls", cwd=tmp_path, cache=tmp_path, **forced).stdout
    assert (ESCAPE in shown) == wanted


def test_a_dumb_terminal_gets_lines_in_place_of_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    from cli.text import can_redraw

    class Terminal:
        def isatty(self) -> bool:
            return True

    for term, wanted in (("xterm", True), ("dumb", False)):
        monkeypatch.setenv("TERM", term)
        assert can_redraw(Terminal()) == wanted  # type: ignore[arg-type]
