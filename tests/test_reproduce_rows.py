"""Detections made by hand beside published rows: numbers, verdicts and what is not the same, worked out on paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_dataset
from tiny_dataset import NAMES, VIDEOS, Copy, install, right_counts, row, write_shards

from tal import config, datasets
from tal.annotations import Instance, Truth, VideoTruth
from tal.datasets import published, truths
from tal.pipeline import Reproduction
from tal.pipeline.context import context
from tal.pipeline.reproduction_rows import Bench, beside
from tal.results import Results
from tal.types import Detection, Segment

made, data = tiny_dataset.made, tiny_dataset.data  # fixtures


def hand_made(results: Sequence[Sequence[Results]], data: Copy, tests: Sequence[str] = NAMES["test"]) -> Reproduction:
    """Judge detections that were not trained for."""
    about = datasets.load("tiny")
    instance = (Instance("bend", Segment(10, 20)),)
    truth = Truth({name: VideoTruth(None, name.split("_")[1], instance) for name in VIDEOS})
    files = {name: data.root / "features" / f"{name}.safetensors" for name in VIDEOS}
    bench = Bench("tiny", about, truth, truths.labels_of(truth, "train"), files, tuple(tests))
    found = {seed: list(states) for seed, states in enumerate(results)}
    return beside(bench, published.read("tiny", "stpn"), found, context(config.load(), None, None))


def finding(names: Sequence[str], everywhere: Sequence[str] = NAMES["test"]) -> Results:
    """Detections that are exactly right in some videos; the other videos have none."""
    right = (Detection("bend", Segment(10, 20), 0.9),)
    return Results({name: right if name in names else () for name in everywhere})


def test_numbers_and_verdict_by_hand(data: Copy) -> None:
    """Three videos of one instance each: finding n of them is a recall, and an AP, of n / 3 at precision 1."""
    one, two, three = (finding(NAMES["test"][:n]) for n in (1, 2, 3))
    report = hand_made([[one, two], [two, three]], data)
    whole = report.counted[0]
    assert (whole.n_videos, whole.n_instances, whole.n_missing) == (3, 3, 0)
    assert whole.at(0.5) == pytest.approx((50.0, 250 / 3))
    assert whole.average((0.3, 0.5, 0.7)) == pytest.approx((50.0, 250 / 3))
    # Without the third video: 1/2 and 2/2 found by the first seed, 2/2 and 2/2 by the second.
    assert report.counted[1].at(0.5) == pytest.approx((75.0, 100.0))
    deviation = (250 / 3 - 50) / np.sqrt(2)
    paper, code = report.rows[0].verdict, report.rows[1].verdict
    assert (paper.difference, paper.margin) == pytest.approx((200 / 3 - 30, deviation))
    assert paper.word == "above"
    assert (code.word, code.difference, code.margin) == ("above", pytest.approx(57.5), pytest.approx(25 / np.sqrt(2)))
    assert report.rows[0].words == (
        "paper (paper) 30.00: ours 66.67 is above it by 36.67 (standard deviation 23.57); "
        "features may differ: i3d, 25 fps, stride 16 there"
    )


def test_detections_in_videos_that_a_set_leaves_out_do_not_count(data: Copy) -> None:
    wrong = Detection("bend", Segment(30, 40), 1.0)  # the best score of all, in the video that tiny-2 leaves out
    results = finding(NAMES["test"][:2])
    spoilt = Results({**results.by_video, "clip_test_03": (wrong,)})
    whole, without = hand_made([[spoilt]], data).counted[:2]
    assert without.videos == "tiny-2" and without.at(0.5) == (100.0,)
    assert whole.at(0.5) == pytest.approx((100 * (2 / 3) * (2 / 3),))  # precision 2/3 at recalls 1/3 and 2/3


def test_one_seed_has_no_deviation(data: Copy) -> None:
    report = hand_made([[finding(NAMES["test"][:1])]], data)
    assert [one.verdict.word for one in report.rows] == ["unclear", "above", "unclear", "unclear"]
    assert "ours 33.33 is +3.33 from it, with no standard deviation to judge that by" in report.rows[0].words
    assert report.rows[1].verdict.margin == 1.0  # the published one


def test_videos_without_features_count_as_missed(data: Copy) -> None:
    there = NAMES["test"][:2]
    report = hand_made([[finding(there, there)]], data, tests=there)
    assert report.counted[0].at(0.5) == pytest.approx((200 / 3,)) and report.missing == ("clip_test_03",)
    assert "1 of 3 videos have no features here and count as missed" in report.rows[0].differs
    assert report.counted[1].at(0.5) == (100.0,) and not any("missed" in one for one in report.rows[1].differs)


def test_a_state_that_was_chosen_on_the_test_videos_is_named(data: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    install(data.described, monkeypatch, rows=[row("best", chosen="best of 150 epochs on the test videos")])
    (found,) = hand_made([[finding([])]], data).rows
    assert "published of the state that is best of 150 epochs on the test videos" in found.differs


@pytest.mark.parametrize(
    ("theirs", "provenance", "expected"),
    [
        ({"fps": 10, "stride": 16}, {}, "features differ: i3d, 10 fps, stride 16 there"),
        ({"stride": 4}, {}, "features differ: i3d, stride 4 there"),
        ({"fps": "native", "stride": 16}, {}, "features differ: i3d, own fps, stride 16 there"),
        ({"note": "ten crops"}, {}, "features differ: i3d (ten crops) there"),
        ({}, {"weights_spec": "random:0"}, "features differ: i3d there"),
        ({}, {"settings": {"backbone": "slow_r50"}}, "features differ: i3d there"),
        ({}, {"settings": {"backbone": "i3d"}, "weights_spec": "default"}, "features may differ: i3d there"),
        ({}, {"imported": {"format": "wtalc"}}, "features may differ: i3d there"),
    ],
)
def test_what_is_known_of_features_is_said_and_no_more(
    data: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: Any, provenance: Any, expected: str
) -> None:
    install(tmp_path, monkeypatch, rows=[row("one", features={"network": "i3d", **theirs})])
    write_shards(tmp_path / "copy" / "features", right_counts(), **provenance)
    (found,) = hand_made([[finding([])]], Copy(tmp_path / "copy", tmp_path, tmp_path)).rows
    assert found.differs == (expected,)
