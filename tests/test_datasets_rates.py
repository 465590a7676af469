"""Features at a wrong rate are found by their snippet counts, and the right rate is named."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import tiny_dataset
from hypothesis import given
from hypothesis import strategies as st
from tiny_dataset import (
    DURATIONS_S,
    VIDEOS,
    description,
    install,
    lines,
    n_snippets,
    problem,
    right_counts,
    write_npy,
    write_shards,
)

from tal.datasets import Dataset, FeatureGrid
from tal.datasets.rates import judge
from tal.pipeline import check_data

_tiny, root = tiny_dataset.tiny, tiny_dataset.root  # fixtures; every test uses the first


def test_a_wrong_rate_is_found_and_the_right_one_named(root: Path) -> None:
    write_shards(root, right_counts(25), claimed_fps=Fraction(30))
    found = problem(root, "features")
    assert found.line == (
        ".: wrong rate: 9 of 9 snippet counts do not fit 30 fps, stride 16, 0.83 times as many; "
        "25 fps, stride 16 (usual) would fit 9 of 9: import them again with that rate"
    )
    assert found.videos == tuple(sorted(VIDEOS))


def test_rates_beside_the_public_ones_are_tried_too(root: Path) -> None:
    write_shards(root, right_counts(10))
    assert "10 fps, stride 16 would fit 9 of 9: import them again with that rate" in problem(root).line


def test_a_rate_that_nobody_uses_is_told(root: Path) -> None:
    write_shards(root, right_counts(18))
    assert "no usual rate would fit; find out how they were made" in problem(root).line


@given(
    fps=st.sampled_from([10, 15, 24, 25, 30]),
    claimed=st.sampled_from([10, 15, 24, 25, 30]),
    lengths=st.lists(st.floats(60, 600), min_size=8, max_size=20),
)
def test_every_usual_rate_is_told_from_every_other(fps: int, claimed: int, lengths: list[float]) -> None:
    about = Dataset.model_validate(description(fps=None, grids=[{"name": "one", "fps": 25, "stride": 16}]))
    durations = {f"v{i}": seconds for i, seconds in enumerate(lengths)}
    counts = {video: n_snippets(seconds, fps) for video, seconds in durations.items()}
    says = FeatureGrid(name="the shards", fps=Fraction(claimed), stride=16)
    report = judge(counts, durations, dict.fromkeys(counts, says), about)
    assert (not report.misfits) == (fps == claimed)
    assert report.best is not None and report.best.fps == fps and report.n_best == len(counts)


def test_a_single_misfit_is_that_videos_own_problem(root: Path) -> None:
    write_shards(root, {**right_counts(), "clip_train_05": 200})
    counts, about = {**right_counts(), **{f"x{i}": 156 for i in range(9)}}, Dataset.model_validate(description())
    counts["clip_train_05"] = 200
    durations = {**DURATIONS_S, **{f"x{i}": 100.0 for i in range(9)}}
    claims = dict.fromkeys(counts, about.grids[0])
    assert judge(counts, durations, claims, about).misfits == ("clip_train_05",)
    assert "1 of 9 snippet counts do not fit" in problem(root).line


def test_features_at_the_videos_own_rate_are_recognised(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = description()["splits"]
    splits["train"]["fps"] = {24: [1, 2, 6]}
    install(root.parent / "described", monkeypatch, splits=splits)
    own = {f"clip_train_{n:02d}": 24 for n in (1, 2, 6)}
    write_npy(root / "i3d", {v: n_snippets(d, own.get(v, 30), stride=4) for v, d in DURATIONS_S.items()})
    report = check_data("tiny", root)
    assert lines(report, "fits", "features")[-1] == (
        "i3d: snippet counts fit the videos' own fps, stride 4 (dense) for 9 of 9 videos; "
        "import them with that rate: tal import-features"
    )


def test_stretched_features_have_no_rate(root: Path) -> None:
    write_shards(root, dict.fromkeys(VIDEOS, 100))
    assert problem(root).line == (
        ".: every video has 100 snippets, whatever its length: stretched features, which have no rate; "
        "take others, or import them as such"
    )
    for video, duration_s in DURATIONS_S.items():
        write_shards(root, {video: 100}, claimed_fps=Fraction(1600) / Fraction(duration_s))
    (told,) = [one for one in check_data("tiny", root).findings if "stretched" in one.what]
    assert told.level == "note" and told.what.endswith("each at a rate of its own, as the shards say")
