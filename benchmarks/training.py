"""Seconds per update of each method at THUMOS14's scale; memory of a training at ActivityNet's scale.

Times are means over updates 21 to 40 of a training with shipped settings on made-up features of I3D's width (1024 per
stream, 48 videos of 60 to 600 snippets), sampling included. Peers are the public codes' times per update in the same
batch shapes, measured once on two idle cores of another machine with PyTorch 2.13 (STPN: TensorFlow 2.15); they are not
run here. Second peers are, right after ours: STPN, CMCS and ECM written down plainly with PyTorch's layers, in float32,
on features that lie in memory. Whole trainings are updates times time per update, for all networks of a method. Memory:
STPN on 10,000 videos of 187 snippets (15 GB of features; files are links to 50 different ones), its own process.
``TAL_BENCH_METHODS=stpn,cmcs`` takes fewer methods. `--quick`: one method, 500 videos.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _plain_cmcs import PlainCmcs
from _plain_ecm import PlainEcm
from _plain_stpn import PlainStpn, sampled
from _process import tal

from tal import config, methods, shards
from tal.bench import Row
from tal.progress import Progress
from tal.training import NETWORKS, TrainingSet, TrainingVideo, fit
from tal.types import Activations, Features, FloatArray, SnippetGrid

CLASSES = tuple(f"class{i:02d}" for i in range(20))
PUBLIC_S = {"stpn": 0.038, "cmcs": 0.08, "ecm": 13.2}
GOAL_RATIO = {"stpn": 0.5, "cmcs": 0.5, "ecm": 0.25}
GOAL_MINUTES = {"ecm": 90}
SHAPES = {"ecm": {"train.n_snippets": 750, "train.batch_size": 16, "train.sampling": "uniform"}}
"""Public codes' batch shapes from which shipped settings may differ."""


def run(quick: bool, progress: Progress) -> list[Row]:
    """Time all methods and measure memory."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        data = TrainingSet(_videos(work / "features", 20 if quick else 48), CLASSES)
        wanted = os.environ.get("TAL_BENCH_METHODS")
        names = ["stpn"] if quick else wanted.split(",") if wanted else methods.available()
        rows = [row for name in names for row in _times(name, data, work / name, progress)]
        return [*rows, _memory(work / "large", 500 if quick else 10_000)]


def _videos(folder: Path, n_videos: int, lengths: tuple[int, int] = (60, 600)) -> list[TrainingVideo]:
    rng = np.random.default_rng(0)
    videos = []
    for i in range(n_videos):
        n = int(rng.integers(*lengths, endpoint=True))
        streams = {name: rng.gamma(0.5, 0.3, (n, 1024)).astype(np.float32) for name in ("rgb", "flow")}
        path, motion = folder / f"v{i:05d}{shards.SUFFIX}", rng.gamma(2, 0.5, n).astype(np.float32)
        shards.write(path, Features(streams, SnippetGrid(n), n * 0.64, motion), str(i))
        videos.append(TrainingVideo(f"v{i:05d}", path, (CLASSES[i % 20],)))
    return videos


class _Oracle:
    """A guide that knows a place for each video's class."""

    def activations(self, video: TrainingVideo, network: str, features: FloatArray) -> Activations:
        """Return a peak in the video's first third."""
        signal = np.full((len(features), len(CLASSES)), 0.02, np.float32)
        for label in video.labels:
            signal[5 : len(features) // 3, CLASSES.index(label)] = 0.8
        return Activations(signal, signal.max(axis=0), signal, signal.max(axis=1))


def _times(name: str, data: TrainingSet, work: Path, progress: Progress) -> Iterator[Row]:
    """Yield seconds per update in the public code's batch shape, and minutes of a whole training as shipped."""
    shipped = config.load(name)
    seconds = _per_update(name, {}, data, work, progress)
    public = _per_update(name, SHAPES[name], data, work / "public", progress) if name in SHAPES else seconds
    first = next(iter(public))
    ratio, peer = GOAL_RATIO.get(name), PUBLIC_S.get(name)
    met = public[first] <= ratio * peer if ratio and peer else None
    yield Row(f"{name}, update of {first}", public[first], "s", peer, f"ratio <= {ratio:g}" if ratio else "", met)
    minutes, limit = sum(seconds.values()) * shipped.train.steps / 60, GOAL_MINUTES.get(name, 10)
    what = f"{name}, whole training, {' and '.join(seconds)}"
    yield Row(what, minutes, "min", None, f"<= {limit} min", minutes <= limit)
    if ratio:
        plain = PLAIN[name](data)
        title = f"{name}, update of {first}, against the plain network"
        yield Row(title, public[first], "s", plain, f"ratio <= {ratio:g}", public[first] <= ratio * plain)


def _per_update(
    name: str, options: dict[str, Any], data: TrainingSet, work: Path, progress: Progress
) -> dict[str, float]:
    """Return seconds per update of each network of a training."""
    settings = config.load(name, options={**options, "train.steps": 40, "train.last": 1, "runtime.device": "cpu"})
    work.mkdir(parents=True)
    fit(data, settings, work, progress, _Oracle())
    found: dict[str, list[float]] = {}
    for line in (work / "metrics.jsonl").read_text().splitlines():
        about = json.loads(line)
        found.setdefault(about["network"], []).append(about["seconds"])
    return {network: (found[network][-1] - found[network][0]) / 20 for network in NETWORKS[settings.train.fusion]}


def _seconds(network: torch.nn.Module, update: Callable[[], Iterable[torch.Tensor]], n: int, decay: float) -> float:
    """Return the mean time of `n` updates with Adam, which sum up the gradients of some losses; one goes before."""
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-4, weight_decay=decay)
    started = 0.0
    for i in range(n + 1):
        started = time.monotonic() if i == 1 else started
        optimizer.zero_grad()
        for loss in update():
            loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return (time.monotonic() - started) / n


def _in_memory(data: TrainingSet, n: int) -> list[torch.Tensor]:
    return [torch.from_numpy(np.array(shards.read(one.shard).streams["rgb"])) for one in data.videos[:n]]


def _plain_stpn(data: TrainingSet) -> float:
    """Time updates on 6 x 400 x 1024."""
    network, videos = PlainStpn(1024, 20), _in_memory(data, 6)
    labels = torch.nn.functional.one_hot(torch.arange(6), 20).float()
    return _seconds(network, lambda: [network.loss(sampled(videos, 400), labels)], 40, 0.0)


def _plain_cmcs(data: TrainingSet) -> float:
    """Time updates on 24 whole videos x 1024."""
    network, videos = PlainCmcs(1024, 21), [one.T[None].contiguous() for one in _in_memory(data, 24)]
    return _seconds(network, lambda: (network.loss(one, i % 21) for i, one in enumerate(videos)), 20, 1e-3)


def _plain_ecm(data: TrainingSet) -> float:
    """Time updates on 16 x 750 x 2048."""
    network, features = PlainEcm(2048, 20), torch.rand(16, 2048, 750, generator=torch.Generator().manual_seed(0))
    labels = torch.nn.functional.one_hot(torch.arange(16), 20).float()
    return _seconds(network, lambda: [network.loss(features, labels)], 2, 5e-4)


PLAIN = {"stpn": _plain_stpn, "cmcs": _plain_cmcs, "ecm": _plain_ecm}


def _memory(folder: Path, n_videos: int) -> Row:
    """Return the peak memory of a short training on very many videos."""
    originals = _videos(folder / "originals", 50, (187, 187))
    features = folder / "features"
    features.mkdir()
    lines = ["video,label"]
    for i in range(n_videos):
        os.link(originals[i % 50].shard, features / f"a{i:05d}{shards.SUFFIX}")
        lines.append(f"a{i:05d},{CLASSES[i % 20]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    how = ["--set", "train.steps=100", "--set", "train.batch_size=32", "--quiet"]
    given = ["--labels", str(folder / "labels.csv"), "--features", str(features), "--runs", str(folder / "runs")]
    peak = tal("train", *given, *how, cwd=folder, cache=folder / "cache").peak_mib
    return Row(f"peak memory, STPN on {n_videos} videos", peak, "MiB", None, "< 4096 MiB", peak < 4096)
