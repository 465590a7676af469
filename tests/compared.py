"""Runs that learned and one that did not, and what they are compared on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import annotated_videos
from small import Done
from small import tal as command

import tal
from tal import config
from tal.cache import Cache
from tal.pipeline import Resampling, compare
from tal.pipeline.comparison_reports import Comparison
from tal.results import Results, write_results

QUICK = ["method.hidden=8", "train.fusion=rgb", "train.batch_size=4", "train.n_snippets=20", "train.lr=2e-2"]
QUICK += ["runtime.device=cpu", "localize.rule=max", "localize.thresholds=[0.6]"]
FEW = Resampling(200)


@dataclass(frozen=True)
class Data:
    """Features and truth of training and test videos, runs that learned and one that did not; a cache they share."""

    folder: Path

    @property
    def truth(self) -> Path:
        return self.folder / "truth.json"

    @property
    def features(self) -> Path:
        return self.folder / "features"

    @property
    def cache(self) -> Cache:
        return Cache(self.folder / "cache")

    def compare(self, *entries: str, how: Resampling = FEW, **more: Any) -> Comparison:
        named = [self.folder / "runs" / entry for entry in entries]
        settings = config.load(options={"evaluate.subset": "test"})
        return compare(named, self.truth, settings, features=self.features, resampling=how, cache=self.cache, **more)

    def command(self, *arguments: object) -> Done:
        return command("compare", *arguments, cwd=self.folder, cache=self.folder / "cache")


def _misplaced(i: int, values: np.ndarray) -> np.ndarray:
    """Turn some test videos: the action is not where the truth says, and nobody is perfect."""
    return values[::-1].copy() if i >= 12 and i % 4 == 0 else values


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Twelve training videos, twenty of the test set, two seeds of a trained run and one after a single update."""
    folder = tmp_path_factory.mktemp("compared")
    annotated_videos(folder, 32, 12, {"rgb": 1.0}, _misplaced)
    for name, steps, seed in (("good-seed0", 90, 0), ("good-seed1", 90, 1), ("new", 1, 0)):
        settings = config.load(sets=[*QUICK, f"train.steps={steps}", f"train.seed={seed}"])
        places = {"runs": folder / "runs", "cache": Cache(folder / "cache")}
        tal.train(folder / "features", folder / "labels.csv", settings, name=name, **places)
    return Data(folder)


def written(path: Path, **videos: Any) -> Path:
    write_results(path, Results(videos))
    return path
