"""The command `tal evaluate`: tables, other forms, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from annotated import database, entry, write
from typer.testing import CliRunner

from cli.app import app
from tal.errors import AnnotationError, TalError


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    label = {"label": "x", "segment": [0, 6], "score": 0.9}
    found = write(tmp_path / "p.json", {"results": {"v": [label], "u": [label]}})
    real = write(tmp_path / "t.json", database(v=entry(("x", 0, 10), subset="test"), w=entry(subset="test")))
    return [str(found), str(real)]


def test_the_command_prints_a_table_and_remarks(files: list[str]) -> None:
    done = CliRunner().invoke(app, ["evaluate", *files, "-p", "wtalc", "--tiou", "0.5"])
    assert done.exit_code == 0
    assert "wtalc protocol, subset test: 2 videos, 1 instances" in " ".join(done.stdout.split())
    assert (
        done.stdout.strip().splitlines()[-1] == "wtalc protocol, subset test: video mAP 50.00 %, frame accuracy 60.00 %"
    )
    assert f"{files[0]}: 1 video of 2 evaluated without an entry: w" in done.stderr
    assert f"{files[0]}: 1 video unknown to the truth" in done.stderr


def test_wide_tables_are_split(files: list[str]) -> None:
    done = CliRunner().invoke(app, ["evaluate", *files, "--tiou", "all"])
    assert done.stdout.count("activitynet protocol, subset test: 2 videos") == 2
    assert "0.5:0.95" in done.stdout and "…" not in done.stdout


def test_the_command_prints_other_forms(files: list[str]) -> None:
    tree = json.loads(CliRunner().invoke(app, ["evaluate", *files, "--json"]).stdout)
    assert (tree["protocol"], tree["map"][4], tree["missing"]) == ("activitynet", 0.5, ["w"])
    assert CliRunner().invoke(app, ["evaluate", *files, "--csv"]).stdout.startswith("protocol,subset,videos,metric")
    assert CliRunner().invoke(app, ["evaluate", *files, "--latex"]).stdout.startswith("% activitynet protocol")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--json", "--csv"], "several forms of output; choose one of --json, --csv and --latex"),
        (["--videos", "thumos-210"], "unknown set of videos 'thumos-210'; did you mean 'thumos14-210'?"),
        (
            ["--protocol", "wtlc"],
            "option: evaluate.protocol: unknown protocol 'wtlc'; did you mean 'wtalc'? (got 'wtlc')",
        ),
        (["--subset", "tset"], "unknown subset 'tset'; did you mean 'test'?"),
    ],
)
def test_the_command_refuses(files: list[str], options: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["evaluate", *files, *options])
    assert isinstance(done.exception, TalError)
    assert str(done.exception) == message


BAD = {
    '{"results": {"v": [{"label": "x", "segment": ["0", 1], "score": 1}]}}': "p.json, results.v[0].segment: expected a",
    '{"results": {"v": [{"label": "x", "segment": [0, 1], "score": NaN}]}}': "p.json, results.v[0].score: expected a",
    '{"results": {"v": [], "v": []}}': "p.json: the key 'v' occurs twice in one object",
    '{"database": {"v": []}}': "p.json: ground truth where detections were expected",
    "[]": "p.json: expected an object, found []",
}


@pytest.mark.parametrize("text", BAD)
def test_the_command_names_file_and_entry_of_what_is_wrong(files: list[str], text: str) -> None:
    write(Path(files[0]), text)
    done = CliRunner().invoke(app, ["evaluate", *files])
    assert isinstance(done.exception, AnnotationError)
    assert BAD[text] in str(done.exception) and len(str(done.exception).splitlines()) == 1
