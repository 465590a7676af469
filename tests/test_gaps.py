"""Where pictures are missing: what counts as a gap, what is held, what fails."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import clips
import pytest

from extract import decoders
from extract.decoders._base import Tally, TimedFrame
from extract.gaps import STEADY_STEPS, GapWatch
from extract.video import open_video, survey
from tal.errors import VideoError

PAL = Fraction(25)
TICK = Fraction(1, 25)


def watched(
    times: Sequence[int], lost_before: Sequence[int] = (), duration_s: Fraction | None = None, missing: int = 0
) -> GapWatch:
    """Watch frames at times in 1/25 s; those in `lost_before` come after a loss."""
    watch = GapWatch(Path("v.mp4"), TICK, Fraction(2))
    frames = [TimedFrame(t * TICK, duration_s, lambda: clips.picture(0), t in lost_before) for t in times]
    assert list(watch.passing(frames, Tally(missing_s=missing * TICK))) == frames
    return watch


def in_ticks(watch: GapWatch) -> list[tuple[int, int]]:
    return [(int(start_s / TICK), int(end_s / TICK)) for start_s, end_s in watch.gaps]


STEADY = range(STEADY_STEPS + 1)


def test_a_step_after_a_loss_is_a_gap() -> None:
    watch = watched([0, 1, 2, 10, 11], lost_before=[10])
    assert in_ticks(watch) == [(3, 10)]
    assert watch.end_s == 12 * TICK


def test_a_loss_without_a_step_is_none() -> None:
    assert in_ticks(watched([0, 1, 2, 3], lost_before=[2])) == []


def test_a_long_step_of_an_irregular_video_is_no_gap() -> None:
    watch = watched([0, 1, 3, 4, 24, 25])
    assert in_ticks(watch) == []
    assert watch.variable is True


def test_a_long_step_where_the_rate_was_constant_is_a_gap() -> None:
    last = STEADY[-1]
    watch = watched([*STEADY, last + 9, last + 10])
    assert in_ticks(watch) == [(last + 1, last + 9)]
    assert watch.variable is False


def test_a_frame_that_is_said_to_last_leaves_no_gap() -> None:
    watch = GapWatch(Path("v.mp4"), TICK, Fraction(2))
    frames = [TimedFrame(t * TICK, TICK, lambda: clips.picture(0)) for t in STEADY]
    still = TimedFrame(len(STEADY) * TICK, 40 * TICK, lambda: clips.picture(0))
    after = TimedFrame((len(STEADY) + 40) * TICK, TICK, lambda: clips.picture(0))
    list(watch.passing([*frames, still, after], Tally()))
    assert in_ticks(watch) == []


def test_frames_lost_at_the_start() -> None:
    assert in_ticks(watched([6, 7, 8], lost_before=[6])) == [(0, 6)]
    assert in_ticks(watched([6, 7, 8])) == []  # shown late, nothing lost


def test_what_is_missing_at_the_end_is_a_gap() -> None:
    assert in_ticks(watched([0, 1, 2], duration_s=TICK, missing=7)) == [(3, 10)]


def test_times_rounded_to_ms_are_a_constant_rate() -> None:
    watch = GapWatch(Path("v.mkv"), Fraction(1, 30), Fraction(2))
    times_ms = [round(i * 1000 / 30) for i in range(90) if not 50 <= i < 60]
    list(watch.passing([TimedFrame(Fraction(t, 1000), None, lambda: clips.picture(0)) for t in times_ms], Tally()))
    assert [(float(start_s), float(end_s)) for start_s, end_s in watch.gaps] == [(pytest.approx(1.666, abs=0.002), 2.0)]


def test_a_gap_over_the_limit_fails() -> None:
    assert in_ticks(watched([0, 1, 52], lost_before=[52])) == [(2, 52)]  # 2 s
    with pytest.raises(VideoError) as caught:
        watched([0, 1, 53], lost_before=[53])
    assert str(caught.value) == (
        "v.mp4: damaged or cut short, no pictures from 0.08 to 2.12 s; copy it again, or accept gaps of more than 2 s "
        "with extract.max_gap_s"
    )


def test_lost_pictures_are_held_and_reported(tmp_path: Path) -> None:
    """One group of pictures is lost: the last frame before it stands in, later frames keep their slots."""
    lost = range(2 * clips.GROUP, 3 * clips.GROUP)
    video = open_video(clips.lose(clips.write(tmp_path / "a.mp4", range(5 * clips.GROUP)), lost), PAL, 120)
    expected = [lost.start - 1 if i in lost else i for i in range(5 * clips.GROUP)]
    assert [clips.index_of(rgb) for rgb in video] == expected
    assert video.report.gaps == ((lost.start / 25, lost.stop / 25),)
    assert video.report.n_decoded == 4 * clips.GROUP
    assert video.report.remark() == "no pictures for 0.48 s (from 0.96 s), 12 bad packets"


def test_the_limit_is_a_setting(tmp_path: Path) -> None:
    lost = range(2 * clips.GROUP, 7 * clips.GROUP)
    path = clips.lose(clips.write(tmp_path / "a.mp4", range(8 * clips.GROUP)), lost)
    with pytest.raises(VideoError, match=r"no pictures from 0\.96 to 3\.36 s"):
        list(open_video(path, PAL, 64))
    assert len(list(open_video(path, PAL, 64, max_gap_s=2.5))) == 8 * clips.GROUP


def test_a_file_cut_short_fails(tmp_path: Path) -> None:
    """The index lies in front, the last pictures are not there."""
    whole = clips.write(tmp_path / "whole.mp4", range(200))
    path = tmp_path / "cut.mp4"
    with av.open(str(whole)) as source, av.open(str(path), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    spans = clips.packet_spans(path)
    path.write_bytes(path.read_bytes()[: spans[100][0]])
    with pytest.raises(VideoError, match=r"cut\.mp4: damaged or cut short, no pictures from 4\.00 to 8\.00 s"):
        list(open_video(path, PAL, 64))
    seen = survey(path, max_gap_s=10)
    assert (seen.info.n_frames, seen.n_decoded, seen.gaps) == (200, 100, ((4.0, 8.0),))
    assert seen.info.duration_s == 8


def test_a_matroska_file_cut_short_fails(tmp_path: Path) -> None:
    """It has no frame count; its header says how long it is."""
    path = clips.write(tmp_path / "a.mkv", range(200))
    path.write_bytes(path.read_bytes()[: clips.packet_spans(path)[100][0]])
    with pytest.raises(VideoError, match=r"no pictures from 4\.00 to 8\.00 s"):
        survey(path)


def test_an_avi_file_cut_short_fails(tmp_path: Path) -> None:
    """Its index stands at the end and is lost; the header still counts the frames."""
    path = clips.write(tmp_path / "a.avi", range(200), codec="mpeg4")
    path.write_bytes(path.read_bytes()[: clips.packet_spans(path)[100][0] - 8])
    with pytest.raises(VideoError, match=r"no pictures from 4\.00 to 8\.00 s"):
        survey(path)


def test_a_start_that_is_not_zero_is_no_gap(tmp_path: Path) -> None:
    found = survey(clips.write(tmp_path / "a.mkv", [1500 + 40 * i for i in range(12)], Fraction(1, 1000)))
    assert (found.gaps, found.end_s) == ((), 0.48)
    assert found.info.duration_s == pytest.approx(0.48, abs=0.05)  # the header counts 1 ms for the last frame


def test_threads_change_nothing(tmp_path: Path) -> None:
    from extract.decoders.pyav import Backend

    path = clips.write(tmp_path / "a.mp4", range(150))
    clips.damage(path, seed=4)
    one, many = Tally(), Tally()
    frames = list(Backend(threads=1).frames(path, one))
    assert one == Tally(len(frames), one.n_bad_packets, one.missing_s)
    again = list(Backend(threads=4).frames(path, many))
    assert [(f.time_s, f.duration_s, f.after_loss, f.damaged) for f in frames] == [
        (f.time_s, f.duration_s, f.after_loss, f.damaged) for f in again
    ]
    assert [f.rgb().tobytes() for f in frames] == [f.rgb().tobytes() for f in again]
    assert one == many


@pytest.mark.parametrize("name", ["single", "weizmann"])
def test_sound_files_have_no_gaps(shared: Path, name: str) -> None:
    for path in sorted((shared / "data" / "actions" / name).rglob("*.*"))[:30]:
        found = survey(path)
        assert (found.n_bad_packets, found.n_damaged) == (0, 0), path.name
        assert found.gaps == (), path.name


def test_a_survey_can_stop_early(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", range(100))
    first = survey(path, max_frames=30)
    assert (first.complete, first.n_decoded, first.fps, first.variable) == (False, 30, 25, False)
    assert survey(path, max_frames=200).complete
    assert survey(path).end_s == 4


def test_auto_is_the_best_usable_decoder() -> None:
    assert decoders.choose("auto") == ("pyav" if decoders.available()["nvdec"] else "nvdec")
