"""Whole passes from a video file to the features of both streams: ours, and the pipeline that one writes at first."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import _eager_i3d
import cv2
import numpy as np
import torch
from _data import SHARED, encode, need

from extract import random_weights
from extract.features import Extractor
from extract.i3d import CHANNELS, I3D
from extract.i3d_engine import Engine
from extract.snippets import crop
from tal.bench import Row
from tal.progress import Progress
from tal.settings import ExtractSettings, RuntimeSettings
from tal.types import FloatArray

LENGTH, SIZE, CROP, FPS, BOUND_PX = 16, (340, 256), 224, 25, 20.0
GOAL = 12.0
Networks = Mapping[str, I3D]


def passes(quick: bool, precisions: tuple[str, ...], progress: Progress) -> list[Row]:
    """Measure seconds of video per second, by the clock, the best of two rounds in turns.

    Args:
        quick: One snippet, one round.
        precisions: Of our networks.
        progress: Who is told.
    """
    n_snippets, n_rounds = (1, 1) if quick else (4, 2)
    networks = _networks()
    with tempfile.TemporaryDirectory() as folder:
        clip = need(SHARED / "data" / "actions" / "single" / "max_baseball.mp4")
        video = encode(clip, Path(folder) / "a.mp4", SIZE, n_snippets * LENGTH)
        calls: dict[str, Callable[[], object]] = {"peer": lambda: peer(video, networks)}
        calls |= {one: lambda one=one: ours(video, networks, one) for one in precisions}  # type: ignore[misc]
        best_s = _best(calls, n_rounds, progress)
    video_s = n_snippets * LENGTH / FPS
    rates = {name: video_s / seconds for name, seconds in best_s.items()}
    return [
        Row(
            f"whole pass, {one}, {torch.get_num_threads()} cores (peer: OpenCV flow, eager fp32 I3D)",
            rates[one],
            "x real time",
            rates["peer"],
            f"ratio >= {GOAL:g}",
            rates[one] >= GOAL * rates["peer"],
        )
        for one in precisions
    ]


def _best(calls: Mapping[str, Callable[[], object]], n_rounds: int, progress: Progress) -> dict[str, float]:
    best_s = dict.fromkeys(calls, float("inf"))
    with progress.task("passes", n_rounds * len(calls), "passes") as bar:
        for _ in range(n_rounds):
            for name, call in calls.items():
                started = time.perf_counter()
                call()
                best_s[name] = min(best_s[name], time.perf_counter() - started)
                bar.advance(1, name)
    return best_s


def _networks() -> Networks:
    """Return networks of random weights; speed does not depend on them."""
    networks = {stream: I3D(channels).eval() for stream, channels in CHANNELS.items()}
    for stream, network in networks.items():
        network.load_state_dict(random_weights.random_state(0, stream))
    return networks


def ours(video: Path, networks: Networks, precision: str) -> dict[str, FloatArray]:
    """Extract as `tal extract` does, engines opened anew: features (n, 1024) of each stream."""
    engines = {stream: Engine(network, "cpu", precision) for stream, network in networks.items()}
    with closing(Extractor(ExtractSettings(), RuntimeSettings(device="cpu"), engines, {})) as extractor:
        return dict(extractor.extract(video, {}).streams)


@torch.inference_mode()
def peer(video: Path, networks: Networks) -> dict[str, FloatArray]:
    """Decode, compute OpenCV's flow pair by pair, run plain networks: features (n, 1024) of each stream."""
    frames = np.stack(list(_decoded(video)))
    flow = _opencv_flow([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])
    inputs = {
        "rgb": crop(frames, CROP).astype(np.float32) * np.float32(2 / 255) - 1,
        "flow": np.clip(crop(flow, CROP), -BOUND_PX, BOUND_PX) / np.float32(BOUND_PX),
    }
    found = {}
    for stream, values in inputs.items():
        starts = range(0, len(frames) - LENGTH + 1, LENGTH)
        snippets = [torch.from_numpy(values[i : i + LENGTH]).permute(3, 0, 1, 2)[None] for i in starts]
        found[stream] = np.concatenate([_eager_i3d.embed(networks[stream], one.contiguous()) for one in snippets])
    return found


def _decoded(video: Path) -> Iterator[np.ndarray]:
    import av

    with av.open(str(video)) as source:
        for frame in source.decode(video=0):
            yield cv2.resize(frame.to_ndarray(format="rgb24"), SIZE)


def _opencv_flow(gray: list[np.ndarray]) -> FloatArray:
    engine = cv2.optflow.DualTVL1OpticalFlow_create()
    flow = [engine.calc(a, b, None) for a, b in pairwise(gray)]
    return np.stack([*flow, flow[-1]])
