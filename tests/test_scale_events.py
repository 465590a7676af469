"""The simulation of `benchmarks/_scale_lines.py` against closed forms, known recursions and laws of conservation."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tal.files import shipped

sys.path.append(str(shipped("benchmarks")))

from _scale_events import INFINITE, Line, Loss, Outcome, Plan, Station
from _scale_lines import simulate

TIMES = st.floats(0, 10)
FEW = settings(max_examples=60, deadline=None)


def tandem(*rooms: int) -> list[Station]:
    return [Station(f"s{k}", room) for k, room in enumerate(rooms)]


def in_line(work: Any, rooms: tuple[int, ...]) -> Outcome:
    """Run videos of one piece each (N, stations) through one line."""
    plan = Plan(tandem(*rooms), [Line()], [range(len(work))])
    return simulate(plan, lambda video: [list(work[video])])


def test_one_station_takes_the_sum_of_its_work() -> None:
    found = in_line([[2.0], [0.5], [3.0]], (1,))
    assert found.ended_s == {0: 2.0, 1: 2.5, 2: 5.5}
    assert found.busy_s == {"s0": 5.5}


@pytest.mark.parametrize("n", [1, 7])
def test_a_balanced_pipeline_ends_one_beat_after_another(n: int) -> None:
    found = in_line([[2.0, 2.0, 2.0, 2.0]] * n, (1, 0, 0, 0))
    assert found.seconds == pytest.approx(2.0 * (n + 3))


@pytest.mark.parametrize("rooms", [(1, 0, 0), (1, 3, 1)])
def test_equal_pieces_go_at_the_pace_of_the_slowest_station(rooms: tuple[int, ...]) -> None:
    found = in_line([[1.0, 5.0, 2.0]] * 9, rooms)
    assert found.seconds == pytest.approx(1 + 5 + 2 + 8 * 5)


def test_stations_that_take_turns_add_up() -> None:
    stations = [Station("decode"), Station("flow", 9, turn="CPU"), Station("network", 9, turn="CPU")]
    found = simulate(Plan(stations, [Line()], [range(6)]), lambda video: [[0.5, 2.0, 3.0]])
    assert found.seconds == pytest.approx(0.5 + 6 * (2 + 3))


def test_a_straggler_takes_as_much_longer_as_it_is_slower() -> None:
    plan = Plan(tandem(1), [Line(speed=0.25)], [range(3)])
    assert simulate(plan, lambda video: [[1.0]]).seconds == pytest.approx(12.0)


@given(st.integers(1, 6), st.integers(1, 8), st.integers(1, 9))
@FEW
def test_cores_are_shared_evenly(n_cores: int, n_lines: int, n_videos: int) -> None:
    plan = Plan(tandem(1), [Line()] * n_lines, [range(i * n_videos, (i + 1) * n_videos) for i in range(n_lines)])
    plan = Plan(plan.stations, plan.lines, plan.parts, cores=(n_cores,))
    expected = 3.0 * n_videos * max(1.0, n_lines / n_cores)
    assert simulate(plan, lambda video: [[3.0]]).seconds == pytest.approx(expected)


@given(st.lists(st.tuples(TIMES, TIMES, TIMES), min_size=1, max_size=25), st.integers(0, 3), st.integers(0, 3))
@FEW
def test_bounded_queues_meet_the_recursion_of_blocking_after_service(
    work: list[tuple[float, float, float]], room_1: int, room_2: int
) -> None:
    """A piece leaves a station once it is served and the one that fills the last place behind has gone on."""
    rooms, left = (1, room_1, room_2), np.zeros((len(work) + 1, 3))
    for j, times in enumerate(work, start=1):
        for k, time in enumerate(times):
            begun = max(left[j, k - 1] if k else 0.0, left[j - 1, k])
            ahead = j - rooms[k + 1] - 1 if k < 2 else 0
            left[j, k] = max(begun + time, left[ahead, k + 1] if ahead > 0 else 0.0)
    found = in_line(work, rooms)
    assert [found.ended_s[j] for j in range(len(work))] == pytest.approx(left[1:, 2].tolist())


def test_waiting_before_a_constant_server_is_that_of_pollaczek_and_khinchine() -> None:
    """M/D/1: a first station whose service is exponential gives Poisson arrivals; 2 (1 - r) W = r D."""
    gaps = np.random.default_rng(0).exponential(1.0, 20_000)
    load = 0.6
    found = in_line([[gap, load] for gap in gaps], (1, 10**9))
    arrived, ended = np.cumsum(gaps), np.array([found.ended_s[j] for j in range(len(gaps))])
    begun = np.maximum.accumulate(arrived - load * np.arange(len(gaps))) + load * np.arange(len(gaps))
    assert ended == pytest.approx(begun + load)  # Lindley's recursion, unrolled
    assert np.mean(ended - load - arrived) == pytest.approx(load * load / (2 * (1 - load)), rel=0.05)


WORLDS = st.fixed_dictionaries(
    {
        "work": st.lists(st.lists(st.tuples(TIMES, TIMES, TIMES), min_size=1, max_size=4), min_size=1, max_size=12),
        "n_lines": st.integers(1, 4),
        "n_parts": st.integers(0, 5),
        "room": st.integers(0, 2),
        "shared": st.integers(0, 2),
        "cores": st.sampled_from([1.0, 2.0, INFINITE]),
        "losses": st.lists(st.tuples(st.floats(0, 60), st.integers(0, 3), st.floats(0, 20)), max_size=6),
        "poison": st.frozensets(st.integers(0, 11), max_size=2),
    }
)


def run_world(world: dict[str, Any], n_lines: int | None = None) -> tuple[Plan, Outcome]:
    n, work = n_lines or world["n_lines"], world["work"]
    n_parts = world["n_parts"]
    parts = [range(i, len(work), n_parts) for i in range(n_parts)] or [range(len(work))]
    stations = [
        Station("fetch", shared=world["shared"]),
        Station("decode", world["room"]),
        Station("net", world["room"]),
    ]
    plan = Plan(
        stations,
        [Line(start_s=0.5)] * n,
        parts,
        not n_parts,
        (world["cores"],),
        [Loss(at_s, line % n, down_s) for at_s, line, down_s in world["losses"]],
        world["poison"],
    )
    return plan, simulate(plan, lambda video: work[video])


@given(WORLDS)
@FEW
def test_no_video_is_lost_or_finished_twice(world: dict[str, Any]) -> None:
    _, found = run_world(world)
    videos = set(range(len(world["work"])))
    poison = videos & world["poison"]
    assert set(found.given_up) == poison
    assert len(found.given_up) == len(poison)
    assert set(found.ended_s) == videos - poison
    for k, station in enumerate(("fetch", "decode", "net")):
        needed = sum(piece[k] for video in videos - poison for piece in world["work"][video])
        assert found.busy_s[station] == pytest.approx(needed, abs=1e-6)
    assert all(found.begun[video] >= 1 for video in videos)
    assert found.lost_s >= -1e-6


@given(WORLDS)
@FEW
def test_times_lie_between_the_work_of_the_busiest_and_of_all(world: dict[str, Any]) -> None:
    world = {**world, "losses": [], "poison": frozenset()}
    plan, found = run_world(world)
    n, longest = len(plan.lines), max(max(sum(piece) for piece in video) for video in world["work"])
    per_station = [sum(piece[k] for video in world["work"] for piece in video) for k in range(3)]
    assert found.seconds >= 0.5 + max(longest, max(per_station) / n) - 1e-6
    assert found.seconds >= (sum(per_station) - (per_station[0] if world["shared"] else 0)) / world["cores"] - 1e-6
    if world["shared"] == 1:
        assert found.seconds >= per_station[0]
    assert found.seconds <= sum(per_station) + 0.5 * max(1, world["n_parts"]) + 1e-6
    assert all(times == 1 for times in found.begun.values())
    assert found.lost_s == 0


@pytest.mark.parametrize("n_lines", [1, 2, 5, 40])
def test_speed_up_is_amdahls_where_a_share_is_not_divided(n_lines: int) -> None:
    """A process's start is work that no other process takes over: 1 / (s + (1 - s) / N)."""
    plan = Plan(tandem(1), [Line(start_s=100.0)] * n_lines, [range(400)], together=True)
    seconds = simulate(plan, lambda video: [[1.0]]).seconds
    share = 100 / (100 + 400)
    assert 500 / seconds == pytest.approx(1 / (share + (1 - share) / n_lines))


@pytest.mark.parametrize("n_lines", [1, 2, 5, 40])
def test_a_shared_station_bounds_the_speed_up(n_lines: int) -> None:
    """A tenth of the work passes a single server that all lines share; it works ahead while a line works."""
    stations = [Station("driver", shared=1), Station("work", room=0)]
    plan = Plan(stations, [Line()] * n_lines, [range(400)], together=True)
    speed_up = 400 * 1.0 / simulate(plan, lambda video: [[0.1, 0.9]]).seconds
    bound = min(1 / 0.1, n_lines / 0.9)
    assert speed_up <= bound + 1e-9
    assert speed_up == pytest.approx(bound, rel=0.12)


def test_a_lost_line_begins_its_video_anew_when_it_is_back() -> None:
    plan = Plan(tandem(1), [Line(start_s=2.0)], [range(3)], losses=[Loss(7.0, 0, down_s=10.0)])
    found = simulate(plan, lambda video: [[3.0]])
    assert found.ended_s == {0: 5.0, 1: 7 + 10 + 2 + 3.0, 2: 7 + 10 + 2 + 6.0}
    assert found.begun == {0: 1, 1: 2, 2: 1}
    assert found.lost_s == pytest.approx(2.0)


def test_pieces_of_an_unfinished_video_are_lost_with_it() -> None:
    plan = Plan(tandem(1), [Line()], [[0]], losses=[Loss(7.5, 0)])
    found = simulate(plan, lambda video: [[2.0]] * 5)
    assert found.seconds == pytest.approx(7.5 + 10)
    assert found.lost_s == pytest.approx(7.5)


def test_others_take_over_from_a_line_that_never_comes_back() -> None:
    lines, losses = [Line(), Line()], [Loss(1.5, 0, INFINITE)]
    for parts, together in (([range(6)], True), ([[0, 1, 2], [3, 4, 5]], False)):
        found = simulate(Plan(tandem(1), lines, parts, together, losses=losses), lambda video: [[1.0]])
        assert set(found.ended_s) == set(range(6))
        assert sum(found.begun.values()) == 7


def test_videos_without_a_line_are_an_error() -> None:
    plan = Plan(tandem(1), [Line()], [range(2)], losses=[Loss(0.5, 0, INFINITE)])
    with pytest.raises(ValueError, match="videos are left, and no line that could work on them"):
        simulate(plan, lambda video: [[1.0]])
    with pytest.raises(ValueError, match="lines that work together have one part"):
        simulate(Plan(tandem(1), [Line()], [[0], [1]], together=True), lambda video: [[1.0]])


def test_a_poison_video_costs_its_line_a_start_each_time_and_is_given_up() -> None:
    plan = Plan([Station("decode")], [Line(start_s=4.0)], [range(3)], poison=frozenset([1]), attempts=3)
    found = simulate(plan, lambda video: [[1.0]])
    assert found.given_up == [1]
    assert found.begun[1] == 3
    assert found.seconds == pytest.approx(4 + 1 + 3 * 4 + 1)


def test_what_a_loss_costs_is_half_a_video_of_the_kind_that_is_met() -> None:
    """A moment falls into a video in proportion to its length: on average E[L^2] / 2 E[L] of it is done by then."""
    rng = np.random.default_rng(3)
    lengths = np.exp(rng.normal(0.0, 0.8, 4000))
    losses = [Loss(float(at_s), 0) for at_s in np.cumsum(rng.exponential(20.0, 200))]
    found = simulate(Plan(tandem(1), [Line()], [range(4000)], losses=losses), lambda video: [[float(lengths[video])]])
    expected = np.mean(lengths**2) / (2 * np.mean(lengths))
    assert expected == pytest.approx(math.exp(1.5 * 0.64) / 2, rel=0.25)  # of log-normal lengths
    assert found.lost_s / len(losses) == pytest.approx(expected, rel=0.3)
