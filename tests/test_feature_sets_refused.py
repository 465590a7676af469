"""Files and options that cannot be used: one line each, the other videos are done, nothing is taken silently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pickled
import public_sets as sets
import pytest
import small
from feature_imports import durations, imported

from tal import pipeline, shards
from tal.cache import Cache
from tal.errors import ConfigError, InputError
from tal.types import Features, SnippetGrid

GOOD = sets.streams(6)


def with_value(value: float) -> np.ndarray:
    values = GOOD["rgb"].copy()
    values[3, 2] = value
    return values


# What is wrong with the RGB file of a video, and what is said about it.
BAD = {
    "NaN": (with_value(np.nan), "not a finite number in snippet 3, column 2, both from 0; extract it again"),
    "infinite": (with_value(np.inf), "not a finite number in snippet 3, column 2, both from 0; extract it again"),
    "too large for float32": (with_value(1).astype(float) * 1e300, "not a finite number in snippet 0, column 0"),
    "one axis": (np.zeros(5), "float64 of shape (5,), not numbers (snippets, columns); choose its layout"),
    "four axes": (np.zeros((1, 2, 3, 4)), "float64 of shape (1, 2, 3, 4), not numbers"),
    "no snippets": (np.zeros((0, 4)), "no snippets (shape (0, 4))"),
    "texts": (np.array([["a", "b"]]), "<U1 of shape (1, 2), not numbers"),
    "complex": (np.zeros((2, 2), complex), "its elements are of a type that is not read here ('<c16')"),
    "objects": (pickled.objects([1], [2]), "an array of objects where one of numbers is expected"),
    "another length": (np.zeros((9, 4), np.float32), "streams of different lengths (9 of rgb, 6 of flow snippets)"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_bad_video_does_not_stop_the_others(tmp_path: Path, name: str) -> None:
    values, expected = BAD[name]
    source = sets.basnet(tmp_path / "in", {"a": GOOD, "b": GOOD, "c": GOOD})
    np.save(source / "test/rgb/b.npy", values, allow_pickle=True)
    report = imported(tmp_path, "basnet", source)
    assert list(report.shards) == ["a", "c"] and list(report.failures) == ["b"]
    assert str(source / "test/rgb/b.npy") in report.failures["b"] and expected in report.failures["b"]
    assert "\n" not in report.failures["b"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.safetensors", "c.safetensors"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_files_cut_short(tmp_path: Path, share: float) -> None:
    crops = {"a": {s: v[None] for s, v in GOOD.items()}, "b": {s: v[None] for s, v in GOOD.items()}}
    trees = {
        "basnet": (sets.basnet(tmp_path / "tree", {"a": GOOD, "b": GOOD}), "test/rgb/a.npy", {}),
        "cmcs": (sets.cmcs(tmp_path / "crops", crops, 36), "val-rgb-oversample/a-rgb.npz", {}),
        "bsn": (
            sets.table(tmp_path / "csv", {"a": GOOD, "b": GOOD}),
            "a.csv",
            {"durations": durations(tmp_path, a=9, b=9)},
        ),
    }
    for name, (source, file, options) in trees.items():
        path = source / file
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        report = imported(tmp_path, name, source, **options)
        assert (list(report.shards), list(report.failures)) == (["b"], ["a"]), name
        assert str(path) in report.failures["a"]


def test_code_in_a_file_of_features_is_not_run(tmp_path: Path) -> None:
    marker, source = tmp_path / "marker", sets.basnet(tmp_path / "in", {"a": GOOD, "b": GOOD})
    pickled.write(source / "test/rgb/a.npy", pickled.attacks(marker)["os.system, protocol 4"])
    joint = sets.wtalc(tmp_path / "joint", {"a": GOOD})
    pickled.write(joint, pickled.attacks(marker)["os.system, protocol 2"])
    assert "system'" in imported(tmp_path, "basnet", source).failures["a"]
    with pytest.raises(InputError, match=r"its pickle names '(posix|nt)\.system'"):
        imported(tmp_path, "wtalc", joint)
    assert not marker.exists()


@pytest.mark.parametrize(
    "name", ["../x", "/tmp/x", "a/b", "..", ".hidden", "", "a\nb", "a\\b", " a", "x" * 300, "C:x", "a\x00b"]
)
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    path = sets.wtalc(tmp_path / "in", {name: GOOD, "good": GOOD})
    np.save(path.parent / "Tiny-Annotations/videoname.npy", pickled.objects(name, "good"), allow_pickle=True)
    report = imported(tmp_path, "wtalc", path)
    assert list(report.shards) == ["good"]
    (reason,) = report.failures.values()
    assert "cannot be the name of a file; rename it in the source" in reason and "\n" not in reason
    assert sorted(p.name for p in tmp_path.rglob("*.safetensors")) == ["good.safetensors"]


def test_a_missing_stream_and_a_video_that_comes_twice(tmp_path: Path) -> None:
    source = sets.basnet(tmp_path / "in", {"a": GOOD, "b": GOOD})
    (source / "test/flow/a.npy").unlink()
    sets.basnet(source, {"b": GOOD}, "train")
    failures = imported(tmp_path, "basnet", source).failures
    assert failures["a"] == "video 'a' has no flow file, other videos do; add it"
    assert failures["b"].startswith("video 'b' has two rgb files, ")
    twice = sets.wtalc(tmp_path / "joint", {"x": GOOD, "x.mp4": GOOD})
    assert "a second video named 'x'" in imported(tmp_path, "wtalc", twice).failures["x (again)"]


def test_one_snippet_more_of_one_stream_is_cut_and_durations(tmp_path: Path) -> None:
    source = sets.basnet(tmp_path / "in", {"a": GOOD})
    np.save(source / "test/flow/a.npy", GOOD["flow"][:-1])
    report = imported(tmp_path, "basnet", source)
    assert shards.read(report.shards["a"]).grid.n_snippets == 5
    assert "one stream had a last snippet more" in report.notes


def test_extracted_features_are_not_overwritten(tmp_path: Path) -> None:
    features = Features(GOOD, SnippetGrid(6), 4.0, provenance={"settings": {}})
    shards.write(tmp_path / "out/a.safetensors", features, "key")
    source = sets.basnet(tmp_path / "in", {"a": GOOD})
    assert imported(tmp_path, "basnet", source).failures["a"].endswith("choose another folder, or --force")
    forced = Cache(tmp_path / "c", force=True)
    assert pipeline.import_features("basnet", source, tmp_path / "out", cache=forced).made == ("a",)


@pytest.mark.parametrize("name", ["actionformer", "autoloc", "basnet", "cmcs", "npz", "video_features", "wtalc"])
def test_empty_and_missing_folders(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    for source in (tmp_path / "in", tmp_path / "nowhere"):
        with pytest.raises(InputError, match=rf"^{source}: "):
            imported(tmp_path, name, source)


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    source = sets.npy(tmp_path / "in", {"a": GOOD})
    with pytest.raises(InputError, match="no files of this format; 'tal import-features --list'"):
        imported(tmp_path, "basnet", source)


def test_columns_that_do_not_split(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    np.save(source / "a.npy", np.zeros((3, 5), np.float32))
    assert "5 columns, not 2048" in imported(tmp_path, "actionformer", source).failures["a"]
    both = imported(tmp_path, "actionformer", source, streams=("rgb", "flow")).failures["a"]
    assert "5 columns are not rgb and flow of one width" in both
    assert list(imported(tmp_path, "actionformer", source, streams=("flow",)).shards) == ["a"]
    with pytest.raises(ConfigError, match=r"^--streams rgb,rgb: write"):
        imported(tmp_path, "actionformer", source, streams=("rgb", "rgb"))


def test_joint_files_and_names_that_do_not_fit(tmp_path: Path) -> None:
    path = sets.wtalc(tmp_path / "in", {"a": GOOD, "b": GOOD})
    notes = path.parent / "Tiny-Annotations"
    np.save(notes / "videoname.npy", np.array([b"a"]))
    with pytest.raises(InputError, match=r"2 arrays, but 1 names in .*videoname\.npy; are they of one copy\?$"):
        imported(tmp_path, "wtalc", path)
    np.save(notes / "videoname.npy", np.arange(2))
    with pytest.raises(InputError, match="not an array of texts"):
        imported(tmp_path, "wtalc", path)
    (notes / "videoname.npy").unlink()
    with pytest.raises(InputError, match="name it with --annotations DIR"):
        imported(tmp_path, "wtalc", path)


def test_things_in_a_joint_file_that_are_no_features(tmp_path: Path) -> None:
    path = sets.wtalc(tmp_path / "in", {"a": GOOD, "b": GOOD, "c": GOOD, "d": GOOD})
    pickled.save(path, pickled.objects(["x"], np.zeros((0,)), pickled.objects(1, 2), sets.both(GOOD)), 2)
    report = imported(tmp_path, "wtalc", path)
    assert list(report.shards) == ["d"] and list(report.failures) == ["a", "b", "c"]
    assert report.failures["a"] == f"{path}, array 0: not an array; get the file again"


NUMBERED: list[tuple[str, str]] = [("one\n", "no line '2'"), ("\n\n", "no line '1'")]


@pytest.mark.parametrize(("names", "expected"), NUMBERED)
def test_numbers_without_names(tmp_path: Path, names: str, expected: str) -> None:
    source, listed = sets.stpn(tmp_path / "in", {"one": GOOD, "two": GOOD})
    listed.write_text(names)
    with pytest.raises(InputError, match=expected):
        imported(tmp_path, "stpn", source, names=listed)


def break_line(line: int, cells: Callable[[list[str]], list[str]], path: Path) -> None:
    lines = path.read_text().split("\n")
    lines[line] = ",".join(cells(lines[line].split(",")))
    path.write_text("\n".join(lines))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (lambda cells: cells[:-1], "a.csv, line 3: 7 numbers under 8 columns"),
        (lambda cells: ["x", *cells[1:]], "a.csv, line 3: not numbers"),
        (lambda cells: ["nan", *cells[1:]], "rgb: not a finite number in snippet 1, column 0"),
        (lambda cells: ["", *cells[1:]], "a.csv, line 3: not numbers"),
        (lambda cells: ["1e300", *cells[1:]], "rgb: not a finite number in snippet 1, column 0"),
    ],
)
def test_tables_with_a_bad_line(tmp_path: Path, cells: Any, expected: str) -> None:
    source = sets.table(tmp_path / "in", {"a": GOOD})
    break_line(2, cells, source / "a.csv")
    assert expected in imported(tmp_path, "bsn", source, durations=durations(tmp_path, a=9)).failures["a"]


def test_tsv_with_bad_lines(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    values = ";".join(["0.5"] * 2048)
    (source / "a.tsv").write_text(f"few\t1\nodd\t1\t{values};1\nbad\t1\tx;y\n\ngood\t1\t{values}\t1\t1\n")
    report = imported(tmp_path, "autoloc", source)
    assert list(report.shards) == ["good"]
    assert "a.tsv, line 1: 2 fields" in report.failures["few"]
    assert "a.tsv, line 2: 2049 numbers are not rows of 2048; was it cut short?" in report.failures["odd"]
    assert "a.tsv, line 3: not numbers" in report.failures["bad"]


def test_the_command_line(tmp_path: Path) -> None:
    source = sets.basnet(tmp_path / "in", {"a": GOOD, "b": GOOD})
    np.save(source / "test/rgb/b.npy", BAD["NaN"][0])
    done = small.tal("import-features", "basnet", source, "out", cwd=tmp_path, cache=tmp_path / "c")
    assert done.returncode == 1 and "tal: 1 of 2 videos failed" in done.stderr
    assert "1 shards in out (1 made, 0 kept), 6 snippets" in done.stderr
    assert "1 video: durations are not known" in done.stderr
    for arguments, status, expected in (
        (("basnett",), 2, "tal: unknown feature format 'basnett'; did you mean 'basnet'?"),
        (("basnet", "--fps", "x"), 2, "tal: --fps 'x': write a number such as 25, 29.97 or 30000/1001"),
        (("basnet", "--time", "center"), 2, "tal: --time 'center'; did you mean 'centre'?"),
        (("basnet", "--crop", "all"), 2, "tal: --crop 'all': write mean, or the number of a crop from 0"),
        (("basnet", "--labels", "l.csv"), 2, "tal: basnet: no labels travel with these features; leave out --labels"),
    ):
        done = small.tal(
            "import-features", arguments[0], source, "out", *arguments[1:], cwd=tmp_path, cache=tmp_path / "c"
        )
        assert (done.returncode, done.stderr.strip()) == (status, expected)
    listed = small.tal("import-features", "--list", cwd=tmp_path, cache=tmp_path / "c")
    assert listed.returncode == 0 and "video_features" in listed.stdout
