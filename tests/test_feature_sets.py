"""Every public layout becomes shards: with the values of its files, each snippet at its right time."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pickled
import public_sets as sets
import pytest
from feature_imports import durations, imported, peak_s, same, shard

from tal import feature_sets, npy, pipeline
from tal.annotations import read_labels
from tal.cache import Cache
from tal.errors import ConfigError
from tal.pipeline import ImportOptions
from tal.types import Features

TWO = {"a": sets.streams(6, peak=4), "b": sets.streams(9, peak=2, seed=1)}


def wtalc(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    return sets.wtalc(tmp_path / "in", TWO), {}


def basnet(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    return sets.basnet(tmp_path / "in", TWO), {}


def stpn(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    source, names = sets.stpn(tmp_path / "in", TWO)
    return source, {"names": names}


def actionformer(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    return sets.npy(tmp_path / "in", TWO), {"streams": ("rgb", "flow")}


def cmcs(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    crops = {name: {s: values[None] for s, values in one.items()} for name, one in TWO.items()}
    for name, one in crops.items():
        sets.cmcs(tmp_path / "in", {name: one}, n_frames=(len(TWO[name]["rgb"]) - 1) * 4 + 16)
    return tmp_path / "in", {}


def bsn(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    return sets.table(tmp_path / "in", TWO), {"durations": durations(tmp_path, a=12.5, b=33.0)}


def video_features(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    return sets.video_features(tmp_path / "in", TWO, 19.62, 24, 12), {}


def plain(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    options = {"fps": Fraction(30000, 1001), "stride": 8, "streams": ("rgb", "flow")}
    return sets.npy(tmp_path / "in", TWO), options


# Format, how it is written, and when snippets 4 of "a" and 2 of "b" begin, by the formats' published rates.
CASES = [
    ("wtalc", wtalc, 4 * 16 / 25, 2 * 16 / 25),
    ("basnet", basnet, 4 * 16 / 25, 2 * 16 / 25),
    ("stpn", stpn, 4 * 16 / 10, 2 * 16 / 10),
    ("cmcs", cmcs, 4 * 4 / 30, 2 * 4 / 30),
    ("actionformer", actionformer, (4 * 4 + 6) / 30, (2 * 4 + 6) / 30),
    ("bsn", bsn, 4 * 12.5 / 6, 2 * 33 / 9),
    ("mmaction2", bsn, 4 * 12.5 / 6, 2 * 33 / 9),
    ("video_features", video_features, 4 * 12 / 19.62, 2 * 12 / 19.62),
    ("npy", plain, 4 * 8 * 1001 / 30000, 2 * 8 * 1001 / 30000),
]


@pytest.mark.parametrize(("name", "write", "a_s", "b_s"), CASES, ids=[case[0] for case in CASES])
def test_values_and_times(tmp_path: Path, name: str, write: Callable[..., Any], a_s: float, b_s: float) -> None:
    source, options = write(tmp_path)
    report = imported(tmp_path, name, source, **options)
    assert report.made == ("a", "b") and report.n_snippets == 15
    for video, expected_s in (("a", a_s), ("b", b_s)):
        found = shard(report, video)
        assert same(found, TWO[video])
        assert peak_s(found) == pytest.approx(expected_s, abs=1e-9)
        assert found.provenance["imported"]["format"] == name
        assert found.duration_s > found.grid.time_s(found.grid.n_snippets - 1)


def test_untrimmednet_features_have_flow_first_and_a_row_every_15_frames(tmp_path: Path) -> None:
    videos = {"a": sets.streams(3, 1024, peak=2), "b": sets.streams(2, 1024, peak=1)}
    source = sets.autoloc(tmp_path / "in", videos)
    lines = "".join((source / f"{name}.tsv").read_text() for name in videos)
    (source / "test.all.tsv").write_text(lines)
    report = imported(tmp_path, "autoloc", source)
    assert all(same(shard(report, name), one) for name, one in videos.items())
    assert peak_s(shard(report, "a")) == pytest.approx(2 * 15 / 30)
    alone = pipeline.import_features(
        "autoloc", source / "test.all.tsv", tmp_path / "alone", cache=Cache(tmp_path / "c")
    )
    assert all(same(shard(alone, name), one) for name, one in videos.items())


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_joint_file_of_any_protocol(tmp_path: Path, protocol: int) -> None:
    report = imported(tmp_path, "wtalc", sets.wtalc(tmp_path / "in", TWO, protocol))
    assert all(same(shard(report, name), one) for name, one in TWO.items())


def test_a_joint_file_of_videos_of_one_length_is_one_array(tmp_path: Path) -> None:
    videos = {"a": sets.streams(5), "b": sets.streams(5, seed=1)}
    path = sets.wtalc(tmp_path / "in", videos)
    np.save(path, np.stack([sets.both(one) for one in videos.values()]))
    report = imported(tmp_path, "wtalc", path)
    assert all(same(shard(report, name), one) for name, one in videos.items())


def test_labels_and_durations_travel_with_a_joint_file(tmp_path: Path) -> None:
    labels = pickled.objects(["Diving", "CliffDiving", "Diving"], ["Billiards"])
    arrays = {"labels_all": labels, "subset": np.array([b"validation", b"test"]), "duration": np.array([[3.9], [6.0]])}
    path = sets.wtalc(tmp_path / "in", TWO, **arrays)
    report = pipeline.import_features(
        "wtalc", path, tmp_path / "out", labels=tmp_path / "l.csv", cache=Cache(tmp_path / "c")
    )
    assert [shard(report, name).duration_s for name in "ab"] == [3.9, 6.0]
    assert read_labels(tmp_path / "l.csv", "validation").by_video == {"a": ("CliffDiving", "Diving")}
    assert read_labels(tmp_path / "l.csv", "test").by_video == {"b": ("Billiards",)}


def test_labels_of_the_real_annotations(shared: Path) -> None:
    """THUMOS14: 200 training videos, 20 classes; W-TALC trains on 221 pairs of video and label, not on all 227."""
    notes = shared / "data/annotations/wtalc_Thumos14reduced-Annotations"
    options = ImportOptions(annotations=notes)
    rows = list(feature_sets.load("wtalc", "import").labels(Path("any.npy"), options))
    training = [row for row in rows if row[2] == "validation"]
    names = {npy.text(name) for name in npy.numbers(notes / "videoname.npy").tolist()}
    assert len(names) == 412 and names - {row[0] for row in rows} == {"video_test_0000270"}  # left out by most papers
    assert (len({row[0] for row in training}), len(training)) == (200, 221)
    assert len({row[1] for row in training}) == 20 and ("video_validation_0000051", "Billiards", "validation") in rows


def test_crops_are_averaged_or_chosen(tmp_path: Path) -> None:
    crops = {s: np.stack([v, 3 * v]) for s, v in TWO["a"].items()}
    source = sets.cmcs(tmp_path / "in", {"a": crops}, n_frames=36)
    mean = shard(imported(tmp_path, "cmcs", source), "a")
    assert np.allclose(mean.streams["flow"], 2 * TWO["a"]["flow"], rtol=1e-6)
    chosen = imported(tmp_path, "cmcs", source, crop=1)
    assert chosen.made == ("a",) and same(shard(chosen, "a"), {s: 3 * v for s, v in TWO["a"].items()})
    (reason,) = imported(tmp_path, "cmcs", source, crop=2).failures.values()
    assert reason.endswith("no crop 2; there are 2, from 0")


def test_untrimmednet_crops_of_cmcs(tmp_path: Path) -> None:
    values = {s: v[:, None, :, None, None] for s, v in TWO["a"].items()}
    assert same(shard(imported(tmp_path, "cmcs", sets.cmcs(tmp_path / "in", {"a": values}, 36)), "a"), TWO["a"])


def test_the_order_of_streams_can_be_told(tmp_path: Path) -> None:
    source = sets.npy(tmp_path / "in", TWO)
    found = shard(imported(tmp_path, "actionformer", source, streams=("flow", "rgb")), "a")
    assert same(found, {"flow": TWO["a"]["rgb"], "rgb": TWO["a"]["flow"]})


def test_what_is_there_is_kept_and_what_changed_is_made_again(tmp_path: Path) -> None:
    source = sets.basnet(tmp_path / "in", TWO)
    assert imported(tmp_path, "basnet", source).made == ("a", "b")
    before = (tmp_path / "out/a.safetensors").stat().st_mtime_ns
    again = imported(tmp_path, "basnet", source)
    assert again.made == () and list(again.shards) == ["a", "b"] and again.n_snippets == 15
    assert (tmp_path / "out/a.safetensors").stat().st_mtime_ns == before
    for stream in ("rgb", "flow"):
        np.save(source / f"test/{stream}/b.npy", TWO["b"][stream] + 1)
        assert imported(tmp_path, "basnet", source).made == ("b",)
    damaged = bytearray((tmp_path / "out/a.safetensors").read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "out/a.safetensors").write_bytes(damaged)
    assert imported(tmp_path, "basnet", source).made == ("a",)
    assert imported(tmp_path, "basnet", source, fps=Fraction(10)).made == ("a", "b")


@pytest.mark.parametrize("dtype", [">f4", "<f2", ">f8", "<i2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_type_of_numbers(tmp_path: Path, dtype: str, order: Any) -> None:
    values = np.asarray(np.arange(12).reshape(3, 4), dtype, order)
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in/a.npy", values)
    options = {"fps": Fraction(25), "stride": 16, "streams": ("rgb", "flow")}
    found = shard(imported(tmp_path, "npy", tmp_path / "in", **options), "a")
    assert same(found, {"rgb": values[:, :2].astype(np.float32), "flow": values[:, 2:].astype(np.float32)})


def test_rescaled_and_native_features_can_be_trained_on(tmp_path: Path) -> None:
    """Their rates differ from video to video of one set, which is no mistake of extraction."""
    from tal.trainset import TrainingSet, TrainingVideo

    source, options = bsn(tmp_path)
    report = imported(tmp_path, "bsn", source, **options)
    videos = [TrainingVideo(name, path, ("x",)) for name, path in report.shards.items()]
    assert TrainingSet(videos).dims == {"rgb": 4, "flow": 4}


def test_real_features_of_video_features(tmp_path: Path, shared: Path) -> None:
    """The timestamps are those of the files; the video is 355 frames at 19.62 per second long."""
    source = shared / "data/features/i3d_ref_npz"
    told = tmp_path / "told.txt"
    told.write_text("".join(f"{path.stem} {355 / 19.62}\n" for path in source.glob("*.npz")))
    report = imported(tmp_path, "video_features", source, durations=told)
    grids = {}
    for path in source.glob("*.npz"):
        found, arrays = shard(report, path.stem), np.load(path)
        ends_s = [found.grid.time_s(i) + (found.grid.length - lead(found)) / float(found.grid.fps) for i in range(3)]
        assert ends_s == pytest.approx(arrays["timestamps_ms"][:3] / 1000)
        assert np.array_equal(found.streams["flow"], arrays["flow"].astype(np.float32))
        grids[path.stem[19:]] = (float(found.grid.fps), found.grid.length, found.grid.stride)
    assert grids["raft_24_12_15"] == (15, 24, 12)
    assert grids["raft_None_None_None"] == (19.62, 64, 64)


def lead(found: Features) -> float:
    return (found.grid.length - found.grid.stride) / 2 if found.grid.convention == "centre" else 0.0


def test_real_features_of_mmaction2(tmp_path: Path, shared: Path) -> None:
    source = shared / "data/features/mmaction2_activitynet_features"
    told = durations(tmp_path, v_test1=10, v_test2=20)
    report = imported(tmp_path, "mmaction2", source, durations=told)
    expected = np.loadtxt(source / "v_test2.csv", delimiter=",", skiprows=1)
    found = shard(report, "v_test2")
    assert np.array_equal(found.streams["flow"], expected[:, 200:].astype(np.float32))
    assert found.grid.segment(0, 5).end_s == pytest.approx(20)


def test_a_model_of_imported_features_is_not_for_new_videos(tmp_path: Path) -> None:
    from tal.pipeline.context import context
    from tal.pipeline.engines import recipe_of

    report = imported(tmp_path, "basnet", sets.basnet(tmp_path / "in", TWO))
    with pytest.raises(ConfigError, match=r"^the model learned from imported features, which new videos cannot get"):
        recipe_of(shard(report, "a").provenance, context(None, Cache(tmp_path / "c"), None))
