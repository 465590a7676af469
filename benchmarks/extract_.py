"""Extraction: the I3D networks alone, in every precision, and whole passes, against what one writes at first.

A snippet of 16 frames of 224 x 224 px goes through each network in turns; the least of several rounds counts: on one
core by CPU time, which other programs disturb little, and on all cores by the clock. The peer is I3D written module by
module in float32. A product of large matrices, in the same rounds, tells how long the network's multiplications alone
would take. Errors are relative, by the norm: with the made-up weights and clip of the stored reference outputs, and
with random weights calibrated on real clips (Kinetics weights are not at hand), there also less what all clips'
features have in common. A whole pass goes from a file of real frames (340 x 256 px, 25 fps) to the features of both
streams; its peer decodes, computes OpenCV's DualTVL1 pair by pair and runs the plain networks. `--quick`: two rounds,
no real clips, passes of one snippet.
"""

from __future__ import annotations

import runpy
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice

import _eager_i3d
import numpy as np
import torch
from _data import SHARED, need
from _passes import passes
from torch.utils.flop_counter import FlopCounterMode

from extract.i3d import CHANNELS, I3D
from extract.i3d_engine import Engine, choose_precision
from tal.bench import Row
from tal.progress import Progress, Task
from tal.types import FloatArray

SNIPPET = (16, 224, 224)
MATRIX = 2048
GOAL_PEER, GOAL_PEAK, GOAL_FP32, GOAL_BF16 = 4.0, 2.0, 1e-4, 0.01
CLIPS = ("R6llTwEh07w", "golfdb_test_video", "making_cake", "max_baseball", "stgcn_tai_chi", "yoga")
Call = Callable[[], object]


def run(quick: bool, progress: Progress) -> list[Row]:
    """Measure the networks, then whole passes."""
    return [*networks(quick, progress), *passes(quick, precisions(), progress)]


def networks(quick: bool, progress: Progress) -> list[Row]:
    """Measure speed and errors of I3D alone, both streams."""
    rounds = 2 if quick else 9
    with progress.task("networks", 2 * len(CHANNELS) * rounds + (0 if quick else len(precisions())), "steps") as bar:
        rows = [row for stream in CHANNELS for row in stored(stream, rounds, bar)]
        return rows if quick else [*rows, *on_real_clips(bar)]


def precisions() -> tuple[str, ...]:
    """Return the precisions worth using on this CPU."""
    return ("fp32", "bf16") if choose_precision("auto", "cpu") == "bf16" else ("fp32",)


def stored(stream: str, rounds: int, bar: Task) -> Iterator[Row]:
    """Measure a network with the weights of the stored outputs."""
    made = runpy.run_path(str(need(SHARED / "bench" / "i3d_reference_weights.py")))
    network, clip = I3D(CHANNELS[stream]).eval(), torch.from_numpy(made["clip"](stream, 16, 224))
    network.load_state_dict({key: torch.from_numpy(value) for key, value in made["weights"](stream).items()})
    engines = {precision: Engine(network, "cpu", precision) for precision in precisions()}
    yield from speeds(network, clip, engines, rounds, stream, bar)
    with np.load(need(SHARED / "data" / "parity" / "i3d_reference.npz")) as file:
        features = file[f"{stream}_16_224_features"].reshape(1, -1)
    for precision, engine in engines.items():
        error, limit = distance(engine.embed(clip), features), {"fp32": GOAL_FP32, "bf16": GOAL_BF16}[precision]
        yield Row(f"{stream}, {precision}: error of stored features", error, "", None, f"<= {limit:g}", error <= limit)


def speeds(
    network: I3D, clip: torch.Tensor, engines: Mapping[str, Engine], rounds: int, stream: str, bar: Task
) -> Iterator[Row]:
    """Time the engines, the peer and a matrix product in turns."""
    kind = torch.bfloat16 if "bf16" in engines else torch.float32
    matrix = torch.randn(MATRIX, MATRIX).to(kind)
    calls: dict[str, Call] = {"peak": lambda: matrix @ matrix}
    calls["eager"] = lambda: _eager_i3d.embed(network, clip)
    calls |= {precision: partial(engine.embed, clip) for precision, engine in engines.items()}
    for n_cores, clock in ((1, time.process_time), (torch.get_num_threads(), time.perf_counter)):
        yield from compared(least(calls, rounds, n_cores, clock, bar), stream, n_cores)


def compared(least_s: Mapping[str, float], stream: str, n_cores: int) -> Iterator[Row]:
    """Yield each precision's speed beside the peer's, and the last one's beside that of a matrix product."""
    engines = [name for name in least_s if name not in {"peak", "eager"}]
    where = f"{n_cores} core{'s' * (n_cores > 1)}"
    for name in engines:
        rate, peer = 1 / least_s[name], 1 / least_s["eager"]
        goal = f"ratio >= {GOAL_PEER:g}" if (name, n_cores) == ("bf16", 1) else ""
        met = rate >= GOAL_PEER * peer if goal else None
        yield Row(f"{stream}, {name}, {where} (peer: eager fp32)", rate, "snippets/s", peer, goal, met)
    flop = flops(stream)
    ours, peak = flop / least_s[engines[-1]] / 1e9, 2 * MATRIX**3 / least_s["peak"] / 1e9
    goal, met = (f"ratio >= {1 / GOAL_PEAK:g}", ours * GOAL_PEAK >= peak) if n_cores == 1 else ("", None)
    name = f"{stream}, {engines[-1]}, {where}, {flop / 1e9:.1f} GFLOP (peer: matrix product)"
    yield Row(name, ours, "GFLOP/s", peak, goal, met)


def least(
    calls: Mapping[str, Call], rounds: int, n_cores: int, clock: Callable[[], float], bar: Task
) -> dict[str, float]:
    """Return the least time of each call in seconds, of `rounds` in turns after one that does not count."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    n_before = torch.get_num_threads()
    torch.set_num_threads(n_cores)
    try:
        with torch.inference_mode():
            for turn in range(rounds + 1):
                for name, call in calls.items():
                    started = clock()
                    call()
                    times[name].append(clock() - started)
                bar.advance(min(turn, 1), f"{n_cores} cores")
    finally:
        torch.set_num_threads(n_before)
    return {name: min(found[1:]) for name, found in times.items()}


def flops(stream: str) -> int:
    """Count the additions and multiplications of the convolutions for one snippet."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        I3D(CHANNELS[stream]).features(torch.empty(1, CHANNELS[stream], *SNIPPET))
    total: int = counter.get_total_flops()
    return total


def distance(found: FloatArray, expected: FloatArray) -> float:
    """Return the relative error, by the norm."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def on_real_clips(bar: Task) -> Iterator[Row]:
    """Compare precisions on frames of real clips, and with noise of one gray level, which random weights amplify."""
    clips = [_clip(name) for name in CLIPS]
    network = _calibrated(clips)
    with torch.inference_mode():
        truth = np.concatenate([network.embed(clip).numpy() for clip in clips])
    engines = {precision: Engine(network, "cpu", precision) for precision in precisions()}
    noise = np.concatenate([engines["fp32"].embed(_noisy(clip)) for clip in clips])
    for precision, engine in engines.items():
        found = np.concatenate([engine.embed(clip) for clip in clips])
        for label, common in (("error on real clips", np.zeros(1)), ("that less the clips' mean", truth.mean(axis=0))):
            ours, peer = (distance(features - common, truth - common) for features in (found, noise))
            yield Row(f"rgb, {precision}: {label} (peer: noise of 1 gray level)", ours, "", peer)
        bar.advance(1, "real clips")


def _noisy(clip: torch.Tensor) -> torch.Tensor:
    return clip + torch.randn(clip.shape, generator=torch.Generator().manual_seed(0)) / 127.5


def _clip(name: str) -> torch.Tensor:
    """Return 16 frames of a clip as network input, (1, 3, 16, 224, 224) in [-1, 1]."""
    import av
    import cv2

    path = need(SHARED / "data" / "actions" / "single" / f"{name}.mp4")
    with av.open(str(path)) as source:
        frames = [f.to_ndarray(format="rgb24") for f in islice(source.decode(video=0), 40, 56)]
    scaled = np.stack([cv2.resize(frame, (340, 256))[16:240, 58:282] for frame in frames])
    return torch.from_numpy(scaled).permute(3, 0, 1, 2)[None] * np.float32(2 / 255) - 1


def _calibrated(clips: list[torch.Tensor]) -> I3D:
    from extract import random_weights

    network = I3D(CHANNELS["rgb"]).eval()
    network.load_state_dict(random_weights.random_state(0, "rgb"))
    random_weights.calibrate(network, clips)
    return network
