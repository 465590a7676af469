"""Videos below folders: what `pathlib` would find with more looks at each file, in its order."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from extract import finding
from extract.finding import by_place, videos_below
from tal.parsing import VIDEO_SUFFIXES

NAMES = ["a", "a!", "a-b", "b", "c.d"]
ENDS = [".mp4", ".MKV", ".txt", "", ".", ".mp4.part"]
places = st.lists(st.sampled_from([*NAMES, ".hidden", "folder.mp4"]), max_size=2)
files = st.tuples(places, st.sampled_from([*NAMES, ".b", "..b"]), st.sampled_from(ENDS))


def as_pathlib_finds(folder: Path) -> list[Path]:
    """Find the videos below a folder in the plainest way."""
    inside = [file for file in folder.rglob("*") if file.suffix.lower() in VIDEO_SUFFIXES and not file.is_dir()]
    return sorted(file for file in inside if not file.name.startswith("."))


@settings(max_examples=25, deadline=None)
@given(st.lists(files, max_size=12))
@example([(["a"], "b", ".mp4"), ([], "a!", ".mp4"), (["a", "b"], "a", ".mp4"), (["a-b"], "a", ".mp4")])
def test_the_videos_below_a_folder_are_those_that_pathlib_finds_in_its_order(made: list[tuple]) -> None:
    with tempfile.TemporaryDirectory() as name:
        for parts, stem, end in made:
            path = Path(name).joinpath(*parts, f"{stem}{end}")
            with suppress(OSError):  # a file where a folder is to be, or the other way round
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        assert videos_below(Path(name)) == as_pathlib_finds(Path(name))


def test_links_are_followed_to_files_and_not_into_folders(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir(), outside.mkdir()
    (outside / "far.mp4").touch()
    (inside / "to_file.mp4").symlink_to(outside / "far.mp4")
    (inside / "to_folder").symlink_to(outside)
    (inside / "to_folder.mp4").symlink_to(outside)
    (inside / "to_itself.mp4").symlink_to("to_itself.mp4")
    (inside / "to_nothing.mp4").symlink_to("nothing")
    assert [path.name for path in videos_below(inside)] == ["to_file.mp4", "to_itself.mp4", "to_nothing.mp4"]


def test_a_folder_that_goes_while_others_are_searched_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.mp4").touch()
    scandir = os.scandir

    def gone(folder: str) -> object:
        if Path(folder).name == "b":
            raise FileNotFoundError(folder)
        return scandir(folder)

    monkeypatch.setattr(finding.os, "scandir", gone)
    assert [path.name for path in videos_below(tmp_path)] == ["a.mp4"]


def test_files_are_known_by_their_real_paths_however_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    for name in ("real/a.mp4", "real/deep/b.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("real/deep")
    (tmp_path / "c.mp4").symlink_to("link/b.mp4")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    monkeypatch.chdir(tmp_path)
    named = ["real/a.mp4", "link/../a.mp4", "link/b.mp4", "c.mp4", "loop.mp4", "real/none.mp4", "real/deep/..", "."]
    videos = [*map(Path, named), *(tmp_path / name for name in named)]
    assert by_place(videos) == {os.path.realpath(video): video for video in videos}
    assert len(by_place(videos)) == 6  # a, b, the loop, what is not there, two folders
