"""Resampling by timestamps, against libavfilter's own fps filter and by its laws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extract.decoders import load
from extract.resample import end_s, resample, slot_of

PAL = Fraction(25)


@dataclass(frozen=True)
class Shown:
    """A frame without pixels."""

    index: int
    time_s: Fraction
    duration_s: Fraction | None = None


def constant(n_frames: int, rate: Fraction, start_s: Fraction = Fraction(0)) -> list[Shown]:
    return [Shown(i, start_s + i / rate, 1 / rate) for i in range(n_frames)]


def from_ticks(ticks: Sequence[int], base: Fraction) -> list[Shown]:
    """Frames that last until the next one, the last for as long as the one before."""
    lengths = [b - a for a, b in pairwise(ticks)]
    lengths.append(lengths[-1] if lengths else 1)
    return [Shown(i, t * base, n * base) for i, (t, n) in enumerate(zip(ticks, lengths, strict=True))]


def ours(frames: Sequence[Shown], fps: Fraction) -> list[tuple[int, int]]:
    return [(slot, frame.index) for slot, frame in resample(frames, fps)]


def libavfilter(frames: Sequence[Shown], fps: Fraction, base: Fraction) -> list[tuple[int, int]]:
    """Send frames that carry their index in two pixels through ``fps=...``; return slots and indices."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=16, height=16, format="gray", time_base=base)
    rate = graph.add("fps", f"fps={fps}")
    sink = graph.add("buffersink")
    graph.link_nodes(source, rate, sink).configure()
    for frame in frames:
        picture = np.zeros((16, 16), np.uint8)
        picture[0, :2] = divmod(frame.index, 256)
        sent = av.VideoFrame.from_ndarray(picture, format="gray")
        sent.pts, sent.time_base = int(frame.time_s / base), base
        sent.duration = int((frame.duration_s or 0) / base)
        source.push(sent)
    source.push(None)
    return list(_drain(sink, fps))


def _drain(sink: av.filter.context.FilterContext, fps: Fraction) -> Iterator[tuple[int, int]]:
    while True:
        try:
            frame = sink.pull()
        except (av.error.EOFError, av.error.BlockingIOError):
            return
        high, low = frame.to_ndarray()[0, :2]
        yield int(frame.pts * frame.time_base * fps), int(high) * 256 + int(low)


RATES = [Fraction(30), Fraction(30000, 1001), Fraction(24), Fraction(24000, 1001), Fraction(10), Fraction(50), PAL]


@pytest.mark.parametrize("rate", RATES, ids=str)
@pytest.mark.parametrize("fps", [PAL, Fraction(10), Fraction(30000, 1001)], ids=str)
@pytest.mark.parametrize("first", [0, 7])
def test_constant_rates_agree_with_libavfilter(rate: Fraction, fps: Fraction, first: int) -> None:
    frames = constant(301, rate, first / rate)
    assert ours(frames, fps) == libavfilter(frames, fps, 1 / rate)


@pytest.mark.parametrize("seed", range(20))
def test_variable_rates_agree_with_libavfilter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    base = [Fraction(1, 1000), Fraction(1, 90000), Fraction(1, 50)][seed % 3]
    steps = rng.integers(1, max(3, round(Fraction(1, 8) / base)), 200)
    frames = from_ticks([int(t) for t in np.cumsum(steps)], base)
    assert ours(frames, PAL) == libavfilter(frames, PAL, base)


CLEAN = [
    "actions/single/R6llTwEh07w.mp4",
    "actions/single/WUzgd7C1pWA.mp4",
    "actions/single/flipping_a_pancake.mkv",
    "actions/single/golfdb_test_video.mp4",
    "actions/single/making_cake.mp4",
    "actions/single/max_baseball.mp4",
    "actions/single/mmaction2_demo.mp4",
    "actions/single/stgcn_skateboarding.mp4",
    "actions/single/tmbo_video2.avi",
    "actions/single/v_BaseballPitch_g01_c01.avi",
    "actions/single/yoga.mp4",
    "nasty/exo_edit_list_positive_shift.mp4",
    "nasty/exo_sample_android_slow_motion.mp4",
    "nasty/mp4parser_count-video.mp4",
]


def check_file(path: Path) -> None:
    decoder = load("pyav")
    base = decoder.probe(path).time_base
    frames = [Shown(i, f.time_s, f.duration_s) for i, f in enumerate(decoder.frames(path))]
    assert len(frames) > 1
    for fps in (PAL, Fraction(10)):
        assert ours(frames, fps) == libavfilter(frames, fps, base)


@pytest.mark.parametrize("name", CLEAN)
def test_real_files_agree_with_libavfilter(shared: Path, name: str) -> None:
    check_file(shared / "data" / name)


def test_weizmann_agrees_with_libavfilter(shared: Path) -> None:
    for path in sorted((shared / "data" / "actions" / "weizmann").glob("*.avi"))[:4]:
        check_file(path)


def test_slots_round_halves_away_from_zero() -> None:
    halves = [Fraction(k, 50) for k in (-3, -2, -1, 0, 1, 2, 3)]  # -1.5 to 1.5 slots of 1/25 s
    assert [slot_of(time_s, PAL) for time_s in halves] == [-2, -1, -1, 0, 1, 1, 2]


def test_film_to_pal_repeats_one_frame_a_second() -> None:
    """Frame 12 is due at slot 12.5, which rounds to 13: slot 12 shows frame 11 again."""
    shown = [i for _, i in ours(constant(48, Fraction(24)), PAL)]
    assert shown == [*range(12), 11, *range(12, 36), 35, *range(36, 48)]


def test_an_unknown_end_is_taken_from_the_interval_before() -> None:
    frames = [Shown(0, Fraction(0)), Shown(1, Fraction(1, 5))]
    assert end_s(frames[1], frames[0].time_s, PAL) == Fraction(2, 5)
    assert [i for _, i in ours(frames, PAL)] == [0] * 5 + [1] * 5
    assert end_s(frames[0], None, PAL) == 1 / PAL
    assert ours(frames[:1], PAL) == [(0, 0)]


def test_a_video_shorter_than_half_a_slot_still_shows() -> None:
    assert ours([Shown(0, Fraction(0), Fraction(1, 60))], PAL) == [(0, 0)]
    assert ours([Shown(0, Fraction(9), Fraction(1, 60)), Shown(1, Fraction(9), Fraction(1, 60))], PAL) == [(225, 1)]


def test_nothing_gives_nothing() -> None:
    assert ours([], PAL) == []


def test_one_frame_is_held_at_a_time() -> None:
    n_asked = 0

    def source() -> Iterator[Shown]:
        nonlocal n_asked
        for n_asked in range(1, 1000):
            yield Shown(n_asked, n_asked / PAL, 1 / PAL)

    for n_given, _ in enumerate(resample(source(), PAL), start=1):
        assert n_asked <= n_given + 1


times = st.lists(st.fractions(0, 20, max_denominator=90000), min_size=1, max_size=40).map(sorted)
rates = st.sampled_from([*RATES, Fraction(1), Fraction(7, 3)])


@settings(deadline=None)
@given(times, rates, st.fractions(0, 3, max_denominator=1000))
def test_laws(times_s: list[Fraction], fps: Fraction, duration_s: Fraction) -> None:
    frames = [Shown(i, t) for i, t in enumerate(times_s[:-1])]
    frames.append(Shown(len(frames), times_s[-1], duration_s or None))
    result = ours(frames, fps)
    slots, indices = zip(*result, strict=True)
    assert slots == tuple(range(slot_of(times_s[0], fps), slots[-1] + 1))
    assert list(indices) == sorted(indices)
    for slot, index in result:
        assert slot_of(times_s[index], fps) <= slot
        assert index + 1 == len(frames) or slot_of(times_s[index + 1], fps) > slot


@settings(deadline=None)
@given(st.integers(1, 200), rates, st.integers(-50, 50))
def test_a_constant_rate_is_left_as_it_is(n_frames: int, fps: Fraction, first: int) -> None:
    frames = constant(n_frames, fps, first / fps)
    assert ours(frames, fps) == [(first + i, i) for i in range(n_frames)]
