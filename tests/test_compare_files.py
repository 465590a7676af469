"""Comparing detections files: closed forms, videos on one side only, named sets of videos, published detections."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from annotated import detections, truth
from compared import FEW, written
from small import tal as command

import tal
from tal import config
from tal.annotations import Truth, read_truth
from tal.evaluation.videosets import named
from tal.pipeline import compare


def test_a_file_against_itself_and_against_nothing(tmp_path: Path) -> None:
    known = Truth({f"v{i}": truth([(0, 10)]) for i in range(8)})
    mine = written(tmp_path / "mine.json", **{f"v{i}": detections([(0, 9, 0.5), (20, 30, 0.9)]) for i in range(8)})
    empty = written(tmp_path / "empty.json", **{f"v{i}": () for i in range(8)})
    found = compare([mine, mine, empty], known, resampling=FEW)
    assert [line.name for line in found.lines] == [str(mine), f"{mine} (2)", str(empty)]
    same, against_nothing, _ = found.pairs
    assert (same.difference.value, same.difference.low, same.difference.high, same.difference.other_sign) == (
        0,
        0,
        0,
        0,
    )
    one = against_nothing.difference  # all videos are alike: whatever is drawn, half of what is found is right
    assert (one.low, one.value, one.high) == pytest.approx((0.5, 0.5, 0.5))


def test_videos_that_are_not_on_both_sides_are_told(tmp_path: Path) -> None:
    rows = ["video,label,start,end", *(f"v{i},x,0,10" for i in range(5))]
    (tmp_path / "truth.csv").write_text("\n".join(rows) + "\n")
    hit = detections([(0, 10, 0.5)])
    written(tmp_path / "a.json", **{f"v{i}": hit for i in range(5)})
    written(tmp_path / "b.json", **{f"v{i}": hit for i in range(3)}, stranger=hit)
    done = command("compare", "a.json", "b.json", "-a", "truth.csv", "-q", cwd=tmp_path, cache=tmp_path)
    assert done.returncode == 0
    assert "b.json: 2 videos of 5 evaluated without an entry: v3, v4\n" in done.stderr
    assert "b.json: 1 video unknown to the truth, whose detections count as false positives: stranger\n" in done.stderr
    assert "a.json and b.json: 2 videos are in one of them only: v3, v4\n" in done.stderr
    found = compare([tmp_path / "a.json", tmp_path / "b.json"], tmp_path / "truth.csv", resampling=FEW)
    assert (found.lines[1].missing, found.lines[1].extra) == (("v3", "v4"), ("stranger",))
    assert found.pairs[0].one_sided == ("v3", "v4") and found.lines[0].missing == ()


def test_named_sets_of_videos_are_respected(tmp_path: Path) -> None:
    """``thumos14-212`` blocks one video of the test set."""
    hit = detections([(0, 10, 0.5)])
    (blocked, *_) = sorted(named("thumos14-212").blocked)
    known = Truth({name: truth([(0, 10)]) for name in ("a", "b", blocked)})
    file = written(tmp_path / "mine.json", a=hit, b=hit, **{blocked: detections([(20, 30, 0.9)])})
    whole, part = (
        compare([file], known, config.load(options={"evaluate.videos": name}), resampling=FEW)
        for name in (None, "thumos14-212")
    )
    assert (whole.n_videos, part.n_videos) == (3, 2)
    assert part.lines[0].average.value == 1 and whole.lines[0].average.value == pytest.approx(4 / 9)


def test_published_detections_against_themselves_made_worse(shared: Path, tmp_path: Path) -> None:
    """Every instance of THUMOS14's official detections with a third of its score lost at random."""
    file = shared / "data/detections/turn_flow_scnn_iou0.5.txt"
    known = read_truth(shared / "data/annotations/thumos14_txt").select("test")
    results = tal.results.read_results(file)
    rng = np.random.default_rng(0)
    noisy = {
        name: tuple(replace(d, score=d.score * rng.uniform(0.3, 1)) for d in found)
        for name, found in results.by_video.items()
    }
    worse = written(tmp_path / "worse.json", **noisy)
    settings = config.load(options={"evaluate.protocol": "thumos14", "evaluate.tiou": 0.5})
    found = compare([file, worse], known, settings, resampling=FEW)
    assert 100 * found.lines[0].average.value == pytest.approx(25.56, abs=0.01)
    assert found.pairs[0].significant and found.pairs[0].difference.value > 0
