"""Clips hold what was asked for: these pictures, this long, with their sound and their turn."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import clips
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from program import need_ffmpeg

from extract.clips import Clip, cut, probe
from tal.errors import StorageError, VideoError
from tal.exports import ExportOptions
from tal.pipeline import export_detections
from tal.results import Results
from tal.types import Detection, Segment

FRAME = 1 / 25
RATE = 16_000
CLICK_S = 1.5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of 100 frames, 4 s, with a key frame every 12."""
    made = tmp_path_factory.mktemp("videos")
    clips.write(made / "plain.mp4", range(100))
    clips.write(made / "plain.mkv", range(100))
    clips.write(made / "turned.mp4", range(100), rotation=90)
    clips.write(made / "uneven.mkv", [i + i // 10 for i in range(100)])
    clips.write(made / "odd.avi", range(60), size=(164, 122), codec="mpeg4")
    with_sound(made / "plain.mp4", made / "sound.mp4")
    with_sound(made / "plain.mp4", made / "late.ts", Fraction(7))
    return made


def with_sound(source: Path, target: Path, delay_s: Fraction = Fraction(0)) -> None:
    """Add 4 s of silence with a click at `CLICK_S`; `delay_s` is what the clock shows at the start."""
    samples = np.zeros(4 * RATE, np.float32)
    at = int(CLICK_S * RATE)
    samples[at : at + 80] = 0.9
    with av.open(str(source)) as given_, av.open(str(target), "w") as made:
        pictures = made.add_stream_from_template(given_.streams.video[0])
        sound: Any = made.add_stream("aac", rate=RATE, layout="mono")
        for packet in given_.demux(video=0):
            if packet.size:
                packet.pts += round(delay_s / packet.time_base)
                packet.dts += round(delay_s / packet.time_base)
                packet.stream = pictures
                made.mux(packet)
        for start in range(0, len(samples) - 1023, 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start + int(delay_s * RATE), Fraction(1, RATE)
            made.mux(sound.encode(frame))
        made.mux(sound.encode(None))


def frames(path: Path) -> list[tuple[float, int]]:
    """Return time and index of each picture, as decoded, times from the container's start."""
    with av.open(str(path)) as container:
        zero_s = (container.start_time or 0) / 1e6
        return [
            (round(frame.time - zero_s, 6), clips.index_of(frame.to_ndarray(format="rgb24")))
            for frame in container.decode(video=0)
        ]


def length_s(path: Path) -> float:
    with av.open(str(path)) as container:
        return (container.duration or 0) / 1e6


def click_s(path: Path) -> float:
    """Return when the sound is loudest."""
    with av.open(str(path)) as container:
        zero_s = (container.start_time or 0) / 1e6
        heard = [(f.time - zero_s, f.to_ndarray()[0], f.sample_rate) for f in container.decode(audio=0)]
    time_s, samples, rate = max(heard, key=lambda one: float(np.abs(one[1]).max()))
    return time_s + int(np.abs(samples).argmax()) / rate


def clip(source: Path, start_s: float, end_s: float, folder: Path, how: Any = "exact") -> Clip:
    return cut(probe(source), folder / "clip", Segment(start_s, end_s), how)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(start_ms=st.integers(0, 3500), length_ms=st.integers(40, 1500))
def test_exact_clips_show_every_moment_of_the_video(
    folder: Path, tmp_path: Path, start_ms: int, length_ms: int
) -> None:
    start_s, end_s = start_ms / 1000, min(start_ms + length_ms, 4000) / 1000
    made = clip(folder / "plain.mp4", start_s, end_s, tmp_path)
    assert not made.copied and made.segment == Segment(start_s, pytest.approx(end_s))
    assert length_s(made.path) == pytest.approx(end_s - start_s, abs=1e-3)
    first, last = int(start_s / FRAME + 1e-6), int(np.ceil(end_s / FRAME - 1e-6)) - 1
    shown = frames(made.path)
    assert [index for _, index in shown] == list(range(first, last + 1))
    assert [time for time, _ in shown] == pytest.approx([max(i * FRAME - start_s, 0) for _, i in shown], abs=1e-3)


def test_copies_begin_with_the_key_frame_before(folder: Path, tmp_path: Path) -> None:
    for name in ("plain.mp4", "plain.mkv", "sound.mp4"):
        made = clip(folder / name, 1.3, 2.0, tmp_path, "copy")
        assert made.copied and made.path == tmp_path / f"clip{Path(name).suffix}"
        shown = [index for _, index in frames(made.path)]
        assert shown == list(range(24, shown[-1] + 1)) and 49 <= shown[-1] <= 49 + 3  # as many as are reordered
        assert made.segment.start_s == pytest.approx(0.96, abs=2e-3)
        assert made.segment.end_s == pytest.approx((shown[-1] + 1) * FRAME, abs=2e-3)
        assert length_s(made.path) == pytest.approx(made.segment.duration_s, abs=0.07)  # sound has whole packets


def test_auto_copies_where_a_key_frame_is_near(folder: Path, tmp_path: Path) -> None:
    assert [clip(folder / "plain.mp4", s, 2.5, tmp_path, "auto").copied for s in (0.0, 0.93, 0.96, 1.05, 1.2)] == [
        *(True, True, True, True, False)
    ]
    near = clip(folder / "plain.mp4", 0.93, 2.5, tmp_path, "auto")
    assert near.segment.start_s == pytest.approx(0.96) and frames(near.path)[0] == (0.0, 24)


@pytest.mark.parametrize("how", ["exact", "copy"])
def test_turned_videos_stay_turned(folder: Path, tmp_path: Path, how: str) -> None:
    info = probe(clip(folder / "turned.mp4", 1.0, 2.0, tmp_path, how).path)
    assert (info.rotation, info.width, info.height) == (90, 120, 160)


@pytest.mark.parametrize("how", ["exact", "copy"])
@pytest.mark.parametrize("name", ["sound.mp4", "late.ts"])
def test_sound_stays_with_the_pictures(folder: Path, tmp_path: Path, name: str, how: str) -> None:
    reference = click_s(folder / name)
    made = clip(folder / name, 1.0, 2.0, tmp_path, how)
    assert reference - click_s(made.path) == pytest.approx(made.segment.start_s, abs=0.02)
    if how == "exact":
        assert length_s(made.path) == pytest.approx(1.0, abs=0.03)
        begins = [index for time, index in frames(folder / name) if time <= 1.0 + 1e-6][-1]
        assert frames(made.path)[0] == (0.0, begins)


def test_uneven_times_are_kept(folder: Path, tmp_path: Path) -> None:
    made = clip(folder / "uneven.mkv", 0.3, 1.0, tmp_path)  # frame 10 comes at 0.44 s, not at 0.4
    assert {index: time for time, index in frames(made.path)}[10] == pytest.approx(0.14, abs=2e-3)
    assert length_s(made.path) == pytest.approx(0.7, abs=2e-3)


def test_sizes_lose_no_more_than_a_line(folder: Path, tmp_path: Path) -> None:
    info = probe(clip(folder / "odd.avi", 0.5, 1.0, tmp_path).path)
    assert (info.container.split(",")[0], info.codec, info.width, info.height) == ("mov", "h264", 164, 122)


def test_times_that_are_not_in_the_video(folder: Path, tmp_path: Path) -> None:
    late = clip(folder / "plain.mp4", 3.5, 9.0, tmp_path)
    assert late.segment == Segment(3.5, 4.0) and length_s(late.path) == pytest.approx(0.5, abs=1e-3)
    empty = clip(folder / "plain.mp4", 1.0, 1.0, tmp_path)
    assert frames(empty.path) == [(0.0, 25)]
    with pytest.raises(VideoError, match=r"plain.mp4: no pictures from 30.000 s on; is it another video\?$"):
        cut(probe(folder / "plain.mp4"), tmp_path / "none", Segment(30, 31), "exact")
    assert not list(tmp_path.glob("*none*"))


def test_containers_that_packets_are_not_copied_into(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "x.m1v"
    shutil.copy(folder / "plain.mp4", other)
    with pytest.raises(VideoError, match=r"x.m1v: packets are not copied into .m1v; use --exact$"):
        clip(other, 0, 1, tmp_path, "copy")
    assert not clip(other, 0, 1, tmp_path, "auto").copied


def test_a_batch_goes_on_and_keeps_what_is_there(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("plain.mp4", "turned.mp4"):
        shutil.copy(folder / name, tmp_path / "in" / name)
    (tmp_path / "in/broken.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))
    run = Detection("High jump/../x", Segment(1.0, 1.5), 0.9)
    results = Results({"broken": (run,), "plain": (run, run), "turned": (run,), "nothing": ()})
    options = ExportOptions(pad_s=0.2, cut="exact")
    report = export_detections(results, "clips", tmp_path / "out", options, videos=[tmp_path / "in"])
    assert list(report.failures) == ["broken"] and "\n" not in report.failures["broken"]
    made = [
        tmp_path / "out" / name
        for name in ("plain/0001.000-0001.500_High-jump-x", "turned/0001.000-0001.500_High-jump-x")
    ]
    assert list(report.files) == [Path(f"{made[0]}.mp4"), Path(f"{made[0]}-2.mp4"), Path(f"{made[1]}.mp4")]
    assert length_s(report.files[0]) == pytest.approx(0.9, abs=1e-3)
    again = export_detections(results, "clips", tmp_path / "out", options, videos=[tmp_path / "in"])
    assert (report.made, again.made, again.files) == (3, 0, report.files)


def test_a_disk_that_fills_up_leaves_no_half_clip(folder: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"^cannot write .*; free some space and run it again$"):
            clip(folder / "plain.mp4", 0.0, 4.0, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


@pytest.mark.ffmpeg
def test_ffprobe_agrees(folder: Path, tmp_path: Path) -> None:
    need_ffmpeg()
    made = clip(folder / "sound.mp4", 1.013, 2.502, tmp_path)
    asked = ["-v", "error", "-show_entries", "format=duration:stream=codec_name,start_time,duration", "-of", "csv=p=0"]
    told = subprocess.run(["ffprobe", *asked, str(made.path)], check=True, capture_output=True, text=True)
    lines = [line.split(",") for line in told.stdout.split()]
    assert told.stderr == "" and [line[0] for line in lines[:2]] == ["h264", "aac"]
    assert [float(line[1]) for line in lines[:2]] == pytest.approx([0, 0], abs=1e-3)
    assert [float(line[-1]) for line in lines] == pytest.approx([1.489] * 3, abs=2e-3)


def test_real_videos_are_cut_to_the_millisecond(shared: Path, tmp_path: Path) -> None:
    for name in (
        "nasty/exo_edit_list_positive_shift.mp4",
        "nasty/rot90.mov",
        "nasty/av1_video.mkv",
        "actions/single/tmbo_video2.avi",
    ):
        info = probe(shared / "data" / name)
        end_s = float(info.duration_s or 1)
        made = cut(info, tmp_path / "clip", Segment(0.4 * end_s, 0.7 * end_s), "exact")
        after = probe(made.path)
        assert float(after.duration_s or 0) == pytest.approx(max(0.3 * end_s, float(1 / info.fps)), abs=2e-3)  # type: ignore[operator]
        assert (after.rotation, after.width, after.height) == (info.rotation, info.width, info.height)
