"""`tal probe` of files with odd names: one line for people, UTF-8 for programs, and always the way back to the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import clips
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import Done, tal

from cli.text import printable
from tal.pipeline import Probed

NAMES = {
    b"latin-\xe9.mp4": r"latin-\xe9.mp4",
    b"new\nline.mp4": r"new\nline.mp4",
    b"\x1b[31mred\a.mp4": r"\x1b[31mred\x07.mp4",
    "right\u202eleft.mp4".encode(): r"right\u202eleft.mp4",
    "a\u3000视频 ñ.mp4".encode(): "a\u3000视频 ñ.mp4",
    b"[red]x[red].mp4": "[red]x[red].mp4",
    b":smile:.mp4": ":smile:.mp4",
    b"%s {0} --full.mp4": "%s {0} --full.mp4",
}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one video under each of `NAMES`."""
    folder = tmp_path_factory.mktemp("odd")
    content = clips.write(folder / "plain.mp4", range(5)).read_bytes()
    (folder / "plain.mp4").unlink()
    for name in NAMES:
        (folder / os.fsdecode(name)).write_bytes(content)
    return folder


def run(*arguments: object, cwd: Path) -> Done:
    return tal("probe", *arguments, cwd=cwd, cache=cwd)


def called(*arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own, whose streams have an encoding."""
    command = [sys.executable, "-m", "cli.app", "probe", *arguments]
    return subprocess.run(command, cwd=cwd, env={**os.environ, **more}, capture_output=True, check=False)


def test_odd_names_are_shown_escaped_on_one_line(odd: Path) -> None:
    done = called(".", cwd=odd)
    assert (done.returncode, done.stderr) == (0, b"")
    rows = done.stdout.decode("utf-8").split("\n")[1:-1]
    assert sorted(row.split("  ")[0] for row in rows) == sorted(NAMES.values())
    for name, shown in NAMES.items():
        single = run(f"./{os.fsdecode(name)}", cwd=odd)
        assert single.returncode == 0 and single.stdout.split("\n")[0] == f"video      {shown}"


def test_json_of_odd_names_is_utf_8_and_leads_back_to_the_file(odd: Path) -> None:
    found = json.loads(called("--json", ".", cwd=odd).stdout.decode("utf-8"))
    names = {bytes.fromhex(one["path_hex"]) if one["path_hex"] else one["path"].encode() for one in found}
    assert names == set(NAMES)
    assert [one["path"] for one in found if one["path_hex"]] == [r"latin-\xe9.mp4"]


def test_reasons_name_odd_files_on_one_line(tmp_path: Path) -> None:
    for name, shown in NAMES.items():
        path = f"./{os.fsdecode(name)}"
        done = run(path, cwd=tmp_path)
        assert done.stderr == f"tal: {shown}: no such file or folder; check the path\n"
        both = run(path, "x.mp4", cwd=tmp_path)
        assert both.stdout.split("\n")[1] == f"  {shown}: no such file or folder; check the path"
        assert (
            json.loads(run("--json", path, cwd=tmp_path).stdout)[0]["error"] == "no such file or folder; check the path"
        )


def test_what_the_encoding_of_stdout_lacks_is_escaped(odd: Path) -> None:
    done = called(".", cwd=odd, PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and rb"a\u3000\u89c6\u9891 \xf1.mp4" in done.stdout


@given(st.binary(min_size=1).filter(lambda raw: b"\0" not in raw))
def test_any_path_gives_json_that_leads_back_to_it(raw: bytes) -> None:
    path = Path(os.fsdecode(raw))
    found = json.loads(json.dumps(Probed(path, error="gone").to_dict(), ensure_ascii=False).encode("utf-8"))
    back = bytes.fromhex(found["path_hex"]) if found["path_hex"] else found["path"].encode()
    assert back == os.fsencode(path)


@given(st.binary())
def test_any_text_is_made_printable_on_one_line(raw: bytes) -> None:
    shown = printable(os.fsdecode(raw))
    assert len(shown.splitlines()) <= 1 and "\x1b" not in shown
    shown.encode("utf-8")
    assert printable(shown) == shown


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text
