"""One contract over all decoders, and their registry."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import clips
import numpy as np
import pytest

from extract import decoders
from extract.decoders._base import Decoder, Tally
from tal.errors import BackendError, ConfigError, InputError, VideoError

USABLE = [name for name, reason in decoders.available().items() if reason is None]
VFR_MS = [0, 40, 50, 170, 171, 400, 1400, 1433, 1466]


@pytest.fixture(params=USABLE)
def decoder(request: pytest.FixtureRequest) -> Decoder:
    return decoders.load(request.param)


@pytest.fixture
def pyav() -> Decoder:
    return decoders.load("pyav")


def shown(decoder: Decoder, path: Path) -> list[tuple[int, Fraction]]:
    return [(clips.index_of(frame.rgb()), frame.time_s) for frame in decoder.frames(path)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "mov"])
def test_frames_come_in_order_at_their_exact_times(decoder: Decoder, tmp_path: Path, suffix: str) -> None:
    # AVI has no presentation timestamps, so no frames that are stored out of order.
    codec = "mpeg4" if suffix == "avi" else clips.CODEC
    path = clips.write(tmp_path / f"a.{suffix}", range(30), codec=codec)
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


def test_probe_tells_what_the_file_claims(decoder: Decoder, tmp_path: Path) -> None:
    info = decoder.probe(clips.write(tmp_path / "a.mp4", range(50)))
    assert (info.path, info.width, info.height, info.rotation) == (tmp_path / "a.mp4", 160, 120, 0)
    assert (info.fps, info.n_frames, info.start_s, info.duration_s) == (25, 50, 0, 2)
    assert "mp4" in info.container
    assert info.codec == {"libx264": "h264"}.get(clips.CODEC, clips.CODEC)


@pytest.mark.parametrize("size", [(161, 121), (121, 161), (34, 50)])
def test_odd_sizes(decoder: Decoder, tmp_path: Path, size: tuple[int, int]) -> None:
    codec, pix_fmt = ("libx264", "yuv444p") if clips.CODEC == "libx264" else ("ffv1", "bgr0")
    path = clips.write(tmp_path / "a.mkv", range(5), size=size, codec=codec, pix_fmt=pix_fmt)
    pictures = [frame.rgb() for frame in decoder.frames(path)]
    assert {(picture.shape, picture.dtype) for picture in pictures} == {((size[1], size[0], 3), np.dtype(np.uint8))}
    assert [clips.index_of(picture) for picture in pictures] == [0, 1, 2, 3, 4]


def test_channels_are_red_green_blue(decoder: Decoder, tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", range(3))
    rgb = next(iter(decoder.frames(path))).rgb().astype(int)
    assert np.abs(rgb[90, 40] - [255, 0, 0]).max() < 12
    assert np.abs(rgb[90, 120] - [0, 0, 255]).max() < 12
    assert np.abs(rgb[30, 8]).max() < 12


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_applied(decoder: Decoder, tmp_path: Path, rotation: int) -> None:
    path = clips.write(tmp_path / "a.mp4", range(6), rotation=rotation)
    info = decoder.probe(path)
    assert info.rotation == rotation
    assert (info.width, info.height) == ((160, 120) if rotation == 180 else (120, 160))
    for index, frame in enumerate(decoder.frames(path)):
        rgb = frame.rgb()
        assert rgb.shape == (info.height, info.width, 3)
        stored = np.rot90(rgb, rotation // 90)  # counter-clockwise, back to how it lies in the file
        assert np.abs(stored.astype(int) - clips.picture(index)).mean() < 6


def test_one_frame(decoder: Decoder, tmp_path: Path) -> None:
    assert shown(decoder, clips.write(tmp_path / "a.mp4", [0])) == [(0, Fraction(0))]


def test_decoded_frames_are_counted(decoder: Decoder, tmp_path: Path) -> None:
    tally = Tally()
    path = clips.write(tmp_path / "a.mp4", range(21))
    for n_seen, _ in enumerate(decoder.frames(path, tally), start=1):
        assert tally.n_decoded >= n_seen
    assert tally == Tally(n_decoded=21, n_bad_packets=0)


def test_a_picture_outlives_its_reader(decoder: Decoder, tmp_path: Path) -> None:
    frames = list(decoder.frames(clips.write(tmp_path / "a.mp4", range(20))))
    assert [clips.index_of(frame.rgb()) for frame in frames] == list(range(20))


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
    for read in (decoder.probe, lambda path: next(iter(decoder.frames(path)))):
        with pytest.raises(expected) as caught:
            read(path)
        assert str(caught.value) == f"{path}: {message}"


def test_closing_the_frames_closes_the_file(pyav: Decoder, tmp_path: Path) -> None:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("counts open files through /proc")
    path = clips.write(tmp_path / "a.mp4", range(20))

    def is_open() -> bool:
        return any(os.path.realpath(fd) == str(path.resolve()) for fd in Path("/proc/self/fd").iterdir())

    frames = pyav.frames(path)
    next(frames)
    assert is_open()
    frames.close()  # type: ignore[attr-defined]
    assert not is_open()
    pyav.probe(path)
    assert not is_open()


def plant(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """Add a decoder of one file, 'planted'."""
    (folder / "planted.py").write_text(f"def missing():\n    return None\n\n\n{source}")
    monkeypatch.setattr(decoders, "__path__", [*decoders.__path__, str(folder)])
    monkeypatch.setitem(sys.modules, "extract.decoders.planted", None)  # undone at the end, whatever is loaded
    monkeypatch.delitem(sys.modules, "extract.decoders.planted")


def test_the_folder_is_the_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"pyav", "decord"} <= set(decoders.available())
    assert decoders.load("auto").name == "pyav"
    plant(tmp_path, monkeypatch, "class Backend:\n    name = 'planted'\n")
    assert decoders.available()["planted"] is None
    assert decoders.load("planted").name == "planted"


def test_unknown_decoder() -> None:
    with pytest.raises(ConfigError, match=r"^unknown decoder 'decrod'; did you mean 'decord'\?$"):
        decoders.load("decrod")


def test_decoder_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extract.decoders._base.find_spec", lambda name: None)
    reason = "the Python package 'decord' is not installed"
    assert decoders.available()["decord"] == reason
    with pytest.raises(BackendError, match=f"^decoder 'decord' cannot be used here: {reason}$"):
        decoders.load("decord")


def test_decoder_that_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(
        tmp_path, monkeypatch, "class Backend:\n    def __init__(self):\n        raise OSError('libx.so: not found')\n"
    )
    with pytest.raises(BackendError, match=r"^decoder 'planted' is installed but does not load: libx\.so: not found$"):
        decoders.load("planted")


def test_asking_what_is_available_loads_no_library() -> None:
    code = (
        "import sys, extract.video, extract.decoders as d; d.available(); "
        "print(sorted({'av', 'cv2', 'decord', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.skipif("decord" not in USABLE, reason="needs decord")
@pytest.mark.parametrize(
    "name", ["yoga.mp4", "golfdb_test_video.mp4", "v_BaseballPitch_g01_c01.avi", "max_baseball.mp4"]
)
def test_both_libraries_see_the_same_video(shared: Path, name: str) -> None:
    """max_baseball.mp4 begins inside a group of pictures, behind an edit list."""
    path = shared / "data" / "actions" / "single" / name
    streams = (decoders.load("pyav").frames(path), decoders.load("decord").frames(path))
    for one, other in zip(*streams, strict=True):
        assert one.time_s == other.time_s
        assert np.abs(one.rgb().astype(np.int16) - other.rgb()).mean() < 1
