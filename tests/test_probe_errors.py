"""`tal probe` of what cannot be used, and wrong options: one line each, the others still shown, stable statuses."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import clips
import pytest
from probed import listed, run

from tal.errors import BackendError
from tal.pipeline import probe

CODEC = "h264" if clips.CODEC == "libx264" else clips.CODEC


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.write(tmp_path_factory.mktemp("good") / "good.mp4", range(30))


def make_unusable(folder: Path) -> dict[str, str]:
    """Make files that are no videos; return what is said of each."""
    (folder / "folder").mkdir()
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("this is no video\n" * 20)
    (folder / "pointer.mp4").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    (folder / "noise.mp4").write_bytes(bytes(range(256)) * 40)
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "dangling.mp4").symlink_to("nowhere.mp4")
    os.mkfifo(folder / "pipe.mp4")
    clips.write_audio(folder / "sound.mp4")
    return {
        "none.mp4": "no such file or folder",
        "folder": "no video in this folder",
        "empty.mp4": "empty file (0 bytes)",
        "text.mp4": "a text file",
        "pointer.mp4": "git lfs pull",
        "noise.mp4": "not a video that can be read",
        "loop.mp4": "symbolic link",
        "dangling.mp4": "no such file or folder",
        "pipe.mp4": "not a regular file",
        "sound.mp4": "no video stream in it (only audio)",
    }


def test_what_cannot_be_used_gets_one_line_each_and_the_others_are_shown(good: Path, tmp_path: Path) -> None:
    expected = make_unusable(tmp_path)
    shutil.copy(good, tmp_path / "good.mp4")
    done = run(*expected, "good.mp4", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr == "tal: 10 of 11 videos cannot be used\n"
    head, row, title, *lines = done.stdout.splitlines()
    assert head.split() == ["video", "size", "codec", "fps", "frames", "seconds", "remarks"]
    assert row.split() == ["good.mp4", "160x120", CODEC, "25", "30", "1.20"]
    assert title == "cannot be used:"
    for line, (name, reason) in zip(lines, expected.items(), strict=True):
        assert line.startswith(f"  {name}: ") and reason in line
    found = listed(*expected, "good.mp4", cwd=tmp_path, status=1)
    assert [entry["path"] for entry in found] == [*expected, "good.mp4"]
    assert all(reason in entry["error"] for entry, reason in zip(found, expected.values(), strict=False))
    assert found[-1]["error"] is None


def test_a_single_file_that_cannot_be_used_is_one_line_on_stderr(tmp_path: Path) -> None:
    for name, reason in make_unusable(tmp_path).items():
        done = run(name, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert done.stderr.startswith(f"tal: {name}: ") and reason in done.stderr


def test_folders_are_searched_and_no_file_is_looked_at_twice_or_forgotten(good: Path, tmp_path: Path) -> None:
    for folder in ("b", "a"):
        (tmp_path / folder).mkdir()
        shutil.copy(good, tmp_path / folder / "twin.mp4")  # one name in two folders is fine here
    (tmp_path / "a" / "link.mov").symlink_to("twin.mp4")
    (tmp_path / "a" / "gone.mov").symlink_to("nowhere")
    (tmp_path / "a" / ".hidden.mp4").touch()
    (tmp_path / "a" / "notes.txt").touch()
    found = listed("b/twin.mp4", ".", cwd=tmp_path, status=1)
    assert [entry["path"] for entry in found] == ["b/twin.mp4", "a/gone.mov", "a/link.mov"]
    assert "no such file" in found[1]["error"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--decoder", "pyaw"], "unknown decoder 'pyaw'; did you mean 'pyav'?"),
        (["--max-gap", "-1"], "the longest gap must be 0 seconds or more, not -1"),
        (["--max-gap", "nan"], "the longest gap must be 0 seconds or more, not nan"),
        (["--max-gap", "inf"], "the longest gap must be 0 seconds or more, not inf"),
        (["--max-gap", "long"], "Invalid value for '--max-gap'"),
        (["--ful"], "No such option"),
    ],
)
def test_a_wrong_option_ends_with_status_2(good: Path, arguments: list[str], message: str) -> None:
    done = run(good, *arguments, cwd=good.parent)
    assert (done.returncode, done.stdout) == (2, "") and message in done.stderr
    assert run(cwd=good.parent).returncode == 2


def test_a_decoder_that_is_not_there_is_told_once_and_not_per_video(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extract.decoders.pyav.missing", lambda: "the Python package 'av' is not installed")
    with pytest.raises(BackendError, match="'av' is not installed"):
        probe([good, good], decoder="pyav")
