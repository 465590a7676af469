"""One contract over all decoders that this machine can use: order and times, what is counted, files of any kind."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import clips
import decoding
import numpy as np
import oddities
import pytest
from decoding import CODECS, refuses, shown

from extract.decoders._base import Decoder, Tally
from tal.errors import InputError, VideoError

decoder = decoding.decoder  # a fixture
VFR_MS = [0, 40, 50, 170, 171, 400, 1400, 1433, 1466]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "avi", "flv", "wmv", "ts", "mpg", "gif"])
def test_frames_come_in_order_at_their_exact_times(decoder: Decoder, tmp_path: Path, suffix: str) -> None:
    pix_fmt = "rgb8" if suffix == "gif" else "yuv420p"
    path = clips.write(tmp_path / f"a.{suffix}", range(30), codec=CODECS.get(suffix, clips.CODEC), pix_fmt=pix_fmt)
    if not refuses(decoder, path, suffix):
        assert shown(decoder, path) == [(i, Fraction(i, 25)) for i in range(30)]


def test_ntsc_times_are_exact(decoder: Decoder, tmp_path: Path) -> None:
    base = Fraction(1001, 30000)
    path = clips.write(tmp_path / "a.mp4", range(40), base)
    assert [frame.time_s for frame in decoder.frames(path)] == [i * base for i in range(40)]
    assert {frame.duration_s for frame in decoder.frames(path)} == {base}
    assert decoder.probe(path).fps == 1 / base


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_variable_frame_rate_keeps_its_times(decoder: Decoder, tmp_path: Path, suffix: str) -> None:
    path = clips.write(tmp_path / f"a.{suffix}", VFR_MS, Fraction(1, 1000))
    assert shown(decoder, path) == [(i, Fraction(ms, 1000)) for i, ms in enumerate(VFR_MS)]


def test_time_zero_is_the_container_start(decoder: Decoder, tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mkv", [1500 + 40 * i for i in range(12)], Fraction(1, 1000))
    assert shown(decoder, path) == [(i, Fraction(i, 25)) for i in range(12)]
    assert decoder.probe(path).start_s == 0


@pytest.mark.parametrize("suffix", ["mov", "mkv"])
def test_pictures_that_begin_late_keep_their_times(decoder: Decoder, tmp_path: Path, suffix: str) -> None:
    path = oddities.late(clips.write(tmp_path / "a.mp4", range(12)), tmp_path / f"late.{suffix}", Fraction(1))
    assert decoder.probe(path).start_s == 1
    assert shown(decoder, path) == [(i, 1 + Fraction(i, 25)) for i in range(12)]


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_what_an_edit_list_cuts_off_is_not_shown(decoder: Decoder, tmp_path: Path, suffix: str) -> None:
    first, n_frames = clips.GROUP + 3, 40
    path = oddities.cut(clips.write(tmp_path / "a.mp4", range(n_frames)), tmp_path / f"cut.{suffix}", first)
    assert decoder.probe(path).n_frames == n_frames - clips.GROUP  # three more than are to be shown
    assert shown(decoder, path) == [(i, Fraction(i - first, 25)) for i in range(first, n_frames)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_one_frame(decoder: Decoder, tmp_path: Path, suffix: str) -> None:
    path = clips.write(tmp_path / f"a.{suffix}", [0], codec=CODECS.get(suffix, clips.CODEC))
    assert shown(decoder, path) == [(0, Fraction(0))]


def test_times_never_decrease_in_real_videos(decoder: Decoder, shared: Path) -> None:
    for path in sorted((shared / "data" / "actions" / "single").glob("*.avi")):
        times = [frame.time_s for frame in decoder.frames(path)]
        assert all(a <= b for a, b in pairwise(times))
        assert len(times) >= (decoder.probe(path).n_frames or 0) - 1


def test_probe_tells_what_the_file_claims(decoder: Decoder, tmp_path: Path) -> None:
    info = decoder.probe(clips.write(tmp_path / "a.mp4", range(50)))
    assert (info.path, info.width, info.height, info.rotation) == (tmp_path / "a.mp4", 160, 120, 0)
    assert (info.fps, info.n_frames, info.start_s, info.duration_s) == (25, 50, 0, 2)
    assert "mp4" in info.container
    assert info.codec == {"libx264": "h264"}.get(clips.CODEC, clips.CODEC)


def test_decoded_frames_are_counted(decoder: Decoder, tmp_path: Path) -> None:
    tally = Tally()
    path = clips.write(tmp_path / "a.mp4", range(21))
    for n_seen, _ in enumerate(decoder.frames(path, tally), start=1):
        assert tally.n_decoded >= n_seen
    assert tally == Tally(n_decoded=21, n_bad_packets=0)


@pytest.mark.parametrize("name", ["concat:a.mp4", "50%d #1?.mp4", "añ 视频.mp4", os.fsdecode(b"latin-\xe9.mp4")])
def test_any_file_name(decoder: Decoder, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = clips.write(tmp_path / "plain.mp4", range(3)).read_bytes()
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    if name.isprintable() or not refuses(decoder, Path(name), "name"):
        assert [index for index, _ in shown(decoder, Path(name))] == [0, 1, 2]


def _refused(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    paths = {name: tmp_path / f"{name}.mp4" for name in ("missing", "folder", "empty", "text", "lfs", "cut", "noise")}
    paths["folder"].mkdir()
    paths["empty"].touch()
    paths["text"].write_text("<html>\n\t<title>404 Not Found</title>\n</html>\n")
    paths["lfs"].write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    whole = clips.write(tmp_path / "whole.mp4", range(20)).read_bytes()
    paths["cut"].write_bytes(whole[: whole.find(b"moov") - 100])
    paths["noise"].write_bytes(np.random.default_rng(0).bytes(5000))
    paths["audio"] = clips.write_audio(tmp_path / "audio.mp4")
    messages = {
        "missing": "no such file or folder; check the path",
        "folder": "a folder; name a video file",
        "empty": "empty file (0 bytes); copy or download it again",
        "text": "a text file, not a video; check what was downloaded",
        "lfs": "a Git LFS pointer, not the video itself; run 'git lfs pull'",
        "cut": "cut short or damaged, its index cannot be read; copy or download it again",
        "noise": "not a video that can be read (Invalid data found when processing input); "
        "check that it plays elsewhere",
        "audio": "no video stream in it (only audio); name a file with pictures",
    }
    return {name: (paths[name], text) for name, text in messages.items()}


@pytest.mark.parametrize("case", ["missing", "folder", "empty", "text", "lfs", "cut", "noise", "audio"])
def test_what_is_no_video_is_refused_in_one_line(decoder: Decoder, tmp_path: Path, case: str) -> None:
    path, message = _refused(tmp_path)[case]
    expected = InputError if case == "missing" else VideoError
    reads: list[Callable[[Path], object]] = [decoder.probe, lambda path: next(iter(decoder.frames(path)))]
    for read in reads:
        with pytest.raises(expected) as caught:
            read(path)
        assert str(caught.value) == f"{path}: {message}"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files through /proc")
def test_closing_the_frames_closes_the_file(decoder: Decoder, tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", range(60))

    def is_open() -> bool:
        return any(os.path.realpath(fd) == str(path.resolve()) for fd in Path("/proc/self/fd").iterdir())

    frames = decoder.frames(path)
    next(frames)
    assert is_open()
    frames.close()  # type: ignore[attr-defined]
    assert not is_open()
    decoder.probe(path)
    assert not is_open()
