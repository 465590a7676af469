"""TV-L1 on the CPU: agreement with OpenCV and with ground truth, pairs per second, and what it does to features.

Real frames of 340 x 256 px from nine clips, and the Middlebury pairs, one pair of each. `converged` is OpenCV's
DualTVL1 with epsilon 0, which runs all iterations. Distances are mean end-point distances in px. Speeds on one core are
by CPU time, on all cores by wall time, ours and OpenCV's default in turns in the same run. Features are those of I3D's
flow network with random weights (Kinetics weights are not at hand). `--quick`: one clip, no features.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from _data import SHARED, need

from extract import flow
from extract.flow._tvl1 import QUALITIES
from tal.bench import Row
from tal.progress import Progress, Task
from tal.types import ByteArray, FloatArray

CLIPS = ("R6llTwEh07w", "golfdb_test_video", "making_cake", "max_baseball", "mmaction2_demo", "stgcn_skateboarding")
CLIPS += ("stgcn_tai_chi", "WUzgd7C1pWA", "yoga")
MIDDLEBURY = ("RubberWhale", "Grove2", "Venus")
SIZE = (340, 256)
FIRST = 40
"""The first frame of a pair, where nothing is faded in any more."""
EXACT_PX, TRUTH_PX = 0.02, 0.005
Pairs = Mapping[str, ByteArray]
Flows = Mapping[str, FloatArray]


def run(quick: bool, progress: Progress) -> list[Row]:
    """Measure agreement, then speed, then features."""
    clips = {name: frames(name, 2) for name in (CLIPS[1:2] if quick else CLIPS)}
    pairs = {**clips, **{name: middlebury(name) for name in (() if quick else MIDDLEBURY)}}
    with progress.task("flow", len(pairs) + 3 * len(clips), "steps") as bar:
        rows = agreement(pairs, bar) + speed(clips, 2 if quick else 5, bar)
        return rows if quick else rows + features(clips, bar)


def frames(name: str, n: int) -> ByteArray:
    """Return `n` gray frames of a clip, uint8 (n, 256, 340)."""
    import av

    path = need(SHARED / "data" / "actions" / "single" / f"{name}.mp4")
    with av.open(str(path)) as source:
        found = [f.to_ndarray(format="rgb24") for f in islice(source.decode(video=0), FIRST, FIRST + n)]
    return flow.to_gray(np.stack([cv2.resize(rgb, SIZE) for rgb in found]))


def middlebury(name: str) -> ByteArray:
    """Return a pair of frames with known flow, uint8 (2, H, W)."""
    folder = need(SHARED / "data" / "flow" / "middlebury" / name)
    return np.stack([cv2.imread(str(folder / f"frame{i}.png"), cv2.IMREAD_GRAYSCALE) for i in (10, 11)])


def flo(path: Path) -> FloatArray:
    """Read Middlebury's format, float32 (H, W, 2), px."""
    data = path.read_bytes()
    width, height = np.frombuffer(data, "<i4", 2, 4)
    return np.frombuffer(data, "<f4", width * height * 2, 12).reshape(height, width, 2)


def distance_px(one: FloatArray, other: FloatArray) -> float:
    """Return the mean end-point distance where both are known."""
    known = (np.abs(one) < 1e9).all(-1) & (np.abs(other) < 1e9).all(-1)
    return float(np.hypot(*(one - other)[known].T).mean())


def agreement(pairs: Pairs, bar: Task) -> list[Row]:
    """Compare flows with converged ones and with the truth."""
    found: dict[str, Flows] = {}
    with converged() as reference, flow.load("opencv", 1) as opencv:
        ours = {quality: flow.load("native", 1, "cpu", quality) for quality in QUALITIES}
        for name, pair in pairs.items():
            found[name] = {q: engine.pairs(pair)[0] for q, engine in ours.items()}
            found[name] |= {"opencv": opencv.pairs(pair)[0], "converged": reference.pairs(pair)[0]}
            turned = reference.pairs(np.ascontiguousarray(pair.transpose(0, 2, 1)))[0]
            found[name]["turned"] = turned.transpose(1, 0, 2)[..., ::-1]
            bar.advance(1, name)
    return [*to_converged(found), *to_truth(found), *stored(found)]


def converged() -> flow.FlowBackend:
    """Return OpenCV's solver with all iterations."""
    return flow.load("opencv", 1, "cpu", "exact")


def to_converged(found: Mapping[str, Flows]) -> Iterator[Row]:
    """Yield distances to the converged flow, per pair and on average."""
    apart = {
        kind: {name: distance_px(flows[kind], flows["converged"]) for name, flows in found.items()}
        for kind in (*QUALITIES, "opencv", "turned")
    }
    for name in found:
        exact, other = apart["exact"][name], apart["turned"][name]
        goal = f"<= {EXACT_PX} px"
        yield Row(f"exact, {name} (peer: OpenCV on transposed frames)", exact, "px", other, goal, exact <= EXACT_PX)
    for name in found:
        ours, theirs = apart["default"][name], apart["opencv"][name]
        yield Row(f"default, {name} (peer: OpenCV default)", ours, "px", theirs, "ratio <= 1", ours <= theirs)
    for kind in QUALITIES:
        ours, theirs = (float(np.mean(list(apart[k].values()))) for k in (kind, "opencv"))
        limit = {"exact": EXACT_PX, "default": theirs}.get(kind)
        goal = "" if limit is None else f"<= {limit:.3g} px"
        yield Row(f"{kind}, mean of all", ours, "px", theirs, goal, None if limit is None else ours <= limit)


def to_truth(found: Mapping[str, Flows]) -> Iterator[Row]:
    """Yield mean end-point errors where the truth is known."""
    for name in (name for name in MIDDLEBURY if name in found):
        truth = flo(SHARED / "data" / "flow" / "middlebury" / name / "flow10.flo")
        for kind in QUALITIES:
            ours, theirs = (distance_px(found[name][k], truth) for k in (kind, "opencv"))
            met = None if kind == "fast" else ours <= theirs + TRUTH_PX
            goal = "" if met is None else f"<= peer + {TRUTH_PX}"
            yield Row(f"{kind}, error on {name} (peer: OpenCV default)", ours, "px", theirs, goal, met)


def stored(found: Mapping[str, Flows]) -> Iterator[Row]:
    """Compare with a flow that OpenCV's own tests keep."""
    if "RubberWhale" not in found:
        return
    kept = flo(need(SHARED / "data" / "flow" / "opencv" / "tvl1_flow.flo"))
    ours, theirs = (distance_px(found["RubberWhale"][kind], kept) for kind in ("default", "opencv"))
    yield Row("default, to OpenCV's stored flow (peer: OpenCV default)", ours, "px", theirs)


def speed(clips: Pairs, rounds: int, bar: Task) -> list[Row]:
    """Time a pair of each clip in turns; the least of several rounds counts."""
    cores = os.cpu_count() or 1
    rows = []
    for workers, clock in ((1, time.process_time), (cores, time.perf_counter)):
        least = _least(clips, workers, clock, rounds, bar)
        unit = "pairs/s/core" if workers == 1 else f"pairs/s on {cores} cores"
        rates = {kind: workers_share(workers) / float(np.mean(list(of.values()))) for kind, of in least.items()}
        for quality in QUALITIES:
            goal = {"default": 10.0 if workers == 1 else 6.0}.get(quality)
            ratio = rates[quality] / rates["opencv"]
            told = "" if goal is None else f"ratio >= {goal:g}"
            met = None if goal is None else ratio >= goal
            rows.append(Row(f"{quality} (peer: OpenCV default)", rates[quality], unit, rates["opencv"], told, met))
    return rows


def workers_share(workers: int) -> int:
    """Return how many pairs one timed call holds for each that is counted."""
    return 1 if workers == 1 else workers


def _least(clips: Pairs, workers: int, clock: Any, rounds: int, bar: Task) -> dict[str, dict[str, float]]:
    engines = {q: flow.load("native", workers, "cpu", q) for q in QUALITIES}
    engines["opencv"] = flow.load("opencv", workers)
    least: dict[str, dict[str, float]] = {kind: {} for kind in engines}
    for name, pair in clips.items():
        batch = pair if workers == 1 else np.stack([pair[i % 2] for i in range(workers + 1)])
        for kind, engine in engines.items():
            for _ in range(1 if kind == "exact" else rounds):
                started = clock()
                engine.pairs(batch)
                least[kind][name] = min(clock() - started, least[kind].get(name, np.inf))
        bar.advance(1, name)
    return least


def features(clips: Pairs, bar: Task) -> list[Row]:
    """Compare I3D features of one snippet of 16 frames per clip."""
    engines = {q: flow.load("native", 0, "cpu", q) for q in ("default", "fast")}
    engines["opencv"] = flow.load("opencv")
    network = _network()
    apart: dict[str, list[float]] = {kind: [] for kind in engines}
    with flow.load("native", 0, "cpu", "exact") as exact:
        for name in clips:
            snippet = frames(name, 17)
            whole = _embed(network, exact.pairs(snippet))
            for kind, engine in engines.items():
                apart[kind].append(1 - float(whole @ _embed(network, engine.pairs(snippet))))
            bar.advance(1, name)
    theirs = float(np.mean(apart.pop("opencv")))
    return [
        Row(f"{kind}: features to those of exact, 1 - cosine (peer: OpenCV default)", float(np.mean(v)), "", theirs)
        for kind, v in apart.items()
    ]


def _network() -> Any:
    from extract import weights
    from extract.i3d import CHANNELS, I3D

    network = I3D(CHANNELS["flow"])
    network.load_state_dict(weights.random_state(0, "flow"))
    weights.calibrate(network, [_clip(flow.load("native").pairs(frames(name, 17))) for name in CLIPS[:2]])
    return network.eval()


def _clip(flow_px: FloatArray) -> Any:
    """Return 16 fields of flow as network input, float32 (1, 2, 16, 224, 224) in [-1, 1]."""
    import torch

    from extract.features import crop
    from extract.flow.presets import apply, preset

    return torch.from_numpy(apply(crop(flow_px, 224), preset("i3d"))).permute(3, 0, 1, 2)[None].contiguous()


def _embed(network: Any, flow_px: FloatArray) -> FloatArray:
    from extract.features import embed

    vector = embed(network, _clip(flow_px))[0]
    return vector / np.linalg.norm(vector)
