"""Videos that are damaged, joined, oddly named or in unusual formats."""

from __future__ import annotations

import socket
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import clips
import pytest

from extract import decoders
from extract.decoders._base import Decoder, Tally
from extract.video import open_video
from tal.errors import VideoError

PAL = Fraction(25)


@pytest.fixture
def pyav() -> Decoder:
    return decoders.load("pyav")


def shown(decoder: Decoder, path: Path) -> list[tuple[int, Fraction]]:
    return [(clips.index_of(frame.rgb()), frame.time_s) for frame in decoder.frames(path)]


def test_mpeg_ts_starts_at_zero(pyav: Decoder, tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.ts", range(30))
    assert shown(pyav, path) == [(i, Fraction(i, 25)) for i in range(30)]


def test_time_zero_is_exact_where_the_header_is_not(pyav: Decoder, tmp_path: Path) -> None:
    """The container's start, 1.4 s and one NTSC frame, is no whole number of microseconds."""
    base = Fraction(1001, 30000)
    path = clips.write(tmp_path / "a.ts", range(1, 31), base)
    assert shown(pyav, path) == [(i, i * base) for i in range(30)]


def test_mpeg_ts_joined_from_parts_goes_on(pyav: Decoder, tmp_path: Path) -> None:
    parts = [clips.write(tmp_path / f"{i}.ts", range(20)).read_bytes() for i in range(2)]
    (tmp_path / "joined.ts").write_bytes(b"".join(parts))
    frames = shown(pyav, tmp_path / "joined.ts")
    times = [time_s for _, time_s in frames]
    assert [index for index, _ in frames] == [*range(20), *range(20)]
    assert all(0 <= b - a <= Fraction(1, 5) for a, b in pairwise(times))


@pytest.mark.parametrize("seed", range(3))
def test_damage_costs_only_its_own_group_of_pictures(pyav: Decoder, tmp_path: Path, seed: int) -> None:
    n_groups = 20
    path = clips.write(tmp_path / "a.mp4", range(n_groups * clips.GROUP))
    hit = clips.damage(path, seed)
    whole = [i for i in range(n_groups * clips.GROUP) if i // clips.GROUP not in hit]
    assert len(whole) >= 10 * clips.GROUP
    read = [(frame.time_s, frame.rgb()) for frame in pyav.frames(path)]
    found = {time_s * 25: rgb for time_s, rgb in read}
    assert {i: clips.index_of(found[Fraction(i)]) for i in whole} == {i: i for i in whole}
    assert [time_s for time_s, _ in read] == sorted(time_s for time_s, _ in read)


def test_lost_packets_are_counted(pyav: Decoder, tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", range(5 * clips.GROUP))
    lost = range(2 * clips.GROUP, 3 * clips.GROUP)
    content = bytearray(path.read_bytes())
    for start, end in clips.packet_spans(path)[lost.start : lost.stop]:
        content[start:end] = b"\xff" * (end - start)
    path.write_bytes(content)
    tally = Tally()
    found = [(clips.index_of(frame.rgb()), frame.time_s * 25) for frame in pyav.frames(path, tally)]
    assert found == [(i, i) for i in range(5 * clips.GROUP) if i not in lost]
    assert tally == Tally(n_decoded=4 * clips.GROUP, n_bad_packets=clips.GROUP)


def test_damaged_areas_look_the_same_each_time(pyav: Decoder, tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", range(120))
    clips.damage(path, seed=1)
    first, again = ([frame.rgb().tobytes() for frame in pyav.frames(path)] for _ in range(2))
    assert first == again


def test_a_file_of_which_nothing_can_be_decoded(pyav: Decoder, tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", range(30))
    content = bytearray(path.read_bytes())
    for start, end in clips.packet_spans(path):
        content[start:end] = b"\xff" * (end - start)
    path.write_bytes(content)
    for read in (pyav.probe, lambda path: list(pyav.frames(path))):
        with pytest.raises(VideoError) as caught:
            read(path)
        assert str(caught.value) == (
            f"{path}: none of its 30 packets ({'h264' if clips.CODEC == 'libx264' else clips.CODEC}) can be decoded, "
            "it is damaged or encrypted; check that it plays elsewhere"
        )


def test_only_local_files_are_opened(pyav: Decoder, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/part.ts"
        path = tmp_path / "list.m3u8"
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{url}\n#EXT-X-ENDLIST\n")
        with pytest.raises(VideoError):
            pyav.probe(path)
        with pytest.raises(TimeoutError):
            server.accept()


def test_old_avi_times_never_run_backwards(shared: Path, pyav: Decoder) -> None:
    for name in ("v_ApplyEyeMakeup_g01_c01.avi", "RATRACE_wave_f_nm_np1_fr_goo_37.avi"):
        path = shared / "data" / "actions" / "single" / name
        interval_s = 1 / (pyav.probe(path).fps or 0)
        times = [frame.time_s for frame in pyav.frames(path)]
        steps = [b - a for a, b in pairwise(times)]
        assert min(steps) >= 0
        assert sum(step == interval_s for step in steps) >= len(steps) - 3


NASTY_REFUSED = {
    "empty_0_bytes.webm": "empty file",
    "exo_invalid-bitstream.webm": "none of its 51 packets",
    "exo_long_edit_list_audioonly.mp4": "no video stream",
    "exo_sample_malformed_free_box.mp4": "cut short or damaged",
    "exo_video_init.mp4": "only a header",
    "git_lfs_pointer.mp4": "git lfs pull",
    "moz_short-cenc.mp4": "encrypted",
    "moz_zero_empty_stsc.mp4": "damaged",
    "mp4ff_init_prog.mp4": "only a header",
    "webm_block_ends_beyond_cluster.mkv": "no pictures from 0.03 to 7.98 s",
    "webm_simple_block.webm": "damaged",
}


@pytest.mark.parametrize("name", sorted(n for n, reason in decoders.available().items() if reason is None))
def test_difficult_files_are_read_or_refused_in_one_line(shared: Path, name: str) -> None:
    files = sorted((shared / "data" / "nasty").iterdir())
    assert len(files) == 31
    for path in files:
        if path.name == "exo_edit_list_positive_shift.mp4" and name == "decord":
            continue  # 1080p, 3 s
        try:
            n_frames = sum(1 for _ in open_video(path, PAL, 64, name))
        except VideoError as error:
            known = NASTY_REFUSED.get(path.name, "use the decoder 'pyav'")
            assert name in {"decord", "opencv"} or path.name in NASTY_REFUSED
            assert str(error).startswith(f"{path}: ")
            assert known in str(error) or (name != "pyav" and "use the decoder 'pyav'" in str(error))
            assert "\n" not in str(error)
        else:
            assert path.name not in NASTY_REFUSED
            assert n_frames >= 1


def test_a_late_first_frame_keeps_its_time(shared: Path) -> None:
    video = open_video(shared / "data" / "nasty" / "exo_edit_list_positive_shift.mp4", PAL, 64)
    next(iter(video))
    assert video.offset == 25  # the edit list shows nothing in the first second
