"""The combined method: its losses in closed form, its targets and its teacher by hand, and every switch."""

from __future__ import annotations

import math

import pytest
import torch
from small_best import C, D, T, network_of, world
from torch import Tensor

from tal.errors import ConfigError
from tal.methods._base import Batch
from tal.methods._best_parts import (
    GAIN,
    cross_entropy,
    restricted,
    taught,
    unseen,
)
from tal.methods.best import Config, Network


def doubles(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_fold_does_not_move_its_own_judges() -> None:
    network, batch = network_of(folds=2), world(6)
    even = Batch(batch.features[::2], batch.labels[::2], {"video": torch.tensor([0, 2, 4])})
    (losses,) = network.objectives(even)
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    for judges in (network.judges, *network.experts):
        own, other = judges.weight.grad.reshape(len(judges.weight), 2, -1).unbind(1)
        assert not own.any()
        assert other.any()


def test_untrained_losses_are_known() -> None:
    network, batch = network_of(), world(4)
    (losses,) = network.objectives(batch)
    assert losses["experts"].item() == pytest.approx(math.log(C), rel=1e-5)  # zero weights
    assert losses["judges"].item() == pytest.approx(math.log(C + 1), rel=1e-5)


def test_videos_count_the_same_for_experts_whatever_their_length() -> None:
    network = network_of(folds=1, streams=1).eval()
    with torch.no_grad():
        next(network.experts[0].parameters()).normal_()
    features = torch.rand(9, network.front.n_out)
    labels = torch.eye(C)[[0] * 2 + [1] * 7]
    weight = torch.tensor([1 / 2] * 2 + [1 / 7] * 7).unsqueeze(1)
    both = network.expert_loss(features, labels, weight).item()
    one, other = (network.expert_loss(features[s], labels[s], weight[s]).item() for s in (slice(2), slice(2, None)))
    assert both == pytest.approx((one + other) / 2, rel=1e-5)


def test_gradients_of_the_losses() -> None:
    target = doubles(5, 2, 3, seed=1).softmax(-1)
    weight = doubles(5, 2, seed=2).abs()
    assert torch.autograd.gradcheck(lambda z: cross_entropy(z, target, weight), doubles(5, 2, 3).requires_grad_())
    network = network_of(streams=2, folds=2).double().eval()
    labels = torch.eye(C, dtype=torch.float64)[[0, 1, 2, 0]]
    learns = taught(torch.tensor([0, 1, 0, 1]), 2).double()
    features = doubles(4, network.front.n_out).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: network.expert_loss(x, labels, learns), features)


def test_evidence_is_what_the_streams_geometric_mean_exceeds_chance_by() -> None:
    fold = torch.zeros(4, dtype=torch.int64)
    rgb, flow = torch.randn(4, 2, C), torch.randn(4, 2, C)
    p, q = rgb[:, 0].softmax(1), flow[:, 0].softmax(1)
    for trust in (0.0, 0.3, 1.0):
        found = network_of(trust=trust).evidence([rgb, flow], fold)
        expected = (p ** (1 - trust) * q**trust - 1 / C).clamp_min(0)
        assert torch.allclose(found, expected, atol=1e-6)
    assert torch.allclose(network_of(trust=0.3, streams=1).evidence([rgb], fold), (p - 1 / C).clamp_min(0), atol=1e-6)


def test_targets_are_seeds_first_and_the_teacher_s_word_later() -> None:
    network, batch = network_of(folds=2, grow_at=0.5), world(4)
    features, fold = network.front(batch.packed()[0]), torch.arange(4).remainder(2).repeat_interleave(T)
    labels = batch.labels.repeat_interleave(T, dim=0)
    first = network.targets(features, batch, fold, labels)
    assert ((first == 0) | (first == 1)).all()
    with torch.no_grad():
        network.teacher.weight.normal_()
    later = network.targets(features, Batch(batch.features, batch.labels, batch.aux, done=0.5), fold, labels)
    said = unseen(network.teacher(features), fold).softmax(dim=1)
    assert torch.allclose(later, restricted(said, labels))
    network.config = network.config.model_copy(update={"grow_at": 1.0})
    last = Batch(batch.features, batch.labels, batch.aux, done=0.999)
    assert torch.equal(network.targets(features, last, fold, labels), first)


def test_the_teacher_follows_the_judges() -> None:
    network = network_of(ema=0.9)
    with torch.no_grad():
        network.judges.bias.fill_(1.0)
    network.follow()
    assert network.teacher.bias.tolist() == pytest.approx([0.9] * len(network.teacher.bias))  # 9 / 10 of the way
    network.updates.fill_(1e6)
    network.follow()
    assert network.teacher.bias.tolist() == pytest.approx([0.91] * len(network.teacher.bias))  # 1 - ema of the rest
    exact = network_of(ema=0.0)
    with torch.no_grad():
        exact.judges.bias.fill_(3.0)
    exact.follow()
    assert exact.teacher.bias.tolist() == [3.0] * len(exact.teacher.bias)


def test_the_teacher_rests_in_evaluation() -> None:
    network = network_of().eval()
    list(network.objectives(world(4)))
    assert network.updates == 0


def test_the_teacher_learns_by_following_alone() -> None:
    network = network_of()
    assert list(network.teacher.parameters()) == []
    assert {"teacher.weight", "teacher.bias"} <= network.state_dict().keys()


def test_experts_learn_until_seeds_are_over() -> None:
    network, batch = network_of(grow_at=0.5), world(4)
    for done, expected in ((0.0, {"judges", "experts"}), (0.4, {"judges", "experts"}), (0.5, {"judges"})):
        (losses,) = network.objectives(Batch(batch.features, batch.labels, batch.aux, done=done))
        assert set(losses) == expected


def test_activations_are_the_mean_of_the_folds() -> None:
    network = network_of(folds=2, top=2)
    with torch.no_grad():
        network.teacher.bias.copy_(torch.tensor([0.0, 0, 0, math.log(3), math.log(5), 0, 0, 0]) / GAIN)
    found = network.activate(torch.rand(6, D))  # folds say 1/6 1/6 1/6 3/6 and 5/8 1/8 1/8 1/8
    first, others, background = (1 / 6 + 5 / 8) / 2, (1 / 6 + 1 / 8) / 2, (3 / 6 + 1 / 8) / 2
    assert found.signal[0].tolist() == pytest.approx([first, others, others], rel=1e-5)
    assert found.scores.tolist() == pytest.approx([first, others, others], rel=1e-5)
    assert found.attention.tolist() == pytest.approx([1 - background] * 6, rel=1e-5)
    assert found.cas[0, 0] == pytest.approx(math.log(first / background), rel=1e-4)


def test_features_that_are_not_so_many_streams_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        Network(Config(streams=5), D, C)
    assert str(caught.value) == "features of 24 channels are not 5 streams; set method.streams"


@pytest.mark.parametrize(("n_streams", "given", "expected"), [(2, 0, 2), (1, 0, 1), (1, 2, 2)])
def test_streams_follow_the_fusion_unless_they_are_set(n_streams: int, given: int, expected: int) -> None:
    found = Network.for_streams(Config(streams=given), n_streams)
    assert isinstance(found, Config)
    assert found.streams == expected


@pytest.mark.parametrize(("before", "expected"), [(0.6, 5 + math.log(0.3 / 0.7)), (0.01, 0.0)])
def test_labels_are_lifted_to_the_floor_and_no_further(before: float, expected: float) -> None:
    """Where all snippets have odds of exp(-5), half of what was before takes a lift that makes them its own odds."""
    network = network_of(floor=0.5).train()
    network.share.fill_(before)
    logits, labels = torch.tensor([[0.0, 0, 0, 5]]).repeat(4, 1), torch.eye(C)[[0, 0, 1, 2]]
    for _ in range(200):
        target = network.grown(logits, labels)
    assert network.lift.item() == pytest.approx(expected, abs=1e-3)
    assert 1 - target[:, -1].mean().item() == pytest.approx(1 / (1 + math.exp(5 - expected)), abs=1e-4)


def test_without_a_floor_nothing_is_lifted() -> None:
    network = network_of(floor=0).train()
    network.share.fill_(0.9)
    network.grown(torch.tensor([[0.0, 0, 0, 5]]), torch.eye(C)[:1])
    assert network.lift == 0


def test_what_seeds_teach_is_the_measure_of_the_floor() -> None:
    """Nothing learned yet, a label and the background are equally likely."""
    network = network_of().train()
    list(network.objectives(world(4)))
    assert network.share.item() == pytest.approx(0.5)
