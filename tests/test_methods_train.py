"""Every method through the trainer, with its shipped settings shortened: kills, one video, videos of one snippet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planted import CLASSES, DIM, Killed, Listener, training_videos, write_shard

from tal import config, methods, models
from tal.localization import localize
from tal.progress import Silent
from tal.settings import Settings
from tal.training import TrainingSet, TrainingVideo, fit
from tal.types import Activations, Features, FloatArray, SnippetGrid

every_method = pytest.mark.parametrize("name", methods.available())
STEPS = 6


class Oracle:
    """A guide that takes loud snippets of a class's channel for the class."""

    def activations(self, video: TrainingVideo, network: str, features: FloatArray) -> Activations:
        loud = sum(part[:, : len(CLASSES)] for part in np.split(features, features.shape[1] // DIM, axis=1))
        signal = (loud > 1.5).astype(np.float32) * 0.9 + np.float32(0.02)
        return Activations(signal, signal.max(axis=0), signal, signal.max(axis=1))


def short(name: str, **train: object) -> Settings:
    quick = {"steps": STEPS, "batch_size": 4, "n_snippets": 24, "last": 1, **train}
    options = {f"train.{key}": value for key, value in quick.items()}
    return config.load(name, options={**options, "runtime.device": "cpu", "runtime.checkpoint_every": 2})


def learn(name: str, data: TrainingSet, work: Path, listener: Listener | None = None, **train: object) -> Path:
    work.mkdir(exist_ok=True)
    fit(data, short(name, **train), work, listener or Silent(), Oracle())
    return work


def model_of(work: Path) -> bytes:
    return (work / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    return TrainingSet(training_videos(tmp_path_factory.mktemp("shards"), 6), CLASSES)


@every_method
def test_same_seed_same_model_also_after_a_kill(name: str, data: TrainingSet, tmp_path: Path) -> None:
    straight = model_of(learn(name, data, tmp_path / "straight"))
    with pytest.raises(Killed):
        learn(name, data, tmp_path / "killed", Listener(kill_at=STEPS - 1))
    assert model_of(learn(name, data, tmp_path / "killed")) == straight
    assert model_of(learn(name, data, tmp_path / "other", seed=1)) != straight


@every_method
@pytest.mark.parametrize("n_snippets", [1, 2, 40])
def test_one_video_of_any_length_is_enough(name: str, n_snippets: int, tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((n_snippets, DIM), np.float32)
    shard = write_shard(tmp_path / "one.safetensors", {"rgb": values, "flow": values})
    data = TrainingSet([TrainingVideo("one", shard, ("wave",))])
    model = models.load(learn(name, data, tmp_path / "run", steps=2))
    features = Features({"rgb": values, "flow": values}, SnippetGrid(n_snippets), n_snippets * 0.64)
    found = localize(model.activate(features), features.grid, ["wave"], short(name).localize, features.duration_s)
    assert found.detections or found.reason
    for detection in found.detections:
        assert 0 <= detection.segment.start_s <= detection.segment.end_s <= n_snippets * 0.64 + 1e-6
        assert np.isfinite(detection.score)


@every_method
@pytest.mark.parametrize("fusion", ["late", "early", "rgb", "flow"])
def test_any_fusion_trains(name: str, fusion: str, data: TrainingSet, tmp_path: Path) -> None:
    model = models.load(learn(name, data, tmp_path / "run", fusion=fusion, steps=2))
    assert set(model.networks) == {"late": {"rgb", "flow"}, "early": {"rgb+flow"}}.get(fusion, {fusion})


@pytest.mark.parametrize(("fusion", "expected"), [("early", 2), ("rgb", 1), ("late", 1)])
def test_best_learns_how_many_streams_it_sees(fusion: str, expected: int, data: TrainingSet, tmp_path: Path) -> None:
    model = models.load(learn("best", data, tmp_path / "run", fusion=fusion, steps=2))
    assert {len(network.experts) for network in model.networks.values()} == {expected}
    assert model.meta.method["streams"] == expected


@every_method
@pytest.mark.parametrize("dataset", ["thumos14", "activitynet12", "activitynet13"])
def test_every_method_has_settings_for_every_data_set(name: str, dataset: str) -> None:
    found, shipped = config.load(name, dataset=dataset), config.load(name)
    assert methods.resolve(found.method)
    assert found.train.steps >= shipped.train.steps
