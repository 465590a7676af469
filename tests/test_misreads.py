"""What OpenCV and decord get wrong by themselves, and that the decoders that use them say so.

Each fact is the reason for a rule in `extract.decoders`; where a newer library no longer shows it, the rule can go.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import clips
import numpy as np
import oddities
import pytest

from extract import decoders
from extract.decoders import pyav
from extract.decoders._base import Tally, TimedFrame
from extract.decoders._beside import EVERY
from tal.errors import VideoError

USABLE = {name for name, reason in decoders.available().items() if reason is None}
BESIDE = sorted(USABLE & {"decord", "opencv"})
needs_decord = pytest.mark.skipif("decord" not in USABLE, reason="needs decord")
needs_opencv = pytest.mark.skipif("opencv" not in USABLE, reason="needs OpenCV")


def decord_alone(path: Path) -> list[np.ndarray]:
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    reader = decord.VideoReader(str(path), num_threads=1)
    return [reader[i].asnumpy() for i in range(len(reader))]


def opencv_alone(path: Path) -> tuple[list[np.ndarray], list[float], int]:
    """Return RGB pictures, times in ms and the claimed number of frames."""
    import cv2

    capture: Any = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    pictures, times_ms = [], []
    while capture.grab():
        times_ms.append(capture.get(cv2.CAP_PROP_POS_MSEC))
        pictures.append(capture.retrieve()[1][..., ::-1])
    n_claimed = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    return pictures, times_ms, n_claimed


def indices(pictures: list[np.ndarray]) -> list[int]:
    return [clips.index_of(picture) for picture in pictures]


def right(path: Path) -> list[np.ndarray]:
    return [frame.rgb() for frame in decoders.load("pyav").frames(path)]


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def refusal(name: str, path: Path) -> str:
    """Return what a decoder says instead of reading a file."""
    with pytest.raises(VideoError) as caught:
        list(decoders.load(name).frames(path))
    message = str(caught.value)
    start, end = f"{path}: {name} ", "; use the decoder 'pyav'"
    assert message.startswith(start)
    assert message.endswith(end)
    return message.removeprefix(start).removesuffix(end)


@needs_decord
def test_decord_alone_loses_the_start_of_a_transport_stream(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.ts", range(30))
    late = [*range(clips.GROUP, 30), *[29] * clips.GROUP]
    assert indices(decord_alone(path)) == late
    assert indices(right(path)) == list(range(30))


@needs_decord
def test_decord_alone_misplaces_pictures_of_a_program_stream(tmp_path: Path) -> None:
    """Where pictures are so large that each has a timestamp."""
    path = oddities.mpeg(tmp_path / "a.mpg", 30, {"qmin": "1", "qmax": "1", "b": "20000000"}, noise=60, size=(320, 240))
    assert indices(decord_alone(path)) == [*range(clips.GROUP, 30), *[29] * clips.GROUP]
    assert indices(right(path)) == list(range(30))


@needs_decord
def test_decord_alone_repeats_a_picture_for_all_that_an_edit_list_cuts_off(tmp_path: Path) -> None:
    path = oddities.cut(clips.write(tmp_path / "a.mp4", range(40)), tmp_path / "cut.mp4", clips.GROUP + 3)
    shown = list(range(clips.GROUP + 3, 40))
    assert indices(decord_alone(path)) == [*shown, 39, 39, 39]
    assert indices(right(path)) == shown


@needs_decord
def test_decord_alone_turns_what_is_mirrored(tmp_path: Path) -> None:
    path = oddities.display(clips.write(tmp_path / "a.mp4", range(3)), oddities.MATRICES["mirrored"])
    stored = clips.picture(0)
    assert difference(decord_alone(path)[0], np.rot90(stored, 2)) < 6
    assert difference(right(path)[0], stored[:, ::-1]) < 6


@needs_opencv
def test_opencv_alone_turns_what_is_mirrored(tmp_path: Path) -> None:
    path = oddities.display(clips.write(tmp_path / "a.mp4", range(3)), oddities.MATRICES["mirrored"])
    stored = clips.picture(0)
    assert difference(opencv_alone(path)[0][0], np.rot90(stored, 2)) < 6
    assert difference(next(iter(decoders.load("opencv").frames(path))).rgb(), stored[:, ::-1]) < 6


@needs_opencv
def test_opencv_alone_leaves_interlaced_pictures_unset(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = oddities.mpeg(tmp_path / "a.mkv", 3, oddities.INTERLACED)
    pictures, _, _ = opencv_alone(path)
    assert len(pictures) == 3  # it tells no error
    assert difference(pictures[0], right(path)[0]) > 30
    capfd.readouterr()


@needs_opencv
def test_opencv_alone_changes_wide_colours(tmp_path: Path) -> None:
    display_p3 = {"colorspace": 1, "color_range": 1, "color_primaries": 12, "color_trc": 1}
    path = oddities.plain(tmp_path / "a.mkv", (150, 100, 170), **display_p3)
    assert difference(opencv_alone(path)[0][0], right(path)[0]) > 5


@needs_opencv
def test_opencv_alone_counts_time_from_the_first_picture(tmp_path: Path) -> None:
    path = oddities.late(clips.write(tmp_path / "a.mp4", range(12)), tmp_path / "late.mov", Fraction(1))
    assert opencv_alone(path)[1] == pytest.approx([40 * i for i in range(12)])  # a player shows them from 1 s on


@needs_opencv
@pytest.mark.parametrize("suffix, codec", [("mpg", "mpeg2video"), ("ts", clips.CODEC)])
def test_opencv_alone_has_times_that_run_backwards(tmp_path: Path, suffix: str, codec: str) -> None:
    parts = [clips.write(tmp_path / f"{i}.{suffix}", range(20), codec=codec).read_bytes() for i in range(2)]
    (tmp_path / f"a.{suffix}").write_bytes(b"".join(parts))
    times_ms = opencv_alone(tmp_path / f"a.{suffix}")[1]
    assert min(np.diff(times_ms)) < -500
    times_s = [frame.time_s for frame in decoders.load("opencv").frames(tmp_path / f"a.{suffix}")]
    assert min(np.diff(times_s)) >= 0


@needs_opencv
def test_opencv_alone_ends_at_damage_without_a_word(tmp_path: Path) -> None:
    lost = range(2 * clips.GROUP, 3 * clips.GROUP)
    path = clips.lose(clips.write(tmp_path / "a.mp4", range(5 * clips.GROUP)), lost)
    pictures, _, n_claimed = opencv_alone(path)
    n_read = len(pictures)
    assert 0 < n_read <= lost.start
    assert n_claimed == 5 * clips.GROUP
    assert indices(right(path)) == [i for i in range(5 * clips.GROUP) if i not in lost]
    assert refusal("opencv", path) == f"ends after {n_read} frames, where there are more"


@needs_decord
def test_decord_refuses_damage(tmp_path: Path) -> None:
    path = clips.lose(clips.write(tmp_path / "a.mp4", range(5 * clips.GROUP)), range(2 * clips.GROUP, 3 * clips.GROUP))
    assert refusal("decord", path) == "cannot decode it"


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("suffix", ["mkv", "avi"])
@pytest.mark.parametrize("seed", range(4))
def test_damage_is_refused_or_read_as_pyav_reads_it(tmp_path: Path, name: str, suffix: str, seed: int) -> None:
    codec = "mpeg4" if suffix == "avi" else clips.CODEC
    path = clips.write(tmp_path / f"a.{suffix}", range(8 * clips.GROUP), codec=codec)
    clips.damage(path, seed, n_holes=2)
    tallies = Tally(), Tally()
    expected = list(decoders.load("pyav").frames(path, tallies[0]))
    try:
        found = list(decoders.load(name).frames(path, tallies[1]))
    except VideoError as error:
        assert str(error).endswith("; use the decoder 'pyav'")
    else:
        assert [facts(frame) for frame in found] == [facts(frame) for frame in expected]
        assert max(difference(a.rgb(), b.rgb()) for a, b in zip(found, expected, strict=True)) < 1
        assert tallies[0] == tallies[1]


def facts(frame: TimedFrame) -> tuple[object, ...]:
    return frame.time_s, frame.duration_s, frame.after_loss, frame.damaged


@pytest.mark.parametrize("name", BESIDE)
def test_a_change_of_size_is_refused(tmp_path: Path, name: str) -> None:
    """Both scale to the first size in silence."""
    parts = [oddities.mpeg(tmp_path / f"{width}.mkv", 2 * EVERY, size=(width, width * 3 // 4)) for width in (160, 128)]
    path = join(parts, tmp_path / "joined.mkv")
    assert {picture.shape for picture in right(path)} == {(120, 160, 3), (96, 128, 3)}
    assert refusal(name, path).startswith("shows a wrong picture at ")


def join(parts: list[Path], path: Path) -> Path:
    """Copy packets, 25 per second, under the first part's header."""
    with av.open(str(path), "w") as copy:
        target, packets = None, itertools.count()
        for part in parts:
            with av.open(str(part)) as container:
                target = target or copy.add_stream_from_template(container.streams.video[0])
                for packet in container.demux(video=0):
                    if packet.size:
                        packet.pts = packet.dts = next(packets) * 40
                        packet.time_base, packet.stream = Fraction(1, 1000), target
                        copy.mux(packet)
    return path


@needs_opencv
def test_more_frames_than_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, whole = clips.write(tmp_path / "a.mp4", range(9)), pyav.Backend.frames
    monkeypatch.setattr(pyav.Backend, "frames", lambda *args: (frame for frame in itertools.islice(whole(*args), 8)))
    assert refusal("opencv", path) == "gives more frames than there are"


@pytest.mark.parametrize("name", BESIDE)
def test_real_videos_are_read_as_pyav_reads_them(shared: Path, name: str) -> None:
    """max_baseball.mp4 begins inside a group of pictures, behind an edit list."""
    for video in ("v_BaseballPitch_g01_c01.avi", "max_baseball.mp4"):
        path = shared / "data" / "actions" / "single" / video
        for one, other in zip(decoders.load("pyav").frames(path), decoders.load(name).frames(path), strict=True):
            assert facts(one) == facts(other)
            assert difference(one.rgb(), other.rgb()) < 1


@pytest.mark.parametrize("name", BESIDE)
def test_real_videos_that_the_libraries_cannot_decode(shared: Path, name: str) -> None:
    nasty = shared / "data" / "nasty"
    assert refusal(name, nasty / "av1_video.mkv") == "cannot decode it"
    early = {"opencv": "ends after 28 frames, where there are more", "decord": "cannot decode it"}
    assert refusal(name, nasty / "decord_corrupted.mp4") == early[name]
