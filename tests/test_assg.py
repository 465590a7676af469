"""ASSG: its heatmaps by hand, its training stage by stage, and what it says of a video."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from masks import drawn, mask_of
from small_assg import batch_of, network_of, seeded

from tal.errors import ConfigError
from tal.methods._base import LabelledVideo
from tal.methods.assg import Config, Network
from tal.types import Activations, FloatArray


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
    np.testing.assert_allclose(heat.sum(dim=-1), np.ones((2, 7)), rtol=1e-5)


def test_pairwise_heatmap_by_hand() -> None:
    heat = network_of(normalisation="pairwise").log_probabilities(torch.tensor([1.0, 3.0, 0.5])).exp()
    expected = [1 / (1 + math.exp(2)), 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(0.5))]
    np.testing.assert_allclose(heat, expected, rtol=1e-5)


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
    return float((heat[videos[0][1]] > 0.99).mean())


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
    np.testing.assert_allclose(found.cas, logits[:, 1:], rtol=1e-5)
    np.testing.assert_allclose(found.signal, np.exp(found.cas) / np.exp(logits).sum(axis=1, keepdims=True), rtol=1e-5)


def test_seeds_do_not_enter_the_model() -> None:
    network = network_of()
    before = set(network.state_dict())
    assert set(seeded(network, torch.ones(2, 6, 3, dtype=torch.bool)).state_dict()) == before
