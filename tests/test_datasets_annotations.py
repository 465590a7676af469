"""Annotations of a copy: what is not the data set's own is told, known oddities are notes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import tiny_dataset
from tiny_dataset import NAMES, database, description, install, lines, problem, right_counts, write_shards, write_truth

from tal.pipeline import check_data

_tiny, root = tiny_dataset.tiny, tiny_dataset.root  # fixtures; every test uses the first


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"clip_test_01": None}, "1 of 3 test videos are missing: clip_test_01; take the data set's own annotations"),
        (
            {"annotation": ("clip_train_01", "wave")},
            "7 instances in the train split, expected 6; take the data set's own",
        ),
        ({"label": ("clip_train_01", "sit")}, "4 classes, expected 3, unknown: sit; check how the classes are called"),
        ({"segment": ("clip_train_01", [300, 600])}, "1 video annotated behind their end: clip_train_01; times are"),
        (
            {"clip_test_09": {"subset": "test", "annotations": []}},
            "1 video that the data set does not annotate: clip_test",
        ),
    ],
)
def test_annotations_that_are_not_the_data_sets(root: Path, change: dict[str, Any], expected: str) -> None:
    entries = {**database()}
    for key, value in change.items():
        if key == "annotation":
            entries[value[0]]["annotations"] = entries[value[0]]["annotations"] * 2
        elif key in {"label", "segment"}:
            entries[value[0]]["annotations"][0][key] = value[1]
        elif value is None:
            del entries[key]
        else:
            entries[key] = value
    write_truth(root / "truth.json", entries)
    told = lines(check_data("tiny", root), "problem")
    assert any(expected in line for line in told), told


def test_doubles_must_be_doubled(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = description()["splits"]
    splits["test"]["n_instances"] = 4
    sets = {"tiny-3": {"split": "test", "n_videos": 3, "n_instances": 4}}
    install(root.parent / "described", monkeypatch, doubles={"jack": "wave"}, splits=splits, sets=sets)
    entries = database()
    for entry in entries.values():
        extra = [{**a, "label": "wave"} for a in entry["annotations"] if a["label"] == "jack"]
        entry["annotations"] = entry["annotations"] + extra
    splits["train"]["n_instances"] = 8
    install(root.parent / "described", monkeypatch, doubles={"jack": "wave"}, splits=splits, sets=sets)
    path = write_truth(root / "truth.json", entries)
    report = check_data("tiny", path)
    assert report.fits, lines(report, "problem")
    assert "truth.json: all 3 jack are annotated as wave, too, as they should be" in lines(report, "note")
    assert any("no Ambiguous segments in the test split" in line for line in lines(report, "note"))
    entries["clip_train_02"]["annotations"].pop()
    told = lines(check_data("tiny", write_truth(root / "truth.json", entries)), "problem")
    assert any("1 of 3 jack are not annotated as wave, too, as they should be" in line for line in told), told


def test_ambiguous_segments_are_counted(root: Path) -> None:
    entries = database()
    entries["clip_test_01"]["annotations"].append({"label": "Ambiguous", "segment": [1, 2]})
    report = check_data("tiny", write_truth(root / "truth.json", entries))
    assert report.fits
    (note,) = [line for line in lines(report, "note") if "Ambiguous" in line]
    assert note.startswith("truth.json: 1 Ambiguous segments in the test split")


def test_known_oddities_are_notes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(root.parent / "described", monkeypatch, beyond_end=["clip_train_01"])
    entries = database()
    entries["clip_train_01"]["annotations"][0]["segment"] = [10, 70]
    report = check_data("tiny", write_truth(root / "truth.json", entries))
    assert report.fits
    assert "1 video annotated behind their end, as in every copy: clip_train_01" in lines(report, "note")[0]


def test_annotations_that_cannot_be_read(root: Path) -> None:
    (root / "truth.json").write_text('{"database": {"clip_test_01": 3}}')
    assert problem(root, "annotations").line.startswith(
        "truth.json: database.clip_test_01: expected an object, found 3"
    )
    (root / "truth.json").unlink()
    (root / "other.json").write_text('{"settings": 1}')  # no annotations at all
    assert not lines(check_data("tiny", root), "problem")


def test_splits_in_two_files_are_one_truth(root: Path) -> None:
    for split in ("train", "test"):
        write_truth(root / split / f"truth_{split}.json", database(split))
    report = check_data("tiny", root)
    assert report.fits and not lines(report, "absent", "annotations")


def test_a_data_set_whose_videos_the_annotations_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = {
        split: {"subsets": [split], "n_videos": len(names), "n_instances": len(names)} for split, names in NAMES.items()
    }
    tree = {"splits": splits, "sets": {"all": {"split": "test", "n_videos": 3}}, "prefix": "v_", "fps": None}
    install(root.parent / "described", monkeypatch, gone={"train": 5}, **tree)
    counts = {f"v_{video}": n for video, n in right_counts().items()}
    write_shards(root / "features", counts, claimed_fps=Fraction(24))
    report = check_data("tiny", root)
    assert "features: 9 videos; annotations would tell which belong" in lines(report, "note")
    assert any("how long the videos are is not known" in line for line in lines(report, "note"))
    write_truth(root / "truth.json", database())
    assert "wrong rate" in problem(root).line and "25 fps, stride 16 (usual) would fit 9 of 9" in problem(root).line
    (root / "features" / "v_clip_train_01.safetensors").unlink()
    told = lines(check_data("tiny", root), "note", "features")
    assert told == [
        "features: 1 of 6 train videos are missing: clip_train_01; "
        "many are no longer on YouTube, 5 of 6 could be had in 2018"
    ]
    for n in (2, 3):
        (root / "features" / f"v_clip_train_0{n}.safetensors").unlink()
    told = lines(check_data("tiny", root), "problem", "features")
    assert any("3 of 6 train videos are missing" in line for line in told)  # so many cannot all be gone
