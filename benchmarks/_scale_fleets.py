"""Fleets of GPUs, simulated: does the least limit tell the speed, and what do long videos, losses and slow ones cost?

Lengths of videos are log-normal, so that few long ones hold much of the time. A line is a process with one GPU, its
cores and its share of the machine's network: it fetches, decodes, computes flow and I3D on the GPU in turn, and
writes. All rates are the cost model's; GPUs are assumed ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from _scale_costs import FAST_FLOW, RGB, TWO_STREAM, Choice, Demand, bottleneck, demand, gpu_fleet, limits
from _scale_events import Line, Loss, Plan, Station
from _scale_lines import simulate
from _scale_rates import Assumptions, Rates

from tal.bench import Row
from tal.progress import Task

STATIONS = (
    Station("fetch"),
    Station("decode", room=2),
    Station("flow", room=2, turn="GPU"),
    Station("I3D", room=1, turn="GPU"),
    Station("write", room=1),
)
PIECE_H, WRITE_S, START_S = 1 / 20, 0.05, 30.0
"""Video in a piece, hours; a write's latency and a process's start, seconds: assumptions."""
LOST_EVERY_S, DOWN_S = 10 * 3600.0, 300.0
SLOW_SHARE, SLOW = 1 / 16, 0.5
CORES = (2, 8, 32)
HOURS_EACH = 48
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """A fleet at work.

    Attributes:
        name: For the report.
        n_parts: Parts of a job array; 0: all processes on one folder.
        lost: Whether machines are lost, each every ten hours on average, for five minutes.
        slow: Whether one process in sixteen has half the speed.
        start_s: What a process takes to start.
    """

    name: str
    n_parts: int = 0
    lost: bool = False
    slow: bool = False
    start_s: float = START_S


SCENES = tuple(
    Scene(f"{how}{what}", n_parts, lost, slow)
    for what, lost, slow in (("", False, False), (", machines lost", True, False), (", slow machines", False, True))
    for how, n_parts in (("one folder", 0), ("a part each", 1), ("8 parts each", 8))
)


def lengths_h(n: int, a: Assumptions, seed: int) -> FloatArray:
    """Return log-normal lengths of videos, hours, of the assumed mean."""
    mean_log = np.log(a.minutes / 60) - a.spread**2 / 2
    drawn: FloatArray = np.exp(np.random.default_rng(seed).normal(mean_log, a.spread, n))
    return drawn


def stage_seconds(need: Demand, cores_per_gpu: float, a: Assumptions) -> list[float]:
    """Return the seconds that a line spends on an hour of video at each of `STATIONS`, writing's latency left out."""
    fetch_s = need.in_gb / (a.node_gbit_s / a.node_gpus * 450) * 3600
    gpu_s = dict(need.gpu_s)
    flow_s = gpu_s.pop("flow (GPU)", 0.0)
    return [fetch_s, need.cores * 3600 / cores_per_gpu, flow_s, sum(gpu_s.values()), 0.0]


def cut(hours: float, per_hour_s: Sequence[float]) -> list[list[float]]:
    """Return a video's pieces; the shard is written with the last one."""
    n = max(1, int(np.ceil(hours / PIECE_H)))
    pieces = [[hours / n * one for one in per_hour_s] for _ in range(n)]
    pieces[-1][-1] += WRITE_S
    return pieces


def plan_of(scene: Scene, n_lines: int, n_videos: int, until_s: float, seed: int) -> Plan:
    """Return who does what: videos fall into parts at random, as by their names."""
    rng = np.random.default_rng([seed, 1])
    where = np.random.default_rng([seed, 0]).integers(max(1, scene.n_parts * n_lines), size=n_videos)
    parts = [np.flatnonzero(where == part).tolist() for part in range(max(1, scene.n_parts * n_lines))]
    slow = rng.random(n_lines) < SLOW_SHARE if scene.slow else np.zeros(n_lines, bool)
    lines = [Line(SLOW if one else 1.0, scene.start_s, host) for host, one in enumerate(slow)]
    losses = [loss for line in range(n_lines) for loss in _losses(line, until_s, rng)] if scene.lost else []
    return Plan(STATIONS, lines, parts, not scene.n_parts, [float("inf")] * n_lines, losses)


def _losses(line: int, until_s: float, rng: np.random.Generator) -> Iterator[Loss]:
    at_s = float(rng.exponential(LOST_EVERY_S))
    while at_s < until_s:
        yield Loss(at_s, line, DOWN_S)
        at_s += float(rng.exponential(LOST_EVERY_S))


def speed(
    scene: Scene, lengths: FloatArray, per_hour_s: Sequence[float], n_lines: int, seed: int
) -> tuple[float, float]:
    """Return hours of video an hour, and the share of all service that was lost with machines."""
    until_s = 10 * float(lengths.sum()) * max(sum(per_hour_s[2:4]), *per_hour_s) / n_lines
    plan = plan_of(scene, n_lines, len(lengths), until_s, seed)
    found = simulate(plan, lambda video: cut(float(lengths[video]), per_hour_s))
    worked_s = sum(found.busy_s.values())
    return float(lengths.sum()) / found.seconds * 3600, found.lost_s / (found.lost_s + worked_s)


def fleets(rates: Rates, a: Assumptions, quick: bool, bar: Task) -> Iterator[Row]:
    """Yield simulated speeds beside what the limits say."""
    yield from limits_hold(rates, a, 4 if quick else 8, bar)
    n_lines, seeds = (8, range(1)) if quick else (16, range(3))
    need = demand(replace(TWO_STREAM, gpu=True), rates, a)
    _, expected = bottleneck(limits(need, gpu_fleet(n_lines, 16, a), rates, a))
    n_videos = round(n_lines * HOURS_EACH * 60 / a.minutes)
    for scene in SCENES:
        per_hour_s = stage_seconds(need, 16, a)
        found = [speed(scene, lengths_h(n_videos, a, seed), per_hour_s, n_lines, seed) for seed in seeds]
        mean_speed, mean_lost = np.mean(found, axis=0)
        name = f"simulated, {n_lines} GPUs, {HOURS_EACH} hours of video each, {scene.name}"
        yield Row(f"{name} (peer: the least limit)", float(mean_speed), "x real time", expected)
        if scene.lost:
            yield Row(f"{name}: work lost", 100 * float(mean_lost), "%")
        bar.advance(1, scene.name)


def limits_hold(rates: Rates, a: Assumptions, n_lines: int, bar: Task) -> Iterator[Row]:
    """Yield the speed per GPU with few and many cores beside it, and the least limit."""
    for choice in (TWO_STREAM, FAST_FLOW, RGB):
        need = demand(replace(choice, gpu=True), rates, a)
        for n_cores in CORES:
            stage, expected = bottleneck(limits(need, gpu_fleet(n_lines, n_cores, a), rates, a))
            even = np.full(40 * n_lines, a.minutes / 60)
            scene = Scene("one folder", start_s=0.0)
            found, _ = speed(scene, even, stage_seconds(need, n_cores, a), n_lines, seed=0)
            name = f"simulated, {_short(choice)}, {n_cores} cores a GPU"
            yield Row(f"{name} (peer: {stage})", found / n_lines, "x real time a GPU", expected / n_lines)
            bar.advance(1, name)


def _short(choice: Choice) -> str:
    return {TWO_STREAM: "both streams", FAST_FLOW: "flow fast", RGB: "RGB only"}[choice]
