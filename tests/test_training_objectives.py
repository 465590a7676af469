"""What a method is given in training: videos to prepare by, batches, a step for each objective, finite losses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import trained
from planted import CLASSES, DIM, settings
from trained import metrics, run, same, weights

from tal.errors import ModelError
from tal.methods._base import Batch, LabelledVideo
from tal.methods.stpn import Network
from tal.training import TrainingSet

data, straight = trained.data, trained.straight  # fixtures


def test_prepare_sees_every_video_once_before_the_first_update(
    data: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[LabelledVideo] = []

    def look(self: Network, videos: Iterator[LabelledVideo]) -> None:
        seen.extend(videos)

    monkeypatch.setattr(Network, "prepare", look)
    run(data, settings(fusion="early", steps=1), tmp_path)
    assert [video.features.shape for video in seen] == [(header.grid.n_snippets, 2 * DIM) for header in data.headers]
    assert np.array_equal(np.stack([video.labels for video in seen]), data.labels)
    assert all(video.motion is None for video in seen)


def test_batches_hold_the_snippets_they_name(
    data: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Batch] = []
    sound = Network.objectives

    def watched(self: Network, batch: Batch) -> Iterator[dict[str, torch.Tensor]]:
        seen.append(batch)
        return sound(self, batch)

    monkeypatch.setattr(Network, "objectives", watched)
    run(data, settings(fusion="early", steps=9), tmp_path)
    for batch in seen:
        assert batch.features.shape == (4, 20, 2 * DIM)
        for row, (video, chosen) in enumerate(zip(batch.aux["video"], batch.aux["snippet"], strict=True)):
            expected = np.concatenate([data.features(int(video), s)[chosen] for s in ("rgb", "flow")], axis=1)
            assert np.array_equal(batch.features[row].numpy(), expected)
            named = {CLASSES[c] for c in batch.labels[row].nonzero()[:, 0]}
            assert named == set(data.videos[int(video)].labels)
    visits = torch.cat([batch.aux["video"] for batch in seen])  # 9 updates of 4: four epochs of 9 videos
    assert all(sorted(epoch.tolist()) == list(range(9)) for epoch in visits.split(9))


def test_each_yielded_objective_gets_its_own_step(
    data: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice(self: Network, batch: Batch) -> Iterator[dict[str, torch.Tensor]]:
        for name in ("first", "second"):
            yield {name: self.classifier.bias.sum()}

    monkeypatch.setattr(Network, "objectives", twice)
    bias = weights(run(data, settings(fusion="rgb", steps=1, lr=0.125), tmp_path))["rgb/classifier.bias"]
    np.testing.assert_allclose(bias, -0.25, rtol=1e-5)  # Adam moves by lr per step under a constant gradient
    assert set(metrics(tmp_path)[0]["losses"]) == {"first", "second"}


def test_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(
    data: TrainingSet, straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Batch] = []
    sound = Network.objectives

    def broken(self: Network, batch: Batch) -> Iterator[dict[str, torch.Tensor]]:
        seen.append(batch)
        for losses in sound(self, batch):
            yield {**losses, "class": losses["class"] * torch.nan} if len(seen) == 8 else losses

    monkeypatch.setattr(Network, "objectives", broken)
    with pytest.raises(ModelError) as caught:
        run(data, settings(), tmp_path)
    cause = "rgb, update 8: loss 'class' is nan; lower train.lr, or look at the features"
    assert str(caught.value) == f"{cause}; the checkpoint of update 5 is kept"
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 5
    monkeypatch.undo()
    assert same(run(data, settings(), tmp_path), straight)


def test_learning_rate_that_is_far_too_high_is_told(data: TrainingSet, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^rgb, update \d+: .*; lower train\.lr[^\n]*$"):
        run(data, settings(lr=1e38), tmp_path)
