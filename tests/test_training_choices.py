"""Accumulated gradients, schedules, whole videos, samples, earlier states, and learning from another model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trained
from planted import CLASSES, DIM, Killed, Listener, settings
from torch import Tensor, nn

from tal import methods, models, sampling
from tal.errors import ConfigError, InputError
from tal.methods._base import Batch, LabelledVideo, Method, Sample
from tal.methods.stpn import Network as Stpn
from tal.progress import Silent
from tal.settings import Section, TrainSettings
from tal.training import TrainingSet, TrainingVideo, fit, snapshots
from tal.training.updates import learning_rate, update
from tal.types import Activations, FloatArray

data = trained.data  # a fixture


class Counting(Method):
    """One weight; its objective's gradient is the sum of the labels of a batch."""

    WHOLE = True
    seen: list[Batch]

    def __init__(self, config: Section, n_channels: int, n_classes: int) -> None:
        super().__init__(config, n_channels, n_classes)
        self.weight = nn.Parameter(torch.zeros(()))

    def prepare(self, videos: Iterable[LabelledVideo]) -> Sequence[Sample] | None:
        self.videos = list(videos)
        return None

    def objectives(self, batch: Batch) -> Iterator[dict[str, Tensor]]:
        type(self).seen.append(batch)
        yield {"first": self.weight * batch.labels.sum()}
        yield {"second": self.weight * 2}

    def activate(self, features: Tensor) -> Activations:
        zeros = np.zeros((len(features), self.n_classes), np.float32)
        return Activations(zeros, zeros[0], zeros, zeros[:, 0])


class Plain(Section):
    """No hyper-parameters."""


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> type[Counting]:
    """Put a method that only counts in STPN's place."""
    module = methods.load("stpn")
    monkeypatch.setattr(module, "Network", Counting)
    Counting.seen = []
    return Counting


def test_gradients_of_accumulated_batches_are_added_up_objective_by_objective() -> None:
    Counting.seen = []
    network, steps = Counting(Plain(), DIM, 3), []
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    optimizer.register_step_pre_hook(lambda *_: steps.append(network.weight.grad.item()))  # type: ignore[union-attr]
    batches = [Batch(torch.zeros(1, 2, DIM), torch.full((1, 3), float(i))) for i in (1, 2)]
    losses = update(network, optimizer, batches, 0.5, "here")
    assert steps == [9.0, 4.0]  # 3 * 1 + 3 * 2, then 2 + 2
    assert network.weight.item() == pytest.approx(-0.5 * 13)
    assert losses == {"first": 0.0, "second": pytest.approx(-4.5 * 2)}


def test_learning_rate_falls_after_the_given_shares_of_the_run() -> None:
    train = TrainSettings(steps=10, lr=1.0, decay_at=(0.2, 0.5), decay=0.1)
    rates = [learning_rate(train, step) for step in range(1, 11)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.01])


def test_whole_videos_come_packed(data: TrainingSet, counting: type[Counting], tmp_path: Path) -> None:
    fit(data, settings(fusion="early", sampling="whole", steps=3, batch_size=4), tmp_path, Silent())
    lengths = [header.grid.n_snippets for header in data.headers]
    seen = set()
    for batch in counting.seen:
        assert batch.lengths == tuple(lengths[i] for i in batch.aux["video"])
        assert batch.features.shape == (sum(batch.lengths), 2 * DIM)
        first = int(batch.aux["video"][0])
        assert np.array_equal(batch.features[: lengths[first]], data.concatenated(first, ["rgb", "flow"]))
        assert batch.aux["snippet"][: lengths[first]].tolist() == list(range(lengths[first]))
        seen |= set(batch.aux["video"].tolist())
    assert len(seen) == 9  # two and two thirds epochs of nine videos
    assert [batch.done for batch in counting.seen] == pytest.approx([0, 1 / 3, 2 / 3])


def test_a_method_that_wants_equal_lengths_refuses_whole_videos(data: TrainingSet, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        fit(data, settings(sampling="whole"), tmp_path, Silent())
    assert str(caught.value) == "stpn cannot learn from whole videos; set train.sampling, such as stratified"


def test_samples_of_a_method_are_what_an_epoch_consists_of(
    data: TrainingSet, counting: type[Counting], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = np.array([3, 5, 6], np.int64)
    two = [
        Sample(4, np.array([0, 0, 0], np.float32), part, 0.25),
        Sample(7, np.array([0, 1, 0], np.float32)),
    ]
    monkeypatch.setattr(counting, "prepare", lambda self, videos: two)
    fit(data, settings(fusion="flow", steps=5, batch_size=2, n_snippets=6), tmp_path, Silent())
    for batch in counting.seen:
        assert sorted(batch.aux["video"].tolist()) == [4, 7]
        row = batch.aux["video"].tolist().index(4)
        assert set(batch.aux["snippet"][row].tolist()) <= {3, 5, 6}
        assert batch.aux["weight"][row] == 0.25
        assert batch.aux["weight"][1 - row] == 1
        assert batch.labels[row].sum() == 0
        assert np.array_equal(batch.features[row], data.features(4, "flow")[batch.aux["snippet"][row]])


def test_nothing_to_learn_from_is_told(
    data: TrainingSet, counting: type[Counting], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "prepare", lambda self, videos: [])
    with pytest.raises(InputError, match="stpn found nothing to learn from in the rgb features"):
        fit(data, settings(), tmp_path, Silent())


def test_earlier_states_are_kept_as_models(data: TrainingSet, tmp_path: Path) -> None:
    how = settings(steps=12, last=3, last_every=4)
    fit(data, how, tmp_path / "long", Silent())
    assert sorted(path.name for path in (tmp_path / "long" / "last").iterdir()) == [
        "0000004.safetensors",
        "0000008.safetensors",
    ]
    features = torch.rand(5, DIM)
    for steps in (4, 8):
        fit(data, settings(steps=steps), tmp_path / str(steps), Silent())
        kept = models.load(tmp_path / "long" / "last" / f"{steps:07d}.safetensors").networks
        alone = models.load(tmp_path / str(steps)).networks
        for name in ("rgb", "flow"):
            assert np.array_equal(kept[name].activate(features).signal, alone[name].activate(features).signal)


def test_earlier_states_survive_a_kill(data: TrainingSet, tmp_path: Path) -> None:
    how = settings(steps=12, last=3, last_every=4)
    fit(data, how, tmp_path / "straight", Silent())
    with pytest.raises(Killed):
        fit(data, how, tmp_path / "killed", Listener(kill_at=21))
    fit(data, how, tmp_path / "killed", Silent())
    for name in ("0000004.safetensors", "0000008.safetensors"):
        assert (tmp_path / "killed/last" / name).read_bytes() == (tmp_path / "straight/last" / name).read_bytes()


def test_steps_whose_states_are_kept() -> None:
    assert snapshots.due(TrainSettings(steps=10, last=3, last_every=4)) == {2, 6}
    assert snapshots.due(TrainSettings(steps=10, last=5, last_every=6)) == {4}
    assert snapshots.due(TrainSettings(steps=10)) == set()


@dataclass
class Oracle:
    """A guide that remembers what it was asked."""

    asked: list[tuple[str, str, tuple[int, ...]]] = field(default_factory=list)

    def activations(self, video: TrainingVideo, network: str, features: FloatArray) -> Activations:
        self.asked.append((video.name, network, features.shape))
        values = np.full((len(features), len(CLASSES)), len(self.asked), np.float32)
        return Activations(values, values[0], values, values[:, 0])


def test_a_guide_says_something_about_each_video(
    data: TrainingSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    heard: list[LabelledVideo] = []
    monkeypatch.setattr(Stpn, "prepare", lambda self, videos: heard.extend(videos))
    oracle = Oracle()
    fit(data, settings(), tmp_path, Silent(), oracle)
    names = [video.name for video in data.videos]
    assert [row[:2] for row in oracle.asked] == [(n, s) for s in ("rgb", "flow") for n in names]
    assert [int(video.guide.signal[0, 0]) for video in heard if video.guide] == list(range(1, 19))
    assert [len(video.features) for video in heard[:9]] == [shape[0] for _, _, shape in oracle.asked[:9]]
    assert heard[0].snippets_per_s == 25 / 16


def test_a_method_that_needs_a_guide_asks_for_one(
    data: TrainingSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Stpn, "GUIDE", "needed")
    with pytest.raises(ConfigError) as caught:
        fit(data, settings(), tmp_path, Silent())
    assert str(caught.value) == "stpn learns from another model; set train.guide, such as stpn, or a run folder"


@pytest.mark.parametrize(("key", "value"), [("decay_at", [1.0]), ("accumulate", 0), ("last", 0), ("decay", 0)])
def test_values_that_make_no_sense_are_refused(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=key):
        TrainSettings.model_validate({key: value})


def test_shots_begin_at_peaks_of_change() -> None:
    rng = np.random.default_rng(0)
    scenes = np.repeat(np.eye(4, 8, dtype=np.float32), [5, 7, 4, 9], axis=0)
    firsts = sampling.shots(scenes + 0.01 * rng.random(scenes.shape, dtype=np.float32))
    assert firsts.tolist() == [0, 5, 12, 16]
    assert sampling.shots(scenes[:1]).tolist() == [0]


def test_one_snippet_comes_from_each_shot() -> None:
    firsts, rng = np.array([0, 5, 12, 16]), np.random.default_rng(1)
    for _ in range(20):
        drawn = sampling.per_shot(firsts, 25, 4, rng)
        assert np.searchsorted(firsts, drawn, side="right").tolist() == [1, 2, 3, 4]
    many = sampling.per_shot(firsts, 25, 40, rng)
    assert (np.diff(many) >= 0).all()
    assert len(set(many.tolist())) > 10


def test_sparse_sampling_keeps_to_its_stratum() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        assert (sampling.sparse(40, 8, rng) // 5 == np.arange(8)).all()
    assert sampling.sparse(3, 6, rng).tolist() == [0, 0, 1, 1, 2, 2]
