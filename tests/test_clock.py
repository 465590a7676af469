"""The clock that turns a file's timestamps into times that never run backwards."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from extract.decoders._clock import Clock

TICK = Fraction(1, 25)


def read(clock: Clock, pts: Sequence[int | None], dts: Sequence[int | None] | None = None) -> list[Fraction]:
    """Return times in ticks."""
    dts = dts or [None] * len(pts)
    seconds = [[None if stamp is None else stamp * TICK for stamp in stamps] for stamps in (pts, dts)]
    return [clock.read(p, d, TICK)[0] / TICK for p, d in zip(*seconds, strict=True)]


def test_good_times_stay() -> None:
    assert read(Clock(TICK), [3, 4, 5, 9, 200]) == [3, 4, 5, 9, 200]


def test_missing_times_follow_the_frame_before() -> None:
    assert read(Clock(TICK), [None, None, 5, None, None, 8]) == [0, 1, 5, 6, 7, 8]


def test_missing_durations_are_replaced_by_the_claimed_interval() -> None:
    clock = Clock(2 * TICK)
    assert [clock.read(None, None, None) for _ in range(3)] == [(0, None), (2 * TICK, None), (4 * TICK, None)]


def test_a_duration_of_one_millisecond_is_not_believed() -> None:
    assert Clock(TICK).read(Fraction(0), None, Fraction(1, 1000)) == (0, None)
    assert Clock(TICK).read(Fraction(0), None, Fraction(1, 240)) == (0, Fraction(1, 240))


def test_packed_b_frames_follow_the_decoding_times() -> None:
    """As in AVIs by old DivX encoders: pictures in order, presentation times in storage order."""
    pts, dts = [1, 2, 4, 3, 5, 7, 6, 8, 10, 9, 11], list(range(1, 12))
    times = read(Clock(TICK), pts, dts)
    assert times[4:] == dts[4:]
    assert times == sorted(times)


def test_broken_decoding_times_do_no_harm() -> None:
    assert read(Clock(TICK), [0, 1, 2, 3, 4], [5, 5, 4, 4, 0]) == [0, 1, 2, 3, 4]


def test_a_frame_out_of_order_is_shown_with_the_one_before() -> None:
    assert read(Clock(TICK), [0, 1, 3, 2, 4]) == [0, 1, 3, 3, 4]


def test_a_clock_that_starts_again_goes_on() -> None:
    assert read(Clock(TICK), [100, 101, 102, 0, 1, 2]) == [100, 101, 102, 103, 104, 105]


def test_a_broken_leap_past_the_end_is_left_out() -> None:
    leap = [0, 1, 10**9, 10**9 + 1, 10**9 + 2]
    assert read(Clock(TICK, end_s=Fraction(2)), leap) == [0, 1, 2, 3, 4]
    assert read(Clock(TICK), leap) == [0, 1, 2, 3, 4]


def test_a_long_still_within_the_claimed_end_is_kept() -> None:
    still = [0, 1, 25 * 5000, 25 * 5000 + 1]
    assert read(Clock(TICK, end_s=Fraction(5001)), still) == still
    assert read(Clock(TICK), [0, 25 * 600]) == [0, 25 * 600]


def test_a_transport_stream_that_leaps_ten_seconds_is_joined() -> None:
    assert read(Clock(TICK, end_s=Fraction(60), rejoins=True), [0, 1, 252, 253]) == [0, 1, 2, 3]
    assert read(Clock(TICK, end_s=Fraction(60), rejoins=True), [0, 1, 250, 251]) == [0, 1, 250, 251]


stamp = st.none() | st.integers(-(10**4), 10**6)


@settings(deadline=None)
@given(st.lists(st.tuples(stamp, stamp), max_size=60), st.booleans(), st.none() | st.integers(0, 1000))
def test_time_never_runs_backwards(
    stamps: list[tuple[int | None, int | None]], rejoins: bool, end_s: int | None
) -> None:
    clock = Clock(TICK, None if end_s is None else Fraction(end_s), rejoins)
    times = read(clock, [p for p, _ in stamps], [d for _, d in stamps])
    assert all(a <= b for a, b in pairwise(times))
    # A clock that leaps is rejoined, so no gap exceeds what is allowed.
    assert all((b - a) * TICK <= max(3600, end_s or 0) + 10 + 401 for a, b in pairwise(times))


@settings(deadline=None)
@given(st.lists(st.integers(1, 200), max_size=60))
def test_rising_times_are_not_touched(steps: list[int]) -> None:
    rising = [sum(steps[:i]) for i in range(len(steps))]
    assert read(Clock(TICK), rising, rising) == rising
