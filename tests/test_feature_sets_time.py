"""Rates, durations, and features that do not fit them."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import public_sets as sets
import pytest
from feature_imports import durations, imported, peak_s, shard

from tal import feature_sets, shards
from tal.errors import ConfigError, InputError

GOOD = sets.streams(6)
TWO = {"a": sets.streams(6, peak=4), "b": sets.streams(9, peak=2, seed=1)}


@pytest.mark.parametrize("fps", [24, 25, 30, Fraction(30000, 1001)])
@pytest.mark.parametrize("name", ["cmcs", "actionformer"])
def test_a_native_rate_follows_from_the_duration(tmp_path: Path, name: str, fps: Any) -> None:
    """1,269 snippets of 16 frames every 4 come from 5,088 to 5,091 frames."""
    n_frames = 5090
    one = sets.streams(1269, 2, peak=600)
    if name == "cmcs":
        source = sets.cmcs(tmp_path / "in", {"a": {s: v[None] for s, v in one.items()}}, n_frames)
    else:
        source = sets.npy(tmp_path / "in", {"a": one})
    told = durations(tmp_path, a=round(n_frames / float(fps), 2))
    found = shard(imported(tmp_path, name, source, durations=told, streams=("rgb", "flow")), "a")
    assert found.grid.fps == fps
    assert found.provenance["rate"] == "native rate"


def test_a_table_of_rates_counts_most(tmp_path: Path) -> None:
    (tmp_path / "info.csv").write_text("video,fps,sample_fps,count,sample_count\na,24.0,8.0,36.0,12\n")
    source = sets.npy(tmp_path / "in", {"a": TWO["a"]})
    options = {"durations": tmp_path / "info.csv", "streams": ("rgb", "flow")}
    found = shard(imported(tmp_path, "actionformer", source, **options), "a")
    assert (found.grid.fps, found.duration_s) == (24, 1.5)


def test_what_the_user_says_counts_more(tmp_path: Path) -> None:
    source = sets.basnet(tmp_path / "in", TWO)
    options = {"fps": Fraction(10), "stride": 4, "length": 5, "convention": "centre", "streams": ("flow",)}
    found = shard(imported(tmp_path, "basnet", source, **options), "a")
    assert list(found.streams) == ["flow"]
    assert found.grid.to_dict() == {
        **{"n_snippets": 6, "fps": "10", "length": 5, "stride": 4, "offset": 0, "convention": "centre"}
    }


def test_bsn_rows_cover_the_frames_that_features_were_taken_from(tmp_path: Path) -> None:
    tree = {"v_a": {"duration_second": 100.0, "duration_frame": 3000, "feature_frame": 2400, "annotations": []}}
    (tmp_path / "anno.json").write_text(json.dumps(tree))
    source = sets.table(tmp_path / "in", {"v_a": sets.streams(100, peak=50)})
    found = shard(imported(tmp_path, "bsn", source, durations=tmp_path / "anno.json"), "v_a")
    assert (found.duration_s, peak_s(found)) == (100.0, pytest.approx(40.0))


def test_names_can_lose_a_prefix(tmp_path: Path) -> None:
    tree = {"database": {"a": {"duration": 20, "subset": "training", "annotations": []}}}
    (tmp_path / "anet.json").write_text(json.dumps(tree))
    source, told = sets.table(tmp_path / "in", {"v_a": TWO["a"]}), {"durations": tmp_path / "anet.json"}
    report = imported(tmp_path, "bsn", source, **told)
    assert report.notes == {"named without 'v_' in the file of durations; --strip v_ names the shards so": 1}
    assert list(imported(tmp_path, "bsn", source, strip="v_", **told).shards) == ["a"]


def test_a_format_without_durations_says_what_it_needs(tmp_path: Path) -> None:
    source = sets.table(tmp_path / "in", TWO)
    with pytest.raises(ConfigError, match=r"^bsn: rows are rescaled, .*: --durations FILE$"):
        imported(tmp_path, "bsn", source)
    with pytest.raises(ConfigError, match=r"leave out --fps, --stride and --length$"):
        imported(tmp_path, "bsn", source, fps=Fraction(25), durations=durations(tmp_path, a=1))
    with pytest.raises(ConfigError, match=r"^stpn: files are numbered: give --names FILE"):
        imported(tmp_path, "stpn", source)
    with pytest.raises(ConfigError, match=r"^npy: such files say nothing about time: give --fps and --stride$"):
        imported(tmp_path, "npy", sets.npy(tmp_path / "npy", TWO), streams=("rgb", "flow"))


def test_wrong_rates_are_durations(tmp_path: Path) -> None:
    """60 snippets of 16 frames are 38.4 s at 25 frames per second; 96 s show that they are of 10."""
    source = sets.basnet(tmp_path / "in", {"a": sets.streams(60), "b": sets.streams(150)})
    known = durations(tmp_path, a=96.0, b=96.0)
    report = imported(tmp_path, "basnet", source, durations=known)
    assert list(report.shards) == ["b"]
    assert report.failures["a"].endswith(
        "60 snippets do not fit 96 s at 25 frames per second, which make 150: they fit 10 frames per second; "
        "give --fps or --stride, or correct the duration, or --keep-misfits"
    )
    assert imported(tmp_path, "basnet", source, durations=known, fps=Fraction(10)).made == ("a",)
    kept = imported(tmp_path, "basnet", source, durations=known, keep_misfits=True)
    assert kept.notes == {"taken although their snippets do not fit what is known of the videos": 1}


@pytest.mark.parametrize("right", [10, 15, 24, 25, 30])
def test_rates_are_told_apart_over_two_minutes(tmp_path: Path, right: int) -> None:
    n = 120 * right // 16
    source = sets.basnet(tmp_path / "in", {"a": sets.streams(n, 2)})
    for fps in (10, 15, 24, 25, 30):
        report = imported(tmp_path, "basnet", source, durations=durations(tmp_path, a=120.0), fps=Fraction(fps))
        assert bool(report.shards) == (fps == right), fps


def test_native_rows_that_do_not_fit_a_table_of_rates(tmp_path: Path) -> None:
    (tmp_path / "info.csv").write_text("video,fps,count\na,30,900\n")
    source = sets.npy(tmp_path / "in", {"a": sets.streams(56, 4)})
    options: dict[str, Any] = {"durations": tmp_path / "info.csv", "streams": ("rgb", "flow")}
    (reason,) = imported(tmp_path, "actionformer", source, **options).failures.values()
    assert "56 snippets do not fit 30 s at 30 frames per second, which make 222" in reason
    assert imported(tmp_path, "actionformer", source, stride=16, **options).made == ("a",)


def test_a_forgotten_stride_is_noticed(tmp_path: Path) -> None:
    """Snippets every 16 frames at 25 per second, read as every 4: the count of frames tells, or the rate."""
    one = sets.streams(125, 2)
    crops = sets.cmcs(tmp_path / "crops", {"a": {s: v[None] for s, v in one.items()}}, n_frames=2000)
    (reason,) = imported(tmp_path, "cmcs", crops).failures.values()
    assert "125 snippets do not fit 2000 frames with one every 4, which make 497; give --fps or --stride" in reason
    assert imported(tmp_path, "cmcs", crops, stride=16, fps=Fraction(25)).made == ("a",)
    told = {"durations": durations(tmp_path, a=80.0), "streams": ("rgb", "flow")}
    folder = sets.npy(tmp_path / "npy", {"a": one})
    (reason,) = imported(tmp_path, "actionformer", folder, **told).failures.values()
    assert "125 snippets, one every 4 frames, in 80 s would make 6.419 frames per second, which is no" in reason
    assert imported(tmp_path, "actionformer", folder, stride=16, **told).made == ("a",)
    assert imported(tmp_path, "actionformer", folder, keep_misfits=True, **told).made == ("a",)


def test_videos_without_a_duration(tmp_path: Path) -> None:
    source = sets.table(tmp_path / "csv", {"a": GOOD, "b": GOOD})
    report = imported(tmp_path, "bsn", source, durations=durations(tmp_path, a=9))
    assert list(report.shards) == ["a"] and report.failures["b"].endswith("name it in --durations FILE")
    tree = sets.basnet(tmp_path / "tree", {"c": GOOD})
    notes = imported(tmp_path, "basnet", tree, durations=durations(tmp_path, a=9)).notes
    assert notes["not in the file of durations"] == 1


def test_archives_that_say_nothing_about_time(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    np.savez(source / "a.npz", rgb=GOOD["rgb"])
    np.savez(source / "b.npz", other=GOOD["rgb"])
    for name in ("npz", "video_features"):
        failures = imported(tmp_path, name, source).failures
        assert failures["a"] == f"{source / 'a.npz'}: the file says nothing about time: give --fps and --stride"
        assert failures["b"].startswith(f"{source / 'b.npz'}: neither rgb nor flow in it; ")
        report = imported(tmp_path, name, source, fps=Fraction(25), stride=8)
        assert shards.read(report.shards["a"]).grid.to_dict()["length"] == 8


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("d.json", '{"database": {"a": {"duration": -1}}}', "database.a.duration: not a positive number (-1)"),
        ("d.json", '{"a": {"duration": "x"}}', "a.duration: expected a number, found 'x'"),
        ("d.json", "[]", "expected an object"),
        ("d.csv", "name,seconds\na,1\n", "line 1: no columns 'video' and 'duration' (found: name, seconds)"),
        ("d.csv", "video,duration\na,zero\n", "line 2: expected a number, found 'zero'"),
        ("d.csv", "video,fps,count\na,,10\n", "line 2: expected a number, found ''"),
        ("d.txt", "a\n", "line 1: no duration of 'a'"),
        ("d.txt", "", "no durations"),
        ("no.csv", None, "cannot be read (No such file or directory)"),
    ],
)
def test_bad_files_of_durations(tmp_path: Path, name: str, text: str | None, expected: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as refused:
        imported(tmp_path, "basnet", sets.basnet(tmp_path / "in", {"a": GOOD}), durations=tmp_path / name)
    assert str(refused.value).startswith(f"{tmp_path / name}") and expected in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("d.json", '{"database": {"v.mp4": {"duration": "12.5", "annotations": []}, "x": {"annotations": []}}}'),
        ("d.json", '{"v": {"duration_second": 12.5}}'),
        ("d.csv", "video,label,duration\nv,a,12.5\nx,a,\n"),
        ("d.csv", "video,fps,sample_fps,count\nv,30.0,10.0,375.0\n"),
        ("d.txt", "v.mp4\n12.500000\n"),
        ("d.txt", "\n/data/test/v.mp4 12.5\n"),
    ],
)
def test_files_of_durations(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = feature_sets.read_durations(tmp_path / name)
    assert list(found) == ["v"] and (found["v"].seconds, found["v"].covered_s) == (12.5, 12.5)


def test_real_files_of_durations(shared: Path) -> None:
    """Sources of THUMOS14 agree to 2 %, two videos of the test set and two of the training set apart."""
    folder = shared / "data/annotations"
    truth = feature_sets.read_durations(folder / "thumos14.json")
    for name in ("thumos14_csv/test_video_info.csv", "thumos14_csv/val_video_info.csv"):
        found = feature_sets.read_durations(folder / name)
        apart = [v for v, d in found.items() if v in truth and abs(d.seconds / truth[v].seconds - 1) > 0.02]
        assert len(found) >= 200 and len(apart) == 2
