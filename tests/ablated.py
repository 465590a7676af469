"""Planted features with labels and ground truth for ablations, and tables of a test's own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from planted import DIM, annotated_videos, write_shard

import tal
from tal import config
from tal.cache import Cache
from tal.pipeline import ablation_tables

QUICK = ["method.hidden=8", "train.steps=12", "train.batch_size=4", "train.n_snippets=20", "train.lr=1e-2"]
QUICK += ["runtime.device=cpu", "runtime.checkpoint_every=5", "localize.rule=max", "localize.thresholds=[0.6]"]


@dataclass(frozen=True)
class Data:
    """Features of training and test videos and of one that belongs to neither; a cache that tests share."""

    features: Path
    labels: Path
    truth: Path
    cache: Path

    def ablate(self, *sets: str, cache: Path | None = None, **more: Any) -> tal.pipeline.AblationReport:
        settings = config.load(sets=[*QUICK, *sets])
        return tal.ablate(self.features, self.labels, self.truth, settings, cache=Cache(cache or self.cache), **more)

    def places(self) -> list[Path | str]:
        return ["-f", self.features, "-l", self.labels, "-a", self.truth]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Eight training videos, six of the test set, and a seventh of which there are no features."""
    folder = tmp_path_factory.mktemp("ablations")
    database = annotated_videos(folder, 14, 8, {"rgb": 1.0, "flow": 0.5})
    nothing = np.zeros((24, DIM), np.float32)
    write_shard(folder / "features" / "stranger.safetensors", {"rgb": nothing, "flow": nothing})
    (folder / "truth.json").write_text(json.dumps({"database": {**database, "unseen": database["v13"]}}))
    return Data(folder / "features", folder / "labels.csv", folder / "truth.json", folder / "cache")


@pytest.fixture
def own_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let tables be looked for in a folder of the test's."""
    monkeypatch.setattr(ablation_tables, "shipped", lambda folder: tmp_path / folder)
    (tmp_path / "configs" / "ablations").mkdir(parents=True)
    return tmp_path / "configs" / "ablations"


def write_table(folder: Path, *rows: dict[str, Any], method: str = "stpn", **about: Any) -> None:
    table = {"source": "table 1", "tiou": 0.5, **about, "rows": list(rows)}
    (folder / f"{method}.yaml").write_text(yaml.safe_dump({"tables": [table]}))
