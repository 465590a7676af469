"""The Ray engine against the local one on this machine, and a cluster that loses a node.

Engines: the same rendered videos, RGB and flow, random weights, small frames; the cluster has one node with all cores,
so that its worker has what the local pass has. Both are timed from the call to the report, in turns, on engines that
were used once before; ray.init, which a cluster of one's own adds once, is a row of its own. The ratio of the medians
is what counts, and the shards must be the same bytes.

Loss: a head and four nodes of one core; when the first video has ended, the node that made it is killed. The folder
must be complete, and the same bytes as that of an undisturbed local run.
"""

from __future__ import annotations

import logging
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from tal import shards
from tal.bench import Row
from tal.cache import Cache
from tal.demo.scripts import DemoOptions
from tal.demo.videos import render
from tal.pipeline import extract
from tal.pipeline.ray_cluster import RayOptions
from tal.pipeline.ray_extraction import extract_on_ray
from tal.pipeline.ray_fleet import Fleet
from tal.pipeline.ray_hands import Hand
from tal.progress import Progress
from tal.settings import ExtractSettings, RuntimeSettings, Settings

GOAL = 1.15
STORE = 80 << 20
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_DEDUP_LOGS_SKIP_REGEX": ".*"}


def run(quick: bool, progress: Progress) -> list[Row]:
    """Measure, then kill."""
    os.environ.update({name: os.environ.get(name, value) for name, value in QUIET.items()})
    repeats, n_videos, fps = (1, 4, 5) if quick else (3, 12, 10)
    with tempfile.TemporaryDirectory() as folder, progress.task("runs", 2 * repeats + 3, "runs") as bar:
        bench = Bench(Path(folder), n_videos, fps)
        with cluster(n_cores()) as started_s:
            for engine in (bench.local, bench.ray):
                engine(f"warm-{engine.__name__}")
                bar.advance()
            pairs = []
            for i in range(repeats):
                pairs.append((bench.ray(f"ray{i}"), bench.local(f"local{i}")))
                bar.advance(2)
        ours, peer = (statistics.median(times) for times in zip(*pairs, strict=True))
        same = bench.same("ray0", "local0")
        with cluster(0, n_nodes=4) as _, killing() as killed:
            lost_s = bench.ray("lost")
            bar.advance()
        whole = bench.same("lost", "local0") and len(killed) == 1
    return [
        Row(f"{n_videos} videos: Ray, against local", ours, "s", peer, f"ratio <= {GOAL:g}", ours <= GOAL * peer),
        Row("shards that differ from the local run's", float(not same), "", None, "0", same),
        Row("Ray: starting one node", started_s, "s"),
        Row("4 nodes, one killed: whole and the same bytes", float(whole), "", None, "1", whole),
        Row("4 nodes of 1 core, one killed: all videos", lost_s, "s"),
    ]


def n_cores() -> int:
    """Return how many cores both engines may use: fewer than there are where PyTorch was told so."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


class Bench:
    """Videos, and both engines under the same settings."""

    def __init__(self, folder: Path, n_videos: int, fps: int) -> None:
        self._folder, self._cache = folder, Cache(folder / "cache")
        half = n_videos // 2
        options = DemoOptions(n_train=half, n_test=n_videos - half, size=(128, 96), fps=Fraction(fps))
        self._videos = render(folder / "data", options).videos
        chosen = ExtractSettings(weights="random:0", fps=Fraction(fps), short_side=96, crop=0, calibration_videos=2)
        self._settings = Settings(extract=chosen, runtime=RuntimeSettings(isolate="all", workers=n_cores()))

    def local(self, name: str) -> float:
        """Return the seconds of a local extraction, in a watched process as the command runs it."""
        return self._timed(extract, name)

    def ray(self, name: str) -> float:
        """Return the seconds of the same on the cluster."""
        return self._timed(extract_on_ray, name, options=RayOptions(cpus=0))

    def same(self, one: str, other: str) -> bool:
        """Return whether two runs left the same bytes, of all videos."""
        found = [
            {path.name: path.read_bytes() for path in (self._folder / name).glob(f"*{shards.SUFFIX}")}
            for name in (one, other)
        ]
        return found[0] == found[1] and len(found[0]) == len(list(Path(self._videos).iterdir()))

    def _timed(self, engine: Any, name: str, **more: Any) -> float:
        started_s = time.monotonic()
        engine(self._videos, self._folder / name, self._settings, cache=self._cache, **more)
        return time.monotonic() - started_s


@contextmanager
def cluster(n_cpus: int, n_nodes: int = 0) -> Iterator[float]:
    """Start a cluster on this machine and join it; yields how many seconds its head took."""
    import ray
    from ray.cluster_utils import Cluster

    started_s = time.monotonic()
    head = {"num_cpus": n_cpus, "object_store_memory": STORE, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(n_nodes):
        made.add_node(num_cpus=1, object_store_memory=STORE)
    ray.init(made.address, log_to_driver=False, logging_level=logging.CRITICAL)
    _CLUSTERS.append(made)
    try:
        yield time.monotonic() - started_s
    finally:
        _CLUSTERS.remove(made)
        ray.shutdown()
        made.shutdown()


_CLUSTERS: list[Any] = []


@contextmanager
def killing() -> Iterator[list[str]]:
    """Kill the node that ends the first video; yields the nodes that were killed."""
    killed, end = list[str](), Fleet._end

    def end_and_kill(self: Fleet, hand: Hand, path: Path) -> None:
        end(self, hand, path)
        if not killed:
            killed.append(hand.share.node)
            (node,) = (one for one in _CLUSTERS[-1].worker_nodes if one.node_id == hand.share.node)
            _CLUSTERS[-1].remove_node(node, allow_graceful=False)

    Fleet._end = end_and_kill  # type: ignore[method-assign]
    try:
        yield killed
    finally:
        Fleet._end = end  # type: ignore[method-assign]
