"""Names of strangers stay names: nothing is written outside the folder that the user names, nor through a link."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import clips
import numpy as np
import pickled
import pytest
from exported import SHOTS
from hypothesis import given, settings
from hypothesis import strategies as st
from small import settings as small

from extract.video import find_videos
from tal import exports, feature_sets, pipeline, shards
from tal.cache import Cache
from tal.errors import InputError
from tal.files import atomic_path, write_atomic
from tal.pipeline import ImportOptions, export_detections
from tal.types import Features, SnippetGrid

EVIL = (
    *(
        "../x",
        "..",
        ".",
        "",
        " ",
        "/x",
        "//x",
        "a/../../x",
        "a/b",
        "..\\x",
        "C:\\x",
        "C:x",
        "\\\\host\\x",
        "a\0b",
        "\0",
    ),
    *("a" * 300, "é" * 150, "a\nb", "\x1b[31mx", ".hidden", "\u202ex", "x\ud800", " x", "x ", "a*", "a?", "~|x", '"x"'),
)
ODD = (
    "-rf",
    "--help",
    "~",
    "$HOME",
    "`x`",
    "x;y",
    "CON1",
    "x..y",
    "é",
    unicodedata.normalize("NFD", "é"),
    "视频",
    "'x'",
)
RESERVED = ("con", "NUL.x", "com1", "x.", "x..")

names = st.text(max_size=30) | st.sampled_from((*EVIL, *ODD, *RESERVED))


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@settings(max_examples=300, deadline=None, derandomize=True)
@given(name=names)
def test_a_name_that_is_taken_is_one_part_of_a_path(name: str) -> None:
    """Joined to a folder, a name that was not refused leads to one file right in that folder, on any system."""
    for check in (feature_sets.safe_name, exports.file_name):
        try:
            taken = check(name)
        except InputError as error:
            assert len(str(error).splitlines()) == 1
            continue
        path = Path("/out") / f"{taken}.safetensors"
        assert taken == name and path.parent == Path("/out")
        assert os.path.normpath(path) == str(path) and len(os.fsencode(path.name)) < 255
        assert not set(taken) & set('/\\:\0<>|"?*') and not taken.startswith((".", " "))


@pytest.mark.parametrize("name", EVIL)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a file; rename it in the source"):
        feature_sets.safe_name(name)


@pytest.mark.parametrize("name", RESERVED)
def test_names_that_windows_keeps_for_itself_are_refused_in_exports(name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a file"):
        exports.file_name(name)


@pytest.mark.parametrize("to", [name for name in exports.writable() if name not in ("clips", "cvat")])
def test_exports_of_evil_names_stay_in_their_folder(to: str, tmp_path: Path) -> None:
    entry = [{"label": d.label, "segment": [d.segment.start_s, d.segment.end_s], "score": d.score} for d in SHOTS]
    found = {name: entry for name in (*EVIL, *ODD) if name.strip()}
    (tmp_path / "d.json").write_text(json.dumps({"results": {name.strip(): e for name, e in found.items()}}))
    out = tmp_path / "a" / "b" / "out"
    module = exports.load(to, "export")
    report = export_detections(
        tmp_path / "d.json",
        to,
        out if module.LAYOUT.per_video else out / "all.txt",
        exports.ExportOptions(fps=25),  # type: ignore[arg-type]
    )
    assert all(path.parent == out for path in report.files)
    assert {Path(path).parts[:3] for path in tree(tmp_path)} == {("d.json",), ("a", "b", "out")}
    if module.LAYOUT.per_video:
        assert {"../x", "/x", "C:\\x", ".."} <= set(report.failures) and "-rf" not in report.failures


def test_features_of_evil_names_are_not_imported(tmp_path: Path) -> None:
    """A stranger's joint file says what its videos are called."""
    folder = tmp_path / "set" / "X-Annotations"
    folder.mkdir(parents=True)
    told = [name for name in EVIL if "\ud800" not in name] + ["-rf", "good"]
    rows = [np.ones((3, 4), np.float32)] * len(told)
    pickled.save(tmp_path / "set" / "X-features.npy", pickled.objects(*rows), 4)
    pickled.save(folder / "videoname.npy", pickled.objects(*told), 4)
    before, out = tree(tmp_path), tmp_path / "a" / "out"
    report = pipeline.import_features(
        "wtalc", tmp_path / "set" / "X-features.npy", out, ImportOptions(), cache=Cache(tmp_path / "cache")
    )
    assert set(report.shards) == {"-rf", "good"}
    kept = {path for path in tree(tmp_path) - before if not path.startswith("cache")}
    assert {Path(path).parent.as_posix() for path in kept} == {"a/out"}


def test_videos_whose_name_is_a_folders_are_refused(tmp_path: Path) -> None:
    for name in ("..mp4", "...mp4"):
        (tmp_path / name).touch()
        with pytest.raises(InputError, match=r"its name without '.mp4' is that of a folder; rename it$"):
            find_videos([tmp_path / name])


def test_a_video_whose_name_leaves_no_room_for_a_suffix_fails_alone(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    clips.write(folder / "good.mp4", range(20))
    (folder / f"{'x' * 251}.mp4").write_bytes((folder / "good.mp4").read_bytes())
    done = pipeline.extract(
        folder, tmp_path / "out", small("extract.streams=[rgb]", "runtime.isolate=none"), cache=Cache(tmp_path / "c")
    )
    assert set(done.shards) == {"good"}
    assert [len(reason.splitlines()) for reason in done.failures.values()] == [1]


def some_features() -> Features:
    return Features({"rgb": np.ones((2, 3), np.float32)}, SnippetGrid(2), 2.0)


def test_a_link_in_the_place_of_an_output_is_replaced_and_not_followed(tmp_path: Path) -> None:
    mine, out = tmp_path / "mine", tmp_path / "out"
    mine.write_text("mine")
    out.mkdir()
    for name, write in (
        ("v.safetensors", lambda path: shards.write(path, some_features(), "key")),
        ("d.json", lambda path: write_atomic(path, "{}")),
    ):
        (out / name).symlink_to(mine)
        write(out / name)
        assert mine.read_text() == "mine" and not (out / name).is_symlink()


def test_a_link_in_the_place_of_a_half_output_is_not_followed(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / f".v.{os.getpid()}.part").symlink_to(mine)
    with atomic_path(tmp_path / "v") as aside:
        aside.write_text("new")
    assert (mine.read_text(), (tmp_path / "v").read_text()) == ("mine", "new")
