"""CMCS: closed forms and gradients of the losses between branches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tal.methods import _cmcs_losses as losses

RULES = ["code", "paper1", "paper2"]


def cosine_similarities(scores: Tensor) -> float:
    """Equation 4 with loops."""
    cas = np.exp(scores.numpy()) / np.exp(scores.numpy()).sum(axis=1, keepdims=True)  # (K, S, T)
    k, s, _ = cas.shape
    pairs = [(cas[i, c], cas[j, c]) for c in range(s) for i in range(k - 1) for j in range(i + 1, k)]
    z = k * (k - 1) * s / 2
    return float(sum(a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs) / z)


@pytest.mark.parametrize("n_branches", [2, 3, 5])
def test_diversity_is_equation_4(n_branches: int) -> None:
    scores = torch.randn(n_branches, 4, 9, dtype=torch.float64)
    found = losses.diversity(scores, (3, 6))
    expected = [cosine_similarities(scores[..., :3]), cosine_similarities(scores[..., 3:])]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_equal_branches_are_not_diverse_and_disjoint_ones_are() -> None:
    once = torch.randn(1, 3, 8)
    torch.testing.assert_close(losses.diversity(once.expand(4, -1, -1), (8,)), torch.ones(1), rtol=1e-4, atol=0)
    apart = 40 * torch.stack([torch.eye(2), 1 - torch.eye(2)])  # each class at different times in the two branches
    assert losses.diversity(apart, (2,)).item() == pytest.approx(0, abs=1e-6)


def test_a_class_that_no_branch_sees_has_a_finite_gradient() -> None:
    scores = torch.zeros(2, 2, 3)
    scores[:, 1] = -200
    scores.requires_grad_()
    losses.diversity(scores, (3,)).sum().backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("code", 2.0),  # mean |scores| are 6 and 2, their mean 4
        ("paper1", 5 * 2.0),  # ||average||_1 = 5 * 2: deviations 5 * (6 - 2) and 0
        ("paper2", math.sqrt(5) * 2.0),
    ],
)
def test_norms_by_hand(rule: Any, expected: float) -> None:
    scores = torch.stack([torch.full((3, 5), 6.0), torch.full((3, 5), -2.0)])
    assert losses.norm_deviation(scores, (5,), rule).tolist() == pytest.approx([expected])


@pytest.mark.parametrize("rule", RULES)
def test_equal_branches_have_equal_norms(rule: Any) -> None:
    once = torch.randn(1, 3, 8).double()
    np.testing.assert_allclose(losses.norm_deviation(once.expand(4, -1, -1), (3, 5), rule), [0, 0], atol=1e-12)


@pytest.mark.parametrize(
    "function", [losses.diversity, *[lambda s, n, r=r: losses.norm_deviation(s, n, r) for r in RULES]]
)
def test_gradients_of_the_losses_between_branches(function: Any) -> None:
    torch.manual_seed(0)
    scores = torch.randn(3, 2, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda values: function(values, (4, 3)), (scores,))
