"""ASSG's losses and its pooling, by hand and in closed form; what erasing hides from the classifier."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from masks import mask_of
from small_assg import batch_of, network_of, seeded
from torch import Tensor
from torch.func import functional_call

from tal.methods._base import Batch
from tal.methods.assg import class_loss, seed_loss


def test_seed_loss_of_an_undecided_heatmap_is_that_of_chance() -> None:
    log_heat = torch.full((2, 5, 4), -math.log(4))
    assert seed_loss(log_heat, torch.rand(2, 5, 4) > 0.5).item() == pytest.approx(math.log(4), rel=1e-5)


def test_seed_loss_by_hand() -> None:
    heat = torch.tensor([[[0.5, 0.5], [0.2, 0.8], [0.1, 0.9]]])
    grown = mask_of("x..", ".xx")
    assert seed_loss(heat.log(), grown).item() == pytest.approx(-math.log(0.5 * 0.8 * 0.9) / 3, rel=1e-5)
    balanced = -math.log(0.5) - math.log(0.8 * 0.9) / 2
    assert seed_loss(heat.log(), grown, balance=True).item() == pytest.approx(balanced, rel=1e-5)


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
    np.testing.assert_allclose(network.aggregate(heat, energy), [1 / 7, 2 / 7], rtol=1e-5)


def test_temperature_leads_from_the_mean_to_the_strongest_snippet() -> None:
    heat, energy = torch.rand(9, 2), torch.arange(9.0).unsqueeze(1)
    mean, hot = network_of(temperature=0.0), network_of(temperature=100.0)
    np.testing.assert_allclose(mean.aggregate(heat, energy), heat.mean(dim=0), rtol=1e-5)
    np.testing.assert_allclose(hot.aggregate(heat, energy), heat[-1], rtol=1e-5)


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
