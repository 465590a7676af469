"""ASSG: heatmaps and losses by hand, closed forms of its equations, and what its switches do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from masks import drawn, mask_of
from torch import Tensor
from torch.func import functional_call

from tal.errors import ConfigError
from tal.methods._base import Batch, LabelledVideo
from tal.methods.assg import Config, Network, class_loss, seed_loss
from tal.types import Activations, FloatArray


def network_of(dim: int = 4, classes: int = 2, **config: Any) -> Network:
    torch.manual_seed(0)
    return Network(Config(**{"hidden": 6, **config}), dim, classes)


def seeded(network: Network, masks: Tensor) -> Network:
    """Give a network's training videos the seeds of `masks` (N, T, 1 + C)."""
    network.prepare(_videos_with(masks.numpy(), network.n_channels))
    return network


def _videos_with(masks: np.ndarray, dim: int) -> Iterator[LabelledVideo]:
    """Make up guides whose seeds these are: peaks of 1, and no attention where background is."""
    for mask in masks:
        signal = mask[:, 1:].astype(np.float32)
        attention = 1 - mask[:, 0].astype(np.float32)
        yield LabelledVideo(
            np.zeros((len(mask), dim), np.float32),
            mask[:, 1:].any(axis=0).astype(np.float32),
            None,
            guide=Activations(signal, signal.max(axis=0), signal, attention),
        )


def batch_of(features: Tensor, labels: Tensor) -> Batch:
    n, t, _ = features.shape
    return Batch(features, labels, {"video": torch.arange(n), "snippet": torch.arange(t).expand(n, t)})


def test_without_a_guide_there_are_no_seeds() -> None:
    video = LabelledVideo(np.zeros((3, 4), np.float32), np.ones(2, np.float32), None)
    with pytest.raises(ConfigError) as caught:
        network_of().prepare([video])
    assert str(caught.value) == "assg takes its seeds from another model; set train.guide, such as stpn"


# Heatmaps


def test_growth_needs_a_sure_heatmap_that_beats_its_rivals() -> None:
    heat = torch.tensor([[0.96, 0.03, 0.01], [0.9, 0.06, 0.04], [0.1, 0.85, 0.05], [0.1, 0.45, 0.45], [0.3, 0.3, 0.4]])
    network = network_of(theta_grow_fg=0.4, theta_grow_bg=0.95)
    assert drawn(network.willing(heat.log()).unsqueeze(0)) == ["x....", "..xx.", "...xx"]


TOGETHER = torch.tensor([[0.0, 5, 5], [0, 5, -5], [5, 0, 0]])  # 1 / (1 + exp(-5)) is 0.9933


def test_classes_that_occur_together_rival_jointly() -> None:
    network = network_of(theta_grow_fg=0.98, theta_grow_bg=0.98)
    assert drawn(network.willing(network.log_probabilities(TOGETHER)).unsqueeze(0)) == ["..x", ".x.", "..."]


def test_classes_that_occur_together_are_sure_together_pairwise() -> None:
    network = network_of(normalisation="pairwise", theta_grow_fg=0.98, theta_grow_bg=0.98)
    assert drawn(network.willing(network.log_probabilities(TOGETHER)).unsqueeze(0)) == ["..x", "xx.", "x.."]


def test_joint_heatmap_is_a_distribution() -> None:
    heat = network_of().log_probabilities(torch.randn(2, 7, 3)).exp()
    np.testing.assert_allclose(heat.sum(dim=-1), np.ones((2, 7)), rtol=1e-6)


def test_pairwise_heatmap_by_hand() -> None:
    heat = network_of(normalisation="pairwise").log_probabilities(torch.tensor([1.0, 3.0, 0.5])).exp()
    expected = [1 / (1 + math.exp(2)), 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(0.5))]
    np.testing.assert_allclose(heat, expected, rtol=1e-6)


@pytest.mark.parametrize("opposite", [True, False])
def test_background_reads_the_opposite_part_of_the_last_layer(opposite: bool) -> None:
    """With F = x, an increase of what is positive moves the classes alone."""
    network = network_of(dim=2, hidden=2, opposite=opposite)
    with torch.no_grad():
        network.first.weight.copy_(torch.eye(2))
        network.second.weight.copy_(torch.diag(torch.tensor([1.0, -1.0])))
        network.background.weight.fill_(1)
        network.foreground.weight.fill_(1)
    logits, energy = network.heatmaps(torch.tensor([[2.0, 5.0]]))
    np.testing.assert_allclose(logits.detach(), [[5.0 if opposite else 2.0, 2, 2]])
    assert energy.tolist() == [1]  # the mean of (2, 0)


def test_weights_are_the_papers() -> None:
    shapes = {name: tuple(p.shape) for name, p in Network(Config(), 1024, 20).named_parameters() if p.ndim == 2}
    assert shapes == {
        "first.weight": (512, 1024),
        "second.weight": (512, 512),
        "foreground.weight": (20, 512),
        "background.weight": (1, 512),
    }


# Losses


def test_seed_loss_of_an_undecided_heatmap_is_that_of_chance() -> None:
    log_heat = torch.full((2, 5, 4), -math.log(4))
    assert seed_loss(log_heat, torch.rand(2, 5, 4) > 0.5).item() == pytest.approx(math.log(4))


def test_seed_loss_by_hand() -> None:
    heat = torch.tensor([[[0.5, 0.5], [0.2, 0.8], [0.1, 0.9]]])
    grown = mask_of("x..", ".xx")
    assert seed_loss(heat.log(), grown).item() == pytest.approx(-math.log(0.5 * 0.8 * 0.9) / 3)
    balanced = -math.log(0.5) - math.log(0.8 * 0.9) / 2
    assert seed_loss(heat.log(), grown, balance=True).item() == pytest.approx(balanced)


@pytest.mark.parametrize("balance", [True, False])
def test_nothing_labelled_costs_nothing(balance: bool) -> None:
    assert seed_loss(torch.randn(1, 3, 2), torch.zeros(1, 3, 2, dtype=torch.bool), balance).item() == 0


def test_class_loss_by_hand() -> None:
    pooled = torch.tensor([[0.1, 0.2, 0.1], [0.3, 0.3, 0.0]])
    labels = torch.tensor([[0.0, 1, 0], [1, 1, 0]])
    assert class_loss(pooled, labels).item() == pytest.approx(math.log(2), rel=1e-5)  # 1/2; and 1/2 each


def test_class_loss_of_a_class_that_was_erased_is_finite() -> None:
    loss = class_loss(torch.tensor([[0.0, 0.4]]), torch.tensor([[1.0, 0]]))
    assert loss.item() == pytest.approx(math.log(0.4 / 1e-6), rel=1e-4)


def test_self_adaptive_pooling_by_hand() -> None:
    heat, energy = torch.tensor([[1.0, 0], [0, 1], [0, 0]]), torch.tensor([[0.0], [1], [2]])
    network = network_of(temperature=math.log(2))  # weights 1, 2 and 4 of 7
    np.testing.assert_allclose(network.aggregate(heat, energy), [1 / 7, 2 / 7], rtol=1e-6)


def test_temperature_leads_from_the_mean_to_the_strongest_snippet() -> None:
    heat, energy = torch.rand(9, 2), torch.arange(9.0).unsqueeze(1)
    mean, hot = network_of(temperature=0.0), network_of(temperature=100.0)
    np.testing.assert_allclose(mean.aggregate(heat, energy), heat.mean(dim=0), rtol=1e-6)
    np.testing.assert_allclose(hot.aggregate(heat, energy), heat[-1], rtol=1e-6)


def test_plain_pooling() -> None:
    heat = torch.tensor([[0.1, 0.8], [0.5, 0.2]])
    energy = torch.zeros(2, 1)
    np.testing.assert_allclose(network_of(pool="gap").aggregate(heat, energy), [0.3, 0.5])
    np.testing.assert_allclose(network_of(pool="gmp").aggregate(heat, energy), [0.5, 0.8])


def test_what_ssg_is_sure_of_is_hidden_from_the_classifier() -> None:
    """Two snippets of the video's class, one sure: the loss pools the other alone, and rivals as they are."""
    heat = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]])
    network = network_of(pool="gap", theta_adv=0.4)
    network.heatmaps = lambda features: (heat.log().unsqueeze(0), torch.zeros(1, 2))  # type: ignore[method-assign]
    loss = network.classify(Batch(torch.zeros(1, 2, 4), torch.tensor([[1.0, 0]])))
    assert loss.item() == pytest.approx(-math.log(0.15 / (0.15 + 0.2)), rel=1e-5)
    loss = network.classify(Batch(torch.zeros(1, 2, 4), torch.tensor([[0.0, 1]])))  # nothing of it is above 0.4
    assert loss.item() == pytest.approx(-math.log(0.2 / (0.5 + 0.2)), rel=1e-5)


def test_erased_snippets_have_no_features_left_to_be_weighed_by() -> None:
    """With the erased snippet's energy at 0, weights are 1 : 2 for the class and 4 : 2 for its rival."""
    heat = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]])
    energy = torch.tensor([[2.0, 1.0]])
    network = network_of(temperature=math.log(2))
    network.heatmaps = lambda features: (heat.log().unsqueeze(0), energy)  # type: ignore[method-assign]
    loss = network.classify(Batch(torch.zeros(1, 2, 4), torch.tensor([[1.0, 0]])))
    assert loss.item() == pytest.approx(-math.log(0.2 / (0.2 + 0.2)), rel=1e-5)


def test_without_erasing_the_classifier_sees_all() -> None:
    heat = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]])
    network = network_of(pool="gap", theta_adv=1.0)
    network.heatmaps = lambda features: (heat.log().unsqueeze(0), torch.zeros(1, 2))  # type: ignore[method-assign]
    loss = network.classify(Batch(torch.zeros(1, 2, 4), torch.tensor([[1.0, 0]])))
    assert loss.item() == pytest.approx(-math.log(0.5 / 0.7), rel=1e-5)


@pytest.mark.parametrize(
    "config",
    [{}, {"pool": "gmp"}, {"pool": "gap"}, {"normalisation": "pairwise"}, {"balance": True}, {"opposite": False}],
)
@pytest.mark.parametrize("which", [0, 1])
def test_gradients_of_the_losses(config: dict[str, Any], which: int) -> None:
    network = seeded(network_of(dim=3, hidden=4, **config), torch.rand(2, 5, 3) > 0.6).double()
    names = [name for name, _ in network.named_parameters()]
    values = tuple(0.5 * torch.randn_like(p).requires_grad_() for p in network.parameters())
    batch = batch_of(torch.rand(2, 5, 3).double(), torch.tensor([[1.0, 0], [1, 1]]).double())
    network.forward = lambda: next(iter(list(network.objectives(batch))[which].values()))  # type: ignore[method-assign]

    def total(*parameters: Tensor) -> Tensor:
        return functional_call(network, dict(zip(names, parameters, strict=True)), ())

    assert torch.autograd.gradcheck(total, tuple(value.detach().requires_grad_() for value in values))


# Training


@pytest.mark.parametrize(("stage", "names"), [("assg", ["seed", "class"]), ("ssg", ["seed"]), ("cas", ["seed"])])
def test_stages_of_table_2(stage: Any, names: list[str]) -> None:
    network = seeded(network_of(stage=stage), torch.ones(2, 6, 3, dtype=torch.bool))
    batch = batch_of(torch.rand(2, 6, 4), torch.ones(2, 2))
    assert [name for losses in network.objectives(batch) for name in losses] == names


@pytest.mark.parametrize(("stage", "expected"), [("ssg", "xxxx.."), ("cas", ".x....")])
def test_seeds_alone_do_not_grow(stage: Any, expected: str) -> None:
    network = seeded(network_of(classes=1, stage=stage), mask_of("......", ".x...."))
    sure = torch.tensor([0.01, 0.99]).log().repeat(4, 1)
    unsure = torch.tensor([0.5, 0.5]).log().repeat(2, 1)
    batch = batch_of(torch.zeros(1, 6, 4), torch.ones(1, 1))
    assert drawn(network.supervise(torch.cat([sure, unsure]).unsqueeze(0), batch))[1] == expected


def test_the_classifier_sees_what_the_seeds_have_taught() -> None:
    """The second loss is of the weights after the first step (algorithm 1)."""
    network = seeded(network_of(), torch.rand(2, 6, 3) > 0.5)
    batch = batch_of(torch.rand(2, 6, 4), torch.tensor([[1.0, 0], [0, 1]]))
    steps = network.objectives(batch)
    next(steps)
    with torch.no_grad():
        network.foreground.bias.add_(torch.tensor([3.0, 0]))
    assert next(steps)["class"].item() == pytest.approx(network.classify(batch).item())


def world(rng: np.random.Generator, n: int = 40) -> tuple[FloatArray, np.ndarray]:
    """Return a video of background and an action from 12 to 28 whose look drifts from its middle to both ends."""
    features = 0.1 * np.abs(rng.normal(size=(n, 8)))
    inside = np.zeros(n, bool)
    inside[12:28] = True
    features[~inside, 0] += 1
    drift = np.abs(np.arange(12, 28) - 19.5) / 7.5
    features[inside, 1] += 1 - 0.6 * drift
    features[inside, 2] += 0.6 * drift
    return features.astype(np.float32), inside


def found_share(stage: str) -> float:
    """Return which share of the action a network of a stage knows, taught by two snippets in its middle."""
    rng = np.random.default_rng(0)
    videos = [world(rng) for _ in range(6)]
    signal = np.zeros((40, 1), np.float32)
    signal[19:21] = 1
    attention = np.where(np.arange(40) < 8, 0, 1).astype(np.float32)
    guide = Activations(signal, np.ones(1, np.float32), signal, attention)
    network = network_of(dim=8, classes=1, hidden=16, stage=stage, theta_grow_fg=0.8, theta_grow_bg=0.8)
    network.prepare(LabelledVideo(x, np.ones(1, np.float32), None, guide=guide) for x, _ in videos)
    batch = batch_of(torch.from_numpy(np.stack([x for x, _ in videos])), torch.ones(6, 1))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(60):
        for losses in network.objectives(batch):
            optimizer.zero_grad()
            torch.stack(list(losses.values())).sum().backward()
            optimizer.step()
    heat = network.activate(torch.from_numpy(videos[0][0])).signal[:, 0]
    assert heat[~videos[0][1]].max() < 0.5  # background is not taken for the action
    return float((heat[videos[0][1]] > 0.97).mean())


def test_growth_makes_the_whole_action_known() -> None:
    assert found_share("ssg") == 1 > found_share("cas")


# Inference


def test_scores_are_shares_of_the_pooled_heatmap() -> None:
    network = network_of(classes=3, pool="gap")
    found = network.activate(torch.rand(12, 4))
    np.testing.assert_allclose(found.scores, found.signal.sum(axis=0) / found.signal.sum(), rtol=1e-5)


def test_signal_is_the_softmax_of_the_logits_without_its_background() -> None:
    network = network_of()
    features = torch.rand(12, 4)
    found = network.activate(features)
    logits = network.heatmaps(features)[0].detach().numpy()
    np.testing.assert_allclose(found.cas, logits[:, 1:], rtol=1e-6)
    np.testing.assert_allclose(found.signal, np.exp(found.cas) / np.exp(logits).sum(axis=1, keepdims=True), rtol=1e-5)


def test_seeds_do_not_enter_the_model() -> None:
    network = network_of()
    before = set(network.state_dict())
    assert set(seeded(network, torch.ones(2, 6, 3, dtype=torch.bool)).state_dict()) == before
