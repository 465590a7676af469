"""What each method reaches on features drawn on THUMOS14's real annotations: mAP, seeds of data and of training.

Each method is trained with its shipped settings on the training videos of the generator's seeds 0, 1 and 2 (256-d
features per stream), with three training seeds each, and localizes the test videos; ActivityNet protocol. The figure
is the mean over the network's last three states, 5 % of the updates apart, never the best of them. Peers are what the
authors' or the best public code reaches on seed 0 with one training seed; CPMN and ASSG have no public code and are
compared with our STPN, `best` with the best of the other five. Trainings are kept in the cache, so an interrupted
measurement goes on. ``TAL_BENCH_SEEDS=2`` takes fewer training seeds, ``TAL_BENCH_METHODS=stpn,cmcs`` fewer methods.
`--quick`: one seed, 30 updates: a check that it runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from _thumos import World, learn, score, world

from tal import config, methods
from tal.bench import Row
from tal.errors import ConfigError
from tal.progress import Progress
from tal.settings import Settings

DATA_SEEDS, TRAINING_SEEDS = (0, 1, 2), 3
LAST, APART = 3, 20
"""States of the network whose results are averaged, and how far they lie apart, as a part of the run's updates."""
PUBLIC = {"cmcs": 46.7, "stpn": 38.9, "ecm": 24.6}
"""Average mAP, %, of public code on data seed 0: CMCS official, STPN of bellos1203 (8,000 updates), ECM official."""


@dataclass(frozen=True)
class Measured:
    """mAP in %, (data seeds, training seeds, tIoU thresholds)."""

    values: np.ndarray

    @property
    def averages(self) -> np.ndarray:
        """Average over tIoU, (data seeds, training seeds)."""
        found: np.ndarray = self.values.mean(axis=2)
        return found


def run(quick: bool, progress: Progress) -> list[Row]:
    """Train and evaluate all methods."""
    data_seeds = DATA_SEEDS[:1] if quick else DATA_SEEDS
    training_seeds = 1 if quick else int(os.environ.get("TAL_BENCH_SEEDS", TRAINING_SEEDS))
    worlds, found = {seed: world(seed) for seed in data_seeds}, {}
    for name in _chosen():
        cells = [
            [_measure(worlds[data], _settings(name, seed, quick), f"{name}-{data}-{seed}", progress)
             for seed in range(training_seeds)]
            for data in data_seeds
        ]  # fmt: skip
        found[name] = Measured(np.array(cells))
    return [row for name in found for row in _rows(name, found, data_seeds, quick)]


def _chosen() -> list[str]:
    wanted = os.environ.get("TAL_BENCH_METHODS", "")
    known = sorted(methods.available(), key=lambda name: (name == "best", name))
    if missing := set(filter(None, wanted.split(","))) - set(known):
        raise ConfigError(f"TAL_BENCH_METHODS: no method '{missing.pop()}'")
    return [name for name in known if not wanted or name in wanted.split(",")]


def _settings(name: str, seed: int, quick: bool) -> Settings:
    if quick:
        return config.load(name, options={"train.seed": seed, "train.steps": 30})
    apart = max(1, config.load(name).train.steps // APART)
    return config.load(name, options={"train.seed": seed, "train.last": LAST, "train.last_every": apart})


def _measure(data: World, settings: Settings, name: str, progress: Progress) -> np.ndarray:
    """Return mAP in % at each tIoU, the mean over the last states."""
    run = learn(data, settings, progress, name)
    states = [*sorted((run.path / "last").glob("*.safetensors")), run.model]
    maps = [score(data, state, settings, progress).map for state in states]
    mean: np.ndarray = 100 * np.mean(maps, axis=0)
    return mean


def _rows(name: str, found: dict[str, Measured], data_seeds: tuple[int, ...], quick: bool) -> Iterator[Row]:
    ours = found[name]
    for i, seed in enumerate(data_seeds):
        peer, goal, margin = _peer(name, found, i, seed)
        value = float(ours.averages[i].mean())
        met = None if quick or peer is None else value >= peer + margin
        yield Row(f"{name}, data seed {seed}, average", value, "%", peer, goal, met)
        if ours.averages.shape[1] > 1:
            deviation = float(ours.averages[i].std())
            yield Row(f"{name}, data seed {seed}, deviation over training seeds", deviation, "%")
    for j, tiou in enumerate(("0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7")):
        yield Row(f"{name}, all seeds, tIoU {tiou}", float(ours.values[:, :, j].mean()), "%")
    yield Row(f"{name}, all seeds, average", float(ours.averages.mean()), "%")
    yield Row(f"{name}, all seeds, deviation", float(ours.averages.std()), "%")


def _peer(name: str, found: dict[str, Measured], i: int, seed: int) -> tuple[float | None, str, float]:
    """Return what a method is compared with on a data seed, the goal in words, and by how much to beat it."""
    if name == "best":
        others = [float(one.averages[i].mean()) for key, one in found.items() if key != "best"]
        return (max(others), ">= 3 above the best of five", 3.0) if others else (None, "", 0.0)
    if name in PUBLIC:
        return (PUBLIC[name], ">= public code", 0.0) if seed == 0 else (None, "", 0.0)
    stpn = found.get("stpn")
    return (float(stpn.averages[i].mean()), "> our STPN", 0.0) if stpn else (None, "", 0.0)
