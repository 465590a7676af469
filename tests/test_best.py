"""The combined method: its losses in closed form, its pseudo labels by hand, planted structure, and every switch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tal.errors import ConfigError
from tal.methods._base import Batch, LabelledVideo
from tal.methods._best_parts import (
    GAIN,
    MOST_SNIPPETS,
    PER_VIDEO,
    Front,
    Judges,
    Temporal,
    cross_entropy,
    neighbourhoods,
    restricted,
    seeds,
    spread_snippets,
    taught,
    unseen,
    whitening,
)
from tal.methods.best import Config, Network

C, D, T = 3, 24, 40


def network_of(**config: Any) -> Network:
    torch.manual_seed(0)
    return Network(Config(**{"width": 16, **config}), D, C)


def doubles(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# What features pass first


def test_logarithm_in_closed_form() -> None:
    front = Front(2, 1, compress=0.5, shrink=0.0, components=2)
    front.measure(torch.tensor([[1.0, 4.0], [3.0, -4.0]]))  # mean magnitudes 2 and 4, units 1 and 2
    found = front.logarithm(torch.tensor([[math.e - 1, -2 * (math.e**2 - 1)], [0.0, 0.0]]))
    assert torch.allclose(found, torch.tensor([[1.0, -2.0], [0.0, 0.0]]), atol=1e-6)


def test_without_logarithm_features_stay() -> None:
    front = Front(4, 2, compress=0.0, shrink=0.1, components=2)
    x = torch.randn(5, 4)
    front.measure(x)
    assert torch.equal(front.logarithm(x), x)


def test_whitening_by_hand() -> None:
    data = torch.tensor([[2.0, 0], [-2.0, 0], [0, 1.0], [0, -1.0]])  # variances 2 and 1/2, mean 1.25
    found = data @ whitening(data, 0.4)  # what is added: 0.5
    assert found.square().mean(dim=0).tolist() == pytest.approx([2 / 2.5, 0.5 / 1.0], rel=1e-5)


def test_whitened_streams_are_uncorrelated_each_by_itself() -> None:
    mixed = torch.randn(500, 6) @ torch.randn(6, 6)
    front = Front(6, 2, compress=0.0, shrink=1e-6, components=9)
    front.measure(mixed)
    seen = front(mixed)
    for part in seen.chunk(2, dim=1):
        assert torch.allclose(part.T @ part / 500, torch.eye(3), atol=1e-3)
    mixed[:, 3:] += 100 * torch.randn(500, 3)  # what the second stream does is nothing to the first
    assert torch.allclose(front(mixed)[:, :3], seen[:, :3])


def test_components_are_the_largest() -> None:
    data = torch.randn(2000, 4) * torch.tensor([1.0, 5.0, 0.2, 3.0])
    front = Front(4, 1, compress=0.0, shrink=1e-6, components=2)
    front.measure(data)
    assert front(data).shape == (2000, 2)
    assert front.axes[0].abs().argmax(dim=0).tolist() == [1, 3]


def test_standardising_scales_each_dimension_by_itself() -> None:
    data = 3 + torch.randn(300, 4) * torch.tensor([1.0, 5.0, 0.2, 3.0])
    front = Front(4, 2, compress=0.0, shrink=0.0, components=1)  # no components where nothing is whitened
    front.measure(data)
    expected = (data - data.mean(dim=0)) / data.std(dim=0, unbiased=False)
    assert torch.allclose(front(data), expected, atol=1e-4)


@pytest.mark.parametrize("shrink", [0.0, 0.1])
def test_constant_features_stay_finite(shrink: float) -> None:
    front = Front(4, 2, compress=0.01, shrink=shrink, components=4)
    front.measure(torch.zeros(10, 4))
    assert front(torch.zeros(3, 4)).isfinite().all()


def test_snippets_of_a_video_are_spread_and_long_sets_thinned() -> None:
    video = np.arange(1000, dtype=np.float32)[:, None]
    one = spread_snippets([video])
    assert one is not None
    assert one[[0, -1], 0].tolist() == [0, 999]
    assert len(one) == PER_VIDEO
    many = spread_snippets([video] * 2000)
    assert many is not None
    assert MOST_SNIPPETS / 4 < len(many) <= MOST_SNIPPETS + PER_VIDEO
    assert spread_snippets([]) is None


# Folds


def test_judges_by_hand() -> None:
    judges = Judges(2, 2, 2)
    with torch.no_grad():
        judges.weight.copy_(torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8]]))
        judges.bias.copy_(torch.tensor([0.0, 0, 0, 1]))
    found = judges(torch.tensor([[1.0, 10.0]]))  # (1, 2 folds, 2 classes)
    assert torch.equal(found, GAIN * torch.tensor([[[51.0, 62.0], [73.0, 85.0]]]))


def test_who_labels_has_not_learned() -> None:
    fold = torch.tensor([0, 1, 2, 1])
    learns = taught(fold, 3)
    assert learns.tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0], [1, 0, 1]]
    said = torch.arange(12.0).reshape(4, 3, 1)
    assert unseen(said, fold)[:, 0].tolist() == [0, 4, 8, 10]
    assert all(learns[i, fold[i]] == 0 for i in range(4))
    assert taught(torch.zeros(4, dtype=torch.int64), 1).tolist() == [[1]] * 4


def test_a_fold_does_not_move_its_own_judges() -> None:
    network, batch = network_of(folds=2), world(6)
    even = Batch(batch.features[::2], batch.labels[::2], {"video": torch.tensor([0, 2, 4])})
    (losses,) = network.objectives(even)
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    for judges in (network.judges, *network.experts):
        own, other = judges.weight.grad.reshape(D, 2, -1).unbind(1)
        assert not own.any()
        assert other.any()


# Losses


def test_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3)], [0.0, 0.0], [5.0, -5.0]])
    target = torch.tensor([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])
    found = cross_entropy(logits, target, torch.tensor([1.0, 3.0, 0.0]))
    assert found.item() == pytest.approx((math.log(4 / 3) + 3 * math.log(2)) / 4, rel=1e-6)


def test_cross_entropy_of_nothing_is_zero() -> None:
    assert cross_entropy(torch.randn(4, 2), torch.zeros(4, 2), torch.zeros(4)).item() == 0


def test_untrained_losses_are_known() -> None:
    network, batch = network_of(), world(4)
    (losses,) = network.objectives(batch)
    assert losses["experts"].item() == pytest.approx(2 * math.log(C), rel=1e-5)  # two streams, zero weights
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
    student = Temporal(4, 3, 5, 1, 0.0).double()
    soft = doubles(6, 3, seed=3).softmax(-1)
    ones = torch.ones(6, dtype=torch.float64)
    x = doubles(6, 4, seed=4).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: cross_entropy(student(v, (2, 4)), soft, ones), x)


# Pseudo labels


def test_seeds_by_hand() -> None:
    evidence = torch.tensor([[0.8, 0.9], [0.5, 0.9], [0.3, 0.9], [0.1, 0.9]])
    found = seeds(evidence, torch.tensor([[1.0, 0.0]]), [4], low=0.2, high=0.6, top=4)  # best 0.8
    assert found.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_seeds_of_two_labels_go_to_the_better_share() -> None:
    evidence = torch.tensor([[0.9, 0.3], [0.7, 0.3], [0.1, 0.01]])
    found = seeds(evidence, torch.ones(1, 2), [3], low=0.2, high=0.5, top=3)
    assert found.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_a_video_without_labels_is_background() -> None:
    found = seeds(torch.rand(5, 2), torch.tensor([[0.0, 0.0], [1.0, 0.0]]), [2, 3], 0.1, 0.5, 8)
    assert found[:2].tolist() == [[0, 0, 1]] * 2
    assert found[2:, 0].sum() >= 1


@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_seeds_do_not_depend_on_the_scale_of_a_video(seed: int, scale: float) -> None:
    evidence = torch.rand(12, 3, generator=torch.Generator().manual_seed(seed)) + 0.01
    labels = torch.tensor([[1.0, 0, 1], [0, 1, 0]])
    once = seeds(evidence, labels, [5, 7], 0.3, 0.7, 4)
    scaled = torch.cat([evidence[:5] * scale, evidence[5:]])
    assert (once - seeds(scaled, labels, [5, 7], 0.3, 0.7, 4)).abs().sum() <= 2  # a snippet exactly on a border
    assert once.sum(dim=1).max() <= 1


def test_restricted_by_hand() -> None:
    posterior = torch.tensor([[0.2, 0.5, 0.3], [0.2, 0.5, 0.3], [0.2, 0.5, 0.3]])
    labels = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    expected = torch.tensor([[0.4, 0, 0.6], [0.2, 0.5, 0.3], [0, 0, 1]])
    assert torch.allclose(restricted(posterior, labels), expected)


def test_evidence_is_the_geometric_mean_of_streams() -> None:
    fold = torch.zeros(4, dtype=torch.int64)
    rgb, flow = torch.randn(4, 2, C), torch.randn(4, 2, C)
    p, q = rgb[:, 0].softmax(1), flow[:, 0].softmax(1)
    for trust in (0.0, 0.3, 1.0):
        found = network_of(trust=trust).evidence([rgb, flow], fold)
        assert torch.allclose(found, p ** (1 - trust) * q**trust, rtol=1e-5)
    assert torch.allclose(network_of(trust=0.3, streams=1).evidence([rgb], fold), p)


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


# The student


def test_neighbourhoods_by_hand() -> None:
    values = torch.tensor([[1.0], [2], [3], [4], [5]])
    found = neighbourhoods(values, (2, 3), 1)
    assert found.tolist() == [[0, 1, 2], [1, 2, 0], [0, 3, 4], [3, 4, 5], [4, 5, 0]]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(1, 3))
def test_the_student_is_a_convolution_that_keeps_videos_apart(lengths: list[int], reach: int) -> None:
    torch.manual_seed(len(lengths))
    student = Temporal(4, 3, 5, reach, 0.5).eval()
    features = torch.randn(sum(lengths), 4)
    assert student.mix is not None
    weight = student.mix.weight.view(5, 2 * reach + 1, 5).transpose(1, 2)  # (out, in, taps)
    with torch.no_grad():
        for video, found in zip(
            *(torch.split(x, lengths) for x in (features, student(features, lengths))), strict=True
        ):
            hidden = student.embed(video).relu()
            mixed = torch.nn.functional.conv1d(hidden.T[None], weight, student.mix.bias, padding=reach)[0].T
            assert torch.allclose(found, student.head(hidden + mixed.relu()), atol=1e-5)


def test_without_reach_snippets_are_judged_alone() -> None:
    student = Temporal(4, 3, 5, 0, 0.0)
    features = torch.randn(6, 4)
    assert torch.allclose(student(features, (6,)), student(features.flip(0), (6,)).flip(0))


def test_averages_follow_the_weights() -> None:
    network = network_of(ema=0.9)
    with torch.no_grad():
        for part in (network.judges, network.student):
            for weight in part.parameters():
                weight.fill_(1.0)
        for part in (network.teacher, network.average):
            for weight in part.parameters():
                weight.zero_()
    network.follow()
    assert network.teacher.bias.tolist() == pytest.approx(
        [0.9] * len(network.teacher.bias)
    )  # 9 / 10: the first update counts most
    network.updates.fill_(1e6)
    network.follow()
    assert network.average.head.bias.tolist() == pytest.approx([0.91] * (C + 1))  # 1 - ema of what was left
    exact = network_of(ema=0.0)
    with torch.no_grad():
        exact.student.head.bias.fill_(3.0)
    exact.follow()
    assert exact.average.head.bias.tolist() == [3.0] * (C + 1)


def test_a_settled_teacher_stays() -> None:
    network, batch = network_of(grow_at=0.2, settle_at=0.5), world(4)
    with torch.no_grad():
        network.judges.bias.fill_(1.0)
    (losses,) = network.objectives(Batch(batch.features, batch.labels, batch.aux, done=0.5))
    assert set(losses) == {"student"}
    assert not network.teacher.bias.any()
    (losses,) = network.objectives(Batch(batch.features, batch.labels, batch.aux, done=0.4))
    assert set(losses) == {"student", "judges"}
    assert network.teacher.bias.all()
    (losses,) = network.objectives(batch)
    assert set(losses) == {"student", "judges", "experts"}


def test_averages_rest_in_evaluation() -> None:
    network = network_of().eval()
    list(network.objectives(world(4)))
    assert network.updates == 0


# Planted structure


def world(n_videos: int = 24, seed: int = 0) -> Batch:
    """Return non-negative videos with an action of 10 snippets, of a strong and two weak parts, and with context.

    The last third of each stream is background that all videos share; context looks like the action in the first
    stream, and like nothing in the second.
    """
    generator = torch.Generator().manual_seed(seed)
    logs = 0.3 * torch.randn(n_videos, T, D, generator=generator)
    labels = torch.eye(C)[torch.arange(n_videos) % C]
    for i in range(n_videos):
        c, half = i % C, D // 2
        logs[i, 10:20, [c, c + 3, half + c, half + c + 3]] += 1.5  # the action
        logs[i, 13:17, [c + 3, half + c + 3]] += 1.5  # its climax
        logs[i, 28:34, [c, c + 3]] += 2.0  # context
        logs[i, :, [9 + i % 2, half + 9 + (i // 2) % 2]] += 1.0  # a place
    return Batch(logs.exp(), labels, {"video": torch.arange(n_videos)})


def trained(n_updates: int = 120, **config: Any) -> Network:
    network, batch = network_of(**config), world()
    network.prepare(
        LabelledVideo(x.numpy(), y.numpy(), None) for x, y in zip(batch.features, batch.labels, strict=True)
    )
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for update in range(n_updates):
        (losses,) = network.objectives(Batch(batch.features, batch.labels, batch.aux, done=update / n_updates))
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network.eval()


def overlap(network: Network) -> float:
    """Return the mean IoU of what exceeds 0.5 with the action, over videos that were not seen."""
    unknown, found = world(9, seed=1), []
    for features, label in zip(unknown.features, unknown.labels, strict=True):
        above = network.activate(features).signal[:, int(label.argmax())] > 0.5
        truth = np.zeros(T, bool)
        truth[10:20] = True
        found.append((above & truth).sum() / (above | truth).sum())
    return float(np.mean(found))


def test_whole_actions_are_found_and_context_is_not() -> None:
    network = trained()
    assert overlap(network) > 0.8
    for features, label in zip(world(6, seed=2).features, world(6, seed=2).labels, strict=True):
        found = network.activate(features)
        assert found.scores.argmax() == label.argmax()
        assert found.attention[10:20].mean() > 0.8
        assert found.attention[28:34].mean() < 0.3


def test_believing_the_first_stream_finds_context() -> None:
    assert overlap(trained(trust=0.0)) < overlap(trained()) - 0.1


def test_training_can_be_repeated_bit_by_bit() -> None:
    one, two = trained(5).state_dict(), trained(5).state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_preparing_again_changes_nothing() -> None:
    network, batch = trained(2), world()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network.prepare(
        LabelledVideo(x.numpy(), y.numpy(), None) for x, y in zip(batch.features, batch.labels, strict=True)
    )
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_features_that_are_not_so_many_streams_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        Network(Config(streams=5), D, C)
    assert str(caught.value) == "features of 24 channels are not 5 streams; set method.streams"
