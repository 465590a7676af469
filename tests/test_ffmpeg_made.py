"""The same frames at the same times as the ffmpeg program with ``-vf fps=``: rates, cuts, turns, codecs."""

from __future__ import annotations

import struct
import subprocess
from fractions import Fraction
from itertools import islice
from pathlib import Path

import clips
import numpy as np
import program
import pytest
from program import LEVELS, PAL, SLOW, assert_same, encoders, ffmpeg, ours, theirs

from extract.video import open_video

pytestmark = pytest.mark.ffmpeg
_program = program.needed  # a fixture that every test uses
NTSC = Fraction(30000, 1001)
RATES = [NTSC, Fraction(24000, 1001), Fraction(50), Fraction(12)]


def indices(path: Path, fps: Fraction, with_sound: bool = False) -> list[tuple[int, int]]:
    """Return the slots and the frames that both show."""
    found, expected = list(ours(path, fps)), list(theirs(path, fps, with_sound=with_sound))
    shown = [(slot, clips.index_of(rgb)) for slot, rgb in found]
    assert shown == [(slot, clips.index_of(rgb)) for slot, rgb in expected]
    assert [rgb.shape for _, rgb in found] == [rgb.shape for _, rgb in expected]
    return shown


@pytest.mark.parametrize(("rate", "suffix"), [*((r, "mp4") for r in RATES), (NTSC, "mkv"), (NTSC, "avi"), (NTSC, "ts")])
def test_rates(tmp_path: Path, rate: Fraction, suffix: str) -> None:
    path = clips.write(tmp_path / f"a.{suffix}", range(61), 1 / rate)
    for fps in (PAL, SLOW):
        assert len({index for _, index in indices(path, fps)}) >= min(61, int(60 / rate * fps))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_variable_rate(tmp_path: Path, suffix: str) -> None:
    ms = np.cumsum(np.random.default_rng(5).integers(5, 120, 80))
    path = clips.write(tmp_path / f"a.{suffix}", [int(t) for t in ms - ms[0]], Fraction(1, 1000))
    for fps in (PAL, SLOW):
        found, expected = list(ours(path, fps)), list(theirs(path, fps))
        assert len(found) - len(expected) in {0, 1, 2, 3}  # how long the last frame lasts is a guess
        assert assert_same(iter(found[: len(expected)]), iter(expected), LEVELS) >= 3 * fps


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "mpg"])
def test_a_start_that_is_not_zero(tmp_path: Path, suffix: str) -> None:
    codec = "mpeg2video" if suffix == "mpg" else clips.CODEC
    shown = indices(clips.write(tmp_path / f"a.{suffix}", range(13, 50), codec=codec), PAL)
    assert [index for _, index in shown] == list(range(37))


def test_pictures_that_begin_after_the_sound(tmp_path: Path) -> None:
    plain = clips.write(tmp_path / "plain.mp4", range(30))
    silence = ["-t", "3", "-f", "lavfi", "-i", "anullsrc=r=16000"]
    for suffix, sound in (("mp4", "aac"), ("mkv", "pcm_s16le"), ("ts", "mp2")):
        path = tmp_path / f"late.{suffix}"
        ffmpeg(*silence, "-itsoffset", "1.48", "-i", plain, "-c:v", "copy", "-c:a", sound, path)
        shown = indices(path, PAL, with_sound=True)
        assert [index for _, index in shown] == list(range(30))
        assert shown[0][0] in {37, 38}  # MPEG audio begins one of its frames before 0


CUTS = [("mp4", []), ("mov", []), ("mkv", []), ("mp4", ["-movflags", "frag_keyframe+empty_moov"])]


@pytest.mark.parametrize(("suffix", "options"), CUTS)
def test_cut_and_fragmented_files(tmp_path: Path, suffix: str, options: list[str]) -> None:
    """Cutting without encoding leaves frames before the cut in the file, for an edit list to hide."""
    plain = clips.write(tmp_path / "plain.mp4", range(100))
    ffmpeg("-ss", "0.7", "-i", plain, "-c", "copy", *options, tmp_path / f"cut.{suffix}")
    shown = indices(tmp_path / f"cut.{suffix}", PAL)
    assert shown[-1][1] == 99


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation(tmp_path: Path, rotation: int) -> None:
    path = clips.write(tmp_path / "a.mov", range(3), rotation=rotation, size=(64, 48))
    assert assert_same(ours(path, PAL), theirs(path, PAL), LEVELS) == 3


@pytest.mark.parametrize("matrix", [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)], ids=str)
def test_mirroring(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    path = clips.write(tmp_path / "a.mov", range(3), rotation=90, size=(64, 48))
    path.write_bytes(path.read_bytes().replace(_matrix(0, 1, -1, 0), _matrix(*matrix)))
    assert open_video(path, PAL, 64).info.mirrored
    assert assert_same(ours(path, PAL), theirs(path, PAL), LEVELS) == 3


def _matrix(a: int, b: int, c: int, d: int) -> bytes:
    """Return the first two rows of a track's matrix (ISO 14496-12, section 8.3.2: 16.16 fixed point)."""
    return struct.pack(">6i", *(value << 16 for value in (a, b, 0, c, d, 0)))


@pytest.mark.parametrize("size", [(161, 120), (160, 121), (161, 121), (66, 50)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    for pix_fmt in ("yuv420p", "yuv444p", "yuv420p10le"):
        path = clips.write(tmp_path / f"{pix_fmt}.mkv", range(3), size=size, pix_fmt=pix_fmt, codec="ffv1")
        assert assert_same(ours(path, PAL), theirs(path, PAL), 0) == 3


CODECS = [
    ("libx265", "mp4", []),
    ("libvpx-vp9", "webm", ["-deadline", "realtime", "-cpu-used", "8"]),
    ("libvpx", "webm", ["-deadline", "realtime", "-cpu-used", "8"]),
    ("libsvtav1", "mp4", ["-preset", "12"]),
    ("mpeg1video", "mpg", []),
    ("mpeg2video", "mpg", ["-bf", "2"]),
    ("mpeg2video", "ts", ["-bf", "2"]),
    ("mpeg4", "avi", ["-bf", "2"]),
    ("libx264", "avi", ["-bf", "3"]),
    ("libx264", "flv", ["-bf", "3"]),
    ("libx264", "3gp", ["-bf", "3"]),
    ("wmv2", "wmv", []),
    ("flv", "flv", []),
    ("mjpeg", "avi", []),
    ("libtheora", "ogv", []),
    ("prores", "mov", []),
]


@pytest.mark.parametrize(("codec", "suffix", "options"), CODECS)
def test_codecs(tmp_path: Path, codec: str, suffix: str, options: list[str]) -> None:
    if codec not in encoders():
        pytest.skip(f"this ffmpeg has no encoder {codec}")
    plain, path = clips.write(tmp_path / "plain.mp4", range(50)), tmp_path / f"a.{suffix}"
    try:
        ffmpeg("-i", plain, "-c:v", codec, "-b:v", "2M", *options, path)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this ffmpeg cannot write {codec} in .{suffix}: {error.stderr!r}")
    shown = indices(path, SLOW)
    assert len({index for _, index in shown}) >= 50 * SLOW / PAL - 1
    assert assert_same(islice(ours(path, PAL), 12), islice(theirs(path, PAL), 12), LEVELS) == 12
