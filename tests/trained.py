"""A short training of both streams on planted shards, and what it leaves behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import CLASSES, Listener, settings, training_videos
from safetensors.numpy import load_file

from tal.progress import Silent
from tal.settings import Settings
from tal.training import TrainingSet, fit


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    """Nine videos of three classes."""
    return TrainingSet(training_videos(tmp_path_factory.mktemp("shards")), CLASSES)


@pytest.fixture(scope="module")
def straight(data: TrainingSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of both streams that nobody interrupted."""
    return run(data, settings(), tmp_path_factory.mktemp("straight"))


def run(data: TrainingSet, how: Settings, work: Path, listener: Listener | None = None) -> Path:
    work.mkdir(exist_ok=True)
    fit(data, how, work, listener or Silent())
    return work


def weights(work: Path) -> dict[str, np.ndarray]:
    return load_file(work / "model.safetensors")


def metrics(work: Path) -> list[dict[str, Any]]:
    """What was noted of the losses, without times."""
    lines = [json.loads(line) for line in (work / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def same(one: Path, two: Path) -> bool:
    """Whether two runs left the same model, bit by bit."""
    return (one / "model.safetensors").read_bytes() == (two / "model.safetensors").read_bytes()
