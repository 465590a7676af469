"""Copies of a data set as a whole: what is there, what is missing, what the command says about it."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import clips
import pytest
import tiny_dataset
from small import tal as command
from tiny_dataset import VIDEOS, database, description, install, lines, problem, right_counts, write_shards, write_truth
from typer.testing import CliRunner

from tal.datasets.findings import counted
from tal.errors import ConfigError, InputError
from tal.pipeline import check_data

_tiny, root = tiny_dataset.tiny, tiny_dataset.root  # fixtures; every test uses the first


def test_a_whole_copy_fits(root: Path) -> None:
    write_truth(root / "truth.json", database())
    write_shards(root / "features", right_counts(), settings={"backbone": "i3d"}, weights_spec="default")
    report = check_data("tiny", root)
    assert report.fits and not lines(report, "problem")
    assert lines(report, "absent") == ["no videos here; name the folder that holds them"]
    assert lines(report, "fits", "annotations") == [
        "truth.json: all 6 train videos",
        "truth.json: 6 instances in the train split",
        "truth.json: all 3 test videos, the set tiny-3",
        "truth.json: 3 instances in tiny-3",
        "truth.json: 3 classes",
    ]
    assert lines(report, "fits", "features") == [
        "features: all 6 train videos",
        "features: all 3 test videos, the set tiny-3",
        "features: shards, rgb 4-d and flow 4-d, i3d weights default",
        "features: all values of 9 videos are finite",
        "features: snippet counts fit the videos' lengths at 25 fps, stride 16, as the shards say (9 videos)",
    ]


def test_videos_are_opened_and_their_lengths_compared(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = description()["splits"]
    for split in splits.values():
        split["durations_s"] = dict.fromkeys(split["durations_s"], 2.0)
    install(root.parent / "described", monkeypatch, splits=splits)
    for video in VIDEOS:
        clips.write(root / f"{video}.mp4", range(50), size=(32, 32))
    assert lines(check_data("tiny", root), "fits", "videos") == [
        "all 6 train videos",
        "all 3 test videos, the set tiny-3",
        "9 videos can be opened; 'tal probe --full' reads every frame",
    ]
    splits["test"]["durations_s"][2] = 9.5
    install(root.parent / "described", monkeypatch, splits=splits)
    expected = (
        "1 video with another length than the data set's: clip_test_02 lasts 2.0 s, not 9.5 s; download them again"
    )
    assert problem(root).line == expected
    (root / "clip_test_02.mp4").write_bytes(b"")
    assert problem(root).line.startswith("1 video cannot be opened, the first: ")
    (root / "clip_test_02.mp4").unlink()
    (root / "again").mkdir()
    clips.write(root / "again" / "clip_test_01.avi", range(50), size=(32, 32), codec="mpeg4")
    told = lines(check_data("tiny", root), "problem")
    assert told[1] == "1 video in several files: clip_test_01; keep one of each"


def test_what_is_not_there_fails_only_if_it_is_needed(root: Path) -> None:
    report = check_data("tiny", root)
    assert report.fits and len(lines(report, "absent")) == 3
    assert lines(check_data("tiny", root, need=["videos", "features"]), "problem") == [
        "no videos here; name the folder that holds them",
        "no features here; make them with 'tal extract' or 'tal import-features'",
    ]
    with pytest.raises(ConfigError, match=r"^--need: no part 'video'; did you mean 'videos'\?$"):
        check_data("tiny", root, need=["video"])
    with pytest.raises(InputError, match=r"no such folder; name the one that holds your copy of TINY$"):
        check_data("tiny", root / "nowhere")


def test_nouns() -> None:
    assert [counted(1, "video"), counted(2, "video"), counted(0, "class"), counted(2, "copy")] == [
        "1 video",
        "2 videos",
        "0 classes",
        "2 copies",
    ]


def test_the_command_says_it_line_by_line(root: Path, tmp_path: Path) -> None:
    write_truth(root / "truth.json", database())
    done = command("data", "check", "tiny", root, cwd=tmp_path, cache=tmp_path)
    assert done.returncode == 0
    assert "fits      annotations  truth.json: all 6 train videos\n" in done.stdout
    assert "not here  features     no features here; make them" in done.stdout
    assert done.stderr == "TINY: what is there fits\n"
    write_shards(root, right_counts(), claimed_fps=Fraction(30))
    done = command("data", "check", "tiny", root, "-q", cwd=tmp_path, cache=tmp_path)
    assert done.returncode == 1 and done.stderr == "TINY: 1 thing does not fit\n"
    assert "PROBLEM   features     .: wrong rate: 9 of 9" in done.stdout


def test_the_command_in_json(root: Path, tmp_path: Path) -> None:
    done = command("data", "check", "tiny", root, "--need", "videos, features", "--json", cwd=tmp_path, cache=tmp_path)
    tree = json.loads(done.stdout)
    assert done.returncode == 1 and (tree["dataset"], tree["fits"]) == ("tiny", False)
    levels = {one["part"]: one["level"] for one in tree["findings"]}
    assert levels == {"videos": "problem", "features": "problem", "annotations": "absent"}


def test_the_list(tmp_path: Path) -> None:
    done = command("data", "ls", cwd=tmp_path, cache=tmp_path)
    assert done.returncode == 0 and "tiny-3, tiny-2" in done.stdout
    tree = json.loads(command("data", "ls", "--json", cwd=tmp_path, cache=tmp_path).stdout)
    assert tree["tiny"]["sets"]["tiny-2"]["without"] == ["clip_test_03"]


def test_help_has_examples() -> None:
    from cli.app import app

    shown = CliRunner().invoke(app, ["data", "check", "--help"]).stdout
    assert "Examples:" in shown and "tal data check thumos14" in shown
