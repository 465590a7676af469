"""Features of a copy in the usual layouts: names, streams, dimensions, values, and nothing unpickled."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_dataset
from tiny_dataset import lines, problem, right_counts, write_npy, write_shards

from tal import shards
from tal.pipeline import check_data
from tal.types import Features, SnippetGrid

_tiny, root = tiny_dataset.tiny, tiny_dataset.root  # fixtures; every test uses the first


def test_streams_and_splits_in_folders_are_one_collection(root: Path) -> None:
    write_npy(root / "basnet", right_counts())
    report = check_data("tiny", root)
    assert report.fits
    assert "basnet: .npy files, rgb 4-d and flow 4-d" in lines(report, "fits")


def test_several_crops_in_an_archive_with_the_stream_in_its_name(root: Path) -> None:
    for video, n in right_counts().items():
        for stream in ("rgb", "flow"):
            values = np.zeros((10, n, 8), np.float32)
            folder = root / "I3D" / f"tiny-{video.split('_')[1]}-{stream}-oversample"
            folder.mkdir(parents=True, exist_ok=True)
            np.savez(folder / f"{video}-{stream}.npz", feature=values, frame_cnt=n)
    report = check_data("tiny", root)
    assert report.fits, lines(report, "problem")
    assert "I3D/tiny-oversample: .npz files, rgb 8-d and flow 8-d" in lines(report, "fits")


class Evil:
    """Sets off when it is unpickled."""

    def __reduce__(self) -> Any:
        return (pytest.fail, ("unpickled",))


def test_objects_are_never_unpickled(root: Path) -> None:
    write_npy(root, right_counts())
    array = np.empty(1, object)
    array[0] = Evil()
    for stream in ("rgb", "flow"):
        np.save(root / "test" / stream / "clip_test_01.npy", array, allow_pickle=True)
    found = problem(root)
    assert found.videos == ("clip_test_01",)
    array[0] = [1, 2]
    for stream in ("rgb", "flow"):
        np.save(root / "test" / stream / "clip_test_01.npy", array, allow_pickle=True)
    assert "several videos in one; import it with 'tal import-features'" in problem(root).line


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(root: Path, value: float) -> None:
    write_npy(root, right_counts())
    path = root / "train" / "flow" / "clip_train_02.npy"
    values = np.load(path)
    values[7, 1] = value
    np.save(path, values)
    assert problem(root).line == (
        ".: 1 video without snippets, or with values that are not finite: clip_train_02; extract or import them again"
    )
    assert check_data("tiny", root, values=False).fits


def test_a_damaged_shard_is_found_unless_values_are_left_alone(root: Path) -> None:
    write_shards(root, right_counts())
    path = root / "clip_train_03.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    assert (
        "1 video cannot be read, the first: " in problem(root).line
        and "does not match its digest" in problem(root).line
    )
    assert check_data("tiny", root, values=False).fits
    path.write_bytes(content[:100])
    assert not check_data("tiny", root, values=False).fits


def test_streams_and_dimensions_are_the_same_everywhere(root: Path) -> None:
    write_shards(root, right_counts())
    write_shards(root, {"clip_test_02": right_counts()["clip_test_02"]}, dim=6)
    assert problem(root).line == (
        ".: 1 video with other streams or dimensions: clip_test_02 (rgb 6-d and flow 6-d, not rgb 4-d and flow 4-d); "
        "extract or import them again"
    )


def test_both_streams_have_as_many_snippets(root: Path) -> None:
    write_npy(root, right_counts())
    path = root / "test" / "rgb" / "clip_test_02.npy"
    np.save(path, np.load(path)[:-1])
    assert "1 video with more snippets in one stream than in the other: clip_test_02" in problem(root).line


def test_missing_and_additional_names(root: Path) -> None:
    counts = {**right_counts(), "clip_train_77": 60}
    del counts["clip_train_04"], counts["clip_test_01"]
    write_shards(root, counts)
    write_shards(root, {"clip-04": 60})
    report = check_data("tiny", root)
    assert lines(report, "problem") == [
        ".: 1 of 6 train videos are missing: clip_train_04; extract or import them, or check how the files are called",
        ".: 1 of 3 test videos are missing: clip_test_01; extract or import them, or check how the files are called",
    ]
    assert ".: 1 more video without annotations of the 3 classes, not used: clip_train_77" in lines(report, "note")
    assert ".: 1 file not named after a video of TINY, not used: clip-04.safetensors" in lines(report, "note")


def test_what_papers_leave_out_may_be_missing(root: Path) -> None:
    counts = right_counts()
    del counts["clip_test_03"]
    write_shards(root, counts)
    report = check_data("tiny", root)
    assert report.fits and ".: all 2 test videos, the set tiny-2" in lines(report, "fits")


def test_a_video_that_papers_leave_out_is_not_asked_for(root: Path) -> None:
    counts = right_counts()
    del counts["clip_test_03"], counts["clip_test_01"]
    write_shards(root, counts)
    assert problem(root).videos == ("clip_test_01",)


def test_trained_models_are_no_features(root: Path) -> None:
    write_shards(root / "features", right_counts())
    (root / "runs" / "stpn").mkdir(parents=True)
    (root / "runs" / "stpn" / "model.safetensors").write_bytes(b"")
    assert not lines(check_data("tiny", root), "note", "features")


def test_two_feature_sets_are_told_apart(root: Path) -> None:
    write_shards(root / "good", right_counts())
    write_shards(root / "bad", right_counts(), claimed_fps=Fraction(30))
    assert problem(root).where == "bad"


def test_links_that_go_round_are_followed_once(root: Path) -> None:
    write_shards(root / "features", right_counts())
    (root / "features" / "again").symlink_to(root, target_is_directory=True)
    report = check_data("tiny", root)
    assert report.fits and {one.where for one in report.findings if one.part == "features"} == {"features"}


def test_motion_is_not_a_stream(root: Path) -> None:
    n = right_counts()["clip_test_01"]
    write_shards(root, right_counts())
    values, motion = np.zeros((n, 4), np.float32), np.zeros(n, np.float32)
    features = Features({"rgb": values, "flow": values}, SnippetGrid(n), 0.0, motion)
    shards.write(root / "clip_test_01.safetensors", features, "key")
    assert check_data("tiny", root).fits
