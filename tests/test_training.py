"""Training: what it learns and writes, what it depends on, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import trained
from planted import CLASSES, DIM, Listener, planted, settings, training_videos
from trained import metrics, run, same, weights

from tal import config, models, shards
from tal.errors import BackendError, ConfigError, InputError
from tal.progress import Silent
from tal.settings import Settings
from tal.training import TrainingSet, TrainingVideo, fit
from tal.types import Features, SnippetGrid

data, straight = trained.data, trained.straight  # fixtures


def test_planted_actions_are_learned_and_found(tmp_path: Path) -> None:
    data = TrainingSet(training_videos(tmp_path, 24, ["rgb"]), CLASSES)
    how = settings(fusion="rgb", steps=250, batch_size=8, n_snippets=30, lr=2e-2)
    model = models.load(run(data, how, tmp_path / "run"))
    rng = np.random.default_rng(99)  # other videos than those of the training
    for actions in ([0], [1], [2], [0, 2]):
        features, where = planted(rng, actions, 60)
        found = model.activate(Features({"rgb": features}, SnippetGrid(60), 38.4))["rgb"]
        peaks = (found.attention[:, None] * found.cas).argmax(axis=0)
        assert all(where[peaks[action], action] for action in actions)
        assert found.scores[actions].min() > max(np.delete(found.scores, actions))


def test_run_leaves_model_and_metrics_only(straight: Path) -> None:
    assert sorted(path.name for path in straight.iterdir()) == ["metrics.jsonl", "model.safetensors"]
    assert [(line["network"], line["step"]) for line in metrics(straight)] == [("rgb", 12), ("flow", 12)]
    assert set(metrics(straight)[0]["losses"]) == {"class", "sparsity"}


def test_metrics_are_means_over_twenty_updates(data: TrainingSet, tmp_path: Path) -> None:
    listener = Listener()
    lines = metrics(run(data, settings(fusion="rgb", steps=45), tmp_path, listener))
    totals = [float(note.removeprefix("loss ")) for note in listener.notes]
    assert [line["step"] for line in lines] == [20, 40, 45]
    means = [np.mean(totals[:20]), np.mean(totals[20:40]), np.mean(totals[40:])]
    assert [sum(line["losses"].values()) for line in lines] == pytest.approx(means, abs=1e-4)


def test_progress_has_one_task_per_network(data: TrainingSet, tmp_path: Path) -> None:
    listener = Listener()
    run(data, settings(), tmp_path, listener)
    assert listener.tasks == [
        ("check features", 9, "videos"),
        ("train rgb", 12, "updates"),
        ("train flow", 12, "updates"),
    ]
    assert listener.updates == 24
    assert listener.said == []


def test_seed_decides(data: TrainingSet, straight: Path, tmp_path: Path) -> None:
    other = weights(run(data, settings(seed=1), tmp_path))
    assert not np.allclose(other["rgb/classifier.weight"], weights(straight)["rgb/classifier.weight"], atol=1e-2)


def test_order_in_which_videos_are_given_does_not_matter(data: TrainingSet, straight: Path, tmp_path: Path) -> None:
    assert same(run(TrainingSet(data.videos[::-1], CLASSES), settings(), tmp_path), straight)


def test_one_stream_alone_is_the_same_network_as_in_late_fusion(
    data: TrainingSet, straight: Path, tmp_path: Path
) -> None:
    both = weights(straight)
    for stream in ("rgb", "flow"):
        alone = weights(run(data, settings(fusion=stream), tmp_path / stream))
        assert set(alone) == {key for key in both if key.startswith(stream)}
        assert all(np.array_equal(alone[key], both[key]) for key in alone)


def test_early_fusion_reads_both_streams_side_by_side(data: TrainingSet, tmp_path: Path) -> None:
    meta = models.read_meta(run(data, settings(fusion="early"), tmp_path))
    assert meta.networks == {"rgb+flow": 2 * DIM}
    assert meta.streams == {"rgb": DIM, "flow": DIM}
    assert weights(tmp_path)["rgb+flow/classifier.weight"].shape == (3, 2 * DIM)


def test_model_knows_how_it_was_made(data: TrainingSet, straight: Path) -> None:
    meta = models.read_meta(straight)
    assert meta.method == {
        "name": "stpn",
        "hidden": 8,
        "attention": True,
        "beta": 1e-4,
        "pool": "mean",
        "precision": "auto",
    }
    assert meta.classes == CLASSES
    assert meta.features == {"settings": {"fps": "25"}, "grid": {"fps": "25", "length": 16, "stride": 16}}
    assert Settings.model_validate(meta.settings).train == settings().train
    assert "runtime" not in meta.settings


def test_callers_random_numbers_are_left_alone(data: TrainingSet, straight: Path, tmp_path: Path) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    run(data, settings(), tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert same(tmp_path, straight)


def test_standardised_training_ignores_the_features_offset_and_scale(tmp_path: Path) -> None:
    """Features shifted and stretched per dimension give the same model outputs when they are standardised."""
    rng = np.random.default_rng(0)
    shift, stretch = rng.normal(0, 50, 6).astype(np.float32), rng.uniform(0.5, 20, 6).astype(np.float32)
    scores = []
    for name, change in (("plain", lambda x: x), ("changed", lambda x: x * stretch + shift)):
        folder = tmp_path / name
        videos = [_video(folder, i, change) for i in range(6)]
        sets = ["train.fusion=rgb", "train.standardise=true", "train.steps=30", "train.n_snippets=8"]
        (folder / "work").mkdir()
        fit(TrainingSet(videos), config.load(sets=sets), folder / "work", Silent())
        model = models.load(folder / "work")
        scores.append(model.activate(shards.read(videos[0].shard))["rgb"].cas)
    assert np.allclose(*scores, atol=0.02)


def _video(folder: Path, i: int, change: Callable[[np.ndarray], np.ndarray]) -> TrainingVideo:
    values = np.random.default_rng([1, i]).standard_normal((10, 6)).astype(np.float32)
    path = folder / f"v{i}.safetensors"
    shards.write(path, Features({"rgb": change(values).astype(np.float32)}, SnippetGrid(10), 6.4), "key")
    return TrainingVideo(f"v{i}", path, (("a", "b")[i % 2],))


def test_missing_stream_is_told_before_training(tmp_path: Path) -> None:
    videos = training_videos(tmp_path, streams=["rgb"])
    with pytest.raises(InputError) as caught:
        run(TrainingSet(videos), settings(), tmp_path / "run")
    assert str(caught.value) == (f"{videos[0].shard}: no flow stream; extract it, or choose another train.fusion")


def test_misspelt_hyper_parameter_is_told_before_training(data: TrainingSet, tmp_path: Path) -> None:
    wrong = settings().model_copy(update={"method": {"name": "stpn", "bta": 1e-3}})
    with pytest.raises(ConfigError, match=r"unknown key 'method\.bta'; did you mean 'method\.beta'\?"):
        run(data, wrong, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_device_that_is_not_there(data: TrainingSet, tmp_path: Path) -> None:
    how = settings().model_copy(update={"runtime": settings().runtime.model_copy(update={"device": "cuda:63"})})
    with pytest.raises(BackendError, match="device 'cuda:63' is not on this machine"):
        run(data, how, tmp_path)
