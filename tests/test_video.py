"""From a file to frames of constant rate and size; finding files."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import clips
import numpy as np
import pytest

from extract.decoders._base import Tally, TimedFrame, VideoInfo
from extract.prefetch import prefetch
from extract.reports import DecodeReport
from extract.video import ResampledVideo, find_videos, open_video, video_name
from tal.errors import ConfigError, InputError, VideoError

PAL = Fraction(25)


def fake_info(path: Path, width: int = 80, height: int = 60) -> VideoInfo:
    tick = Fraction(1, 25)
    return VideoInfo(
        path, "fake", "none", width, height, 0, False, "rgb24", "", "", None, None, tick, Fraction(0), None, None
    )


@dataclass
class FakeDecoder:
    """Gives frames of chosen times and sizes; remembers what was converted and which pictures are alive."""

    times_s: list[Fraction]
    sizes: list[tuple[int, int]] = field(default_factory=lambda: [(80, 60)])
    converted: list[int] = field(default_factory=list)
    alive: weakref.WeakValueDictionary[int, np.ndarray] = field(default_factory=weakref.WeakValueDictionary)
    name: str = "fake"

    def probe(self, path: Path) -> VideoInfo:
        width, height = self.sizes[0]
        return fake_info(path, width, height)

    def frames(self, path: Path, tally: Tally | None = None) -> Iterator[TimedFrame]:
        for index, time_s in enumerate(self.times_s):
            (tally or Tally()).n_decoded += 1
            yield TimedFrame(time_s, Fraction(1, 25), lambda index=index: self._convert(index))

    def _convert(self, index: int) -> np.ndarray:
        self.converted.append(index)
        rgb = clips.picture(index, self.sizes[index % len(self.sizes)])
        self.alive[index] = rgb
        return rgb


def test_a_video_at_its_own_rate_comes_whole(tmp_path: Path) -> None:
    video = open_video(clips.write(tmp_path / "a.mp4", range(40)), PAL, 120)
    frames = list(video)
    assert [clips.index_of(rgb) for rgb in frames] == list(range(40))
    assert {(rgb.shape, rgb.dtype.name) for rgb in frames} == {((120, 160, 3), "uint8")}
    assert (video.decoder, video.fps, video.offset) == ("pyav", PAL, 0)
    assert video.report == DecodeReport(
        n_claimed=40, n_decoded=40, n_bad_packets=0, n_damaged=0, gaps=(), n_frames=40, end_s=1.6
    )
    assert video.report.remark() == ""


def test_rates_are_changed_by_timestamps(tmp_path: Path) -> None:
    video = open_video(clips.write(tmp_path / "a.mp4", range(48), Fraction(1, 24)), PAL, 120)
    assert [clips.index_of(rgb) for rgb in video] == [*range(12), 11, *range(12, 36), 35, *range(36, 48)]
    assert video.report.n_frames == 50
    assert video.report.end_s == 2


def test_variable_rate(tmp_path: Path) -> None:
    """Times in ms are divided by 40 and rounded; each slot shows the last frame that is due."""
    path = clips.write(tmp_path / "a.mkv", [0, 40, 55, 100, 300, 340], Fraction(1, 1000))
    # slots             0  1   1   3 (2.5 rounds up)  8 (7.5)  9 (8.5)
    video = open_video(path, PAL, 120)
    assert [clips.index_of(rgb) for rgb in video][:9] == [0, 2, 2, 3, 3, 3, 3, 3, 4]


def test_the_offset_is_the_first_frames_slot(tmp_path: Path) -> None:
    path = tmp_path / "late.mp4"
    path.touch()
    video = ResampledVideo(FakeDecoder([Fraction(2) + i / PAL for i in range(3)]), path, PAL, 60)
    with pytest.raises(ValueError, match=r"^the offset is known once the first frame has been read$"):
        _ = video.offset
    frames = iter(video)
    next(frames)
    assert video.offset == 50
    with pytest.raises(ValueError, match=r"^the report is known once all frames have been read$"):
        _ = video.report
    assert len(list(frames)) == 2
    assert (video.report.n_frames, video.report.end_s) == (3, 2.12)


def test_reading_again_gives_the_same(tmp_path: Path) -> None:
    video = open_video(clips.write(tmp_path / "a.mp4", range(10)), PAL, 64)
    first, again = ([rgb.tobytes() for rgb in video] for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [
        ((160, 120), 120, (120, 160)),
        ((320, 240), 256, (256, 341)),  # 341.33
        ((240, 320), 256, (341, 256)),
        ((354, 246), 64, (64, 92)),  # 92.098
        ((100, 40), 33, (33, 83)),  # 82.5
        ((100, 100), 64, (64, 64)),
        ((640, 40), 40, (40, 640)),
    ],
)
def test_the_shorter_side_is_scaled(
    size: tuple[int, int], short_side: int, expected: tuple[int, int], tmp_path: Path
) -> None:
    (rgb,) = ResampledVideo(FakeDecoder([Fraction(0)], [size]), tmp_path, PAL, short_side)
    assert rgb.shape == (*expected, 3)
    assert clips.index_of(rgb) == 0


def test_scaling_is_bilinear(tmp_path: Path) -> None:
    """A horizontal ramp sampled at pixel centres stays a ramp: x' -> (x' + 0.5) * W / W' - 0.5."""

    class Ramp(FakeDecoder):
        def _convert(self, index: int) -> np.ndarray:
            return np.broadcast_to(np.arange(0, 240, 4, dtype=np.uint8)[None, :, None], (30, 60, 3)).copy()

    (rgb,) = ResampledVideo(Ramp([Fraction(0)], [(60, 30)]), tmp_path, PAL, 45)
    expected = ((np.arange(90) + 0.5) * 60 / 90 - 0.5).clip(0, 59) * 4
    assert np.abs(rgb - expected[None, :, None]).max() < 0.75  # rounding to 8 bits, fixed-point weights


def test_a_size_that_changes_in_mid_stream_is_scaled_to_the_first(tmp_path: Path) -> None:
    decoder = FakeDecoder([i / PAL for i in range(6)], [(80, 60), (160, 90), (60, 80)])
    frames = list(ResampledVideo(decoder, tmp_path, PAL, 60))
    assert {rgb.shape for rgb in frames} == {(60, 80, 3)}
    assert [clips.index_of(rgb) for rgb in frames] == list(range(6))


def test_only_frames_that_are_shown_are_converted_and_once(tmp_path: Path) -> None:
    at_100_fps = FakeDecoder([Fraction(i, 100) for i in range(101)])
    assert len(list(ResampledVideo(at_100_fps, tmp_path, PAL, 60))) == 26
    # Slots begin at 2 + 4k (halves round up), and each shows its last frame.
    assert at_100_fps.converted == [*range(1, 100, 4), 100]
    at_5_fps = FakeDecoder([Fraction(i, 5) for i in range(4)])
    assert len(list(ResampledVideo(at_5_fps, tmp_path, PAL, 60))) == 16
    assert at_5_fps.converted == [0, 1, 2, 3]


@pytest.mark.parametrize("short_side", [60, 30])
def test_memory_is_bounded(short_side: int, tmp_path: Path) -> None:
    decoder = FakeDecoder([i / PAL for i in range(300)])
    given: weakref.WeakValueDictionary[int, np.ndarray] = weakref.WeakValueDictionary()
    most = 0
    gc.disable()  # what is counted must not wait for the collector of cycles
    try:
        for i, rgb in enumerate(ResampledVideo(decoder, tmp_path, PAL, short_side)):
            given[i] = rgb
            most = max(most, len(decoder.alive), len(given))
    finally:
        gc.enable()
    assert len(decoder.converted) == 300
    assert most <= 2


def test_memory_is_bounded_with_prefetch(tmp_path: Path) -> None:
    decoder = FakeDecoder([i / PAL for i in range(300)])
    most = max(len(decoder.alive) for _ in prefetch(ResampledVideo(decoder, tmp_path, PAL, 60), depth=4))
    assert most <= 4 + 3


def test_prefetched_frames_and_report(tmp_path: Path) -> None:
    video = open_video(clips.write(tmp_path / "a.mp4", range(40)), PAL, 64)
    assert [clips.index_of(rgb) for rgb in prefetch(video, 8)] == list(range(40))
    assert video.report.n_frames == 40


def test_errors_come_when_a_video_is_opened(tmp_path: Path) -> None:
    (tmp_path / "page.mp4").write_text("<html></html>")
    with pytest.raises(VideoError, match=r"page\.mp4: a text file, not a video; check what was downloaded$"):
        open_video(tmp_path / "page.mp4", PAL, 64)
    with pytest.raises(InputError, match=r"none\.mp4: no such file or folder; check the path$"):
        open_video(tmp_path / "none.mp4", PAL, 64)
    with pytest.raises(ConfigError, match=r"^unknown decoder 'pyva'; did you mean 'pyav'\?$"):
        open_video(tmp_path / "page.mp4", PAL, 64, "pyva")


def test_files_are_found_and_sorted_by_name(tmp_path: Path) -> None:
    names = ["b/z.mp4", "b/c/a.MKV", "b/c/readme.txt", "b/.hidden.mp4", "k.avi", "odd.bin"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_videos([tmp_path / "odd.bin", tmp_path / "b", tmp_path / "k.avi"])
    assert [str(path.relative_to(tmp_path)) for path in found] == ["b/c/a.MKV", "k.avi", "odd.bin", "b/z.mp4"]
    assert [video_name(path) for path in found] == ["a", "k", "odd", "z"]
    assert find_videos([tmp_path / "k.avi", tmp_path / "b" / ".." / "k.avi"]) == [tmp_path / "b" / ".." / "k.avi"]


def test_nothing_to_find_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        find_videos([tmp_path])
    assert str(caught.value) == (
        f"{tmp_path}: no video in this folder; looked for .3gp .asf .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg "
        ".mts .ogv .ts .vob .webm .wmv"
    )
    with pytest.raises(InputError) as caught:
        find_videos([tmp_path / "gone"])
    assert str(caught.value) == f"{tmp_path / 'gone'}: no such file or folder; check the path"


def test_videos_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    one, other = tmp_path / "a" / "x.mp4", tmp_path / "x.avi"
    one.touch()
    other.touch()
    with pytest.raises(InputError) as caught:
        find_videos([tmp_path])
    assert str(caught.value) == f"{other} and {one} would share the name 'x'; rename one of them"
