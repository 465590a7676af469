"""What is exported NumPy reads, and what was exported comes back as it was."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import public_sets as sets
import pytest
import small

from tal import pipeline, shards
from tal.errors import ConfigError, InputError
from tal.pipeline import ImportOptions
from tal.types import Features, SnippetGrid

A, B = sets.streams(6), sets.streams(9, seed=1)
GRID = SnippetGrid(6, Fraction(30000, 1001), 16, 8, 3, "centre")


@pytest.fixture
def features(tmp_path: Path) -> Path:
    folder = tmp_path / "features"
    motion = np.arange(6, dtype=np.float32)
    shards.write(folder / "a.safetensors", Features(A, GRID, 2.0, motion), "k")
    shards.write(folder / "b.c.safetensors", Features(B, SnippetGrid(9), 7.0), "k")
    return folder


def test_one_file_per_video(features: Path, tmp_path: Path) -> None:
    for to in ("npy", "actionformer"):
        report = pipeline.export_features(features, tmp_path / to, to)
        assert report.videos == ("a", "b.c") and not report.failures
        assert np.array_equal(np.load(tmp_path / to / "a.npy"), sets.both(A))
        assert np.array_equal(np.load(tmp_path / to / "b.c.npy"), sets.both(B))
    grids = json.loads((tmp_path / "npy/grids.json").read_text())
    assert grids["a"] == {**GRID.to_dict(), "duration_s": 2.0}


def test_a_tree(features: Path, tmp_path: Path) -> None:
    pipeline.export_features(features, tmp_path / "out", "basnet")
    assert np.array_equal(np.load(tmp_path / "out/flow/b.c.npy"), B["flow"])
    assert np.array_equal(np.load(tmp_path / "out/rgb/a.npy"), A["rgb"])


def test_archives_keep_everything(features: Path, tmp_path: Path) -> None:
    pipeline.export_features(features, tmp_path / "out", "npz")
    with np.load(tmp_path / "out/a.npz") as arrays:
        assert np.array_equal(arrays["flow"], A["flow"]) and arrays["stride"] == 8
    report = pipeline.import_features("npz", tmp_path / "out", tmp_path / "again")
    for name in ("a", "b.c"):
        before, after = (shards.read(folder / f"{name}.safetensors") for folder in (features, tmp_path / "again"))
        assert (after.grid, after.duration_s) == (before.grid, before.duration_s)
        assert all(np.array_equal(after.streams[s], before.streams[s]) for s in ("rgb", "flow"))
        assert np.array_equal(after.motion, before.motion) if before.motion is not None else after.motion is None
    assert not report.failures


def test_a_joint_file(features: Path, tmp_path: Path) -> None:
    pipeline.export_features(features, tmp_path / "out", "wtalc")
    joint = np.load(tmp_path / "out/Features-I3D-JOINTFeatures.npy", allow_pickle=True)
    assert [np.array_equal(one, sets.both(other)) for one, other in zip(joint, (A, B), strict=True)] == [True, True]
    notes = tmp_path / "out/Features-Annotations"
    assert np.load(notes / "videoname.npy").tolist() == [b"a", b"b.c"]
    assert np.load(notes / "duration.npy").tolist() == [[2.0], [7.0]]
    options = ImportOptions(keep_misfits=True)
    report = pipeline.import_features(
        "wtalc", tmp_path / "out/Features-I3D-JOINTFeatures.npy", tmp_path / "again", options
    )
    assert np.array_equal(shards.read(report.shards["b.c"]).streams["flow"], B["flow"])


def test_names_never_lead_out_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "features"
    for name in ("...safetensors", ".hidden.safetensors", "a\nb.safetensors", "good.safetensors"):
        shards.write(folder / name, Features(A, SnippetGrid(6), 4.0), "k")
    for to in ("npy", "npz", "basnet", "wtalc"):
        report = pipeline.export_features(folder, tmp_path / "out" / to, to)
        assert report.videos == ("good",) and len(report.failures) == 3
        assert all("cannot be the name of a file" in reason for reason in report.failures.values())
    assert {path.name for path in tmp_path.iterdir()} == {"features", "out"}


def test_bad_shards_and_single_streams_fail_alone(features: Path, tmp_path: Path) -> None:
    (features / "x.safetensors").write_bytes(b"no")
    shards.write(features / "y.safetensors", Features({"rgb": A["rgb"]}, SnippetGrid(6), 4.0), "k")
    report = pipeline.export_features(features, tmp_path / "joint", "wtalc")
    assert report.videos == ("a", "b.c") and list(report.failures) == ["x", "y"]
    assert report.failures["y"] == "it has one stream, the format needs rgb and flow; export to npy or npz"
    joint = np.load(tmp_path / "joint/Features-I3D-JOINTFeatures.npy", allow_pickle=True)
    assert joint.shape == (2,) and np.array_equal(joint[1], sets.both(B))
    assert "y" in pipeline.export_features(features, tmp_path / "npy", "npy").videos


def test_nothing_is_overwritten_unasked(features: Path, tmp_path: Path) -> None:
    for to in ("npy", "npz", "basnet"):
        pipeline.export_features(features, tmp_path / to, to)
        again = pipeline.export_features(features, tmp_path / to, to)
        assert not again.videos and "is there already" in again.failures["a"]
        assert pipeline.export_features(features, tmp_path / to, to, force=True).videos == ("a", "b.c")
    pipeline.export_features(features, tmp_path / "wtalc", "wtalc")
    with pytest.raises(InputError, match="is there already; choose another folder, or --force to overwrite it"):
        pipeline.export_features(features, tmp_path / "wtalc", "wtalc")


def test_refusals(features: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^unknown feature format 'npyy'; did you mean 'npy'\?$"):
        pipeline.export_features(features, tmp_path, "npyy")
    with pytest.raises(ConfigError, match=r"^features cannot be exported as 'cmcs'; known for export: actionformer, "):
        pipeline.export_features(features, tmp_path, "cmcs")
    with pytest.raises(InputError, match="no shards; 'tal extract' or 'tal import-features' makes them"):
        pipeline.export_features(tmp_path / "none", tmp_path, "npy")


def test_the_command_line(features: Path, tmp_path: Path) -> None:
    done = small.tal("export-features", features, "out", "--json", cwd=tmp_path, cache=tmp_path / "c")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"videos": ["a", "b.c"], "failures": {}})
    done = small.tal("export-features", features, "out", cwd=tmp_path, cache=tmp_path / "c")
    assert done.returncode == 1 and "tal: 2 of 2 videos failed" in done.stderr
