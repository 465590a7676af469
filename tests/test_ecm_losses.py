"""ECM: closed forms of its losses and of its aggregation."""

from __future__ import annotations

import math

import pytest
import torch
from small_ecm import LABELS, C, D, flat_transition, losses_of, network_of

from tal.methods._ecm_parts import absence_loss, label_cross_entropy, mixtures, top_k_means, twins

# Losses


def test_cross_entropy_of_a_known_softmax() -> None:
    logits = torch.tensor([[math.log(2), 0, 0], [0, 0, 0]])  # 1/2, 1/4, 1/4 and thirds
    assert label_cross_entropy(logits, LABELS).item() == pytest.approx((math.log(2) + math.log(3)) / 2)


def test_labels_add_up_to_one() -> None:
    logits = torch.tensor([[math.log(2), 0, 0]])
    found = label_cross_entropy(logits, torch.tensor([[1.0, 1, 0]]))
    assert found.item() == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_a_video_without_labels_costs_nothing() -> None:
    nothing = torch.zeros(1, C)
    assert label_cross_entropy(torch.randn(1, C), nothing) == 0
    assert absence_loss(torch.randn(1, C), torch.randn(1, C), nothing) == 0


def test_absence_loss_by_hand() -> None:
    """Scores are one softmax over presence and absence: with equal logits 1/6 each for three classes."""
    zeros = torch.zeros(2, C)
    expected = (math.log(6) + math.log(6 / 5)) / 2
    assert absence_loss(zeros, zeros, LABELS).item() == pytest.approx(expected)
    post, absent = torch.tensor([[math.log(3), 0, 0]]), torch.tensor([[math.log(2), 0, 0]])  # of a total of 9
    found = absence_loss(post, absent, torch.tensor([[1.0, 0, 0]]))
    assert found.item() == pytest.approx(-(math.log(3 / 9) + math.log(1 - 2 / 9)) / 2)


def test_absence_loss_is_finite_and_has_a_gradient_where_absence_is_certain() -> None:
    absent = torch.tensor([[500.0, 0, 0]], requires_grad=True)
    loss = absence_loss(torch.zeros(1, C), absent, LABELS[:1])
    loss.backward()
    assert loss.item() == pytest.approx((500 + 500 - math.log(5)) / 2)
    assert absent.grad is not None
    assert absent.grad[0, 0].item() == pytest.approx(1.0)


def test_top_k_takes_a_share_of_each_video() -> None:
    cas = torch.tensor([[1.0], [5], [3], [2], [9], [-1], [7]])
    assert top_k_means(cas, (4, 3), 0.5).tolist() == [[4.0], [9.0]]  # two of four, one of three
    assert top_k_means(cas, (4, 3), 0.01).tolist() == [[5.0], [9.0]]
    assert top_k_means(cas, (7,), 1.0)[0, 0].item() == pytest.approx(26 / 7)


def test_consistency_is_the_mean_square_of_differing_logits() -> None:
    network = network_of(top_k=1.0, c2c=2.0)
    flat_transition(network, 0.5)
    features = torch.rand(2, 3, D)
    losses = losses_of(network, features)
    pre = network.classifier(features.reshape(6, D), (3, 3), torch.float32).view(2, 3, C).mean(1)
    post = network.classifier(0.5 * features.reshape(6, D), (3, 3), torch.float32).view(2, 3, C).mean(1)
    assert losses["c2c"].item() == pytest.approx(2 * ((pre - post) ** 2).mean().item(), rel=1e-4)


# Aggregation


def test_three_folds_take_every_third_snippet() -> None:
    features = torch.arange(7.0).unsqueeze(1)
    weights = torch.full((7, 2), 0.5)
    items, counts = mixtures(features, (7,), weights, torch.ones(1, 2), None, mean=False)
    assert items[..., 0].tolist() == [[4.5, 4.5], [2.5, 2.5], [3.5, 3.5]]  # half of 0+3+6, 1+4, 2+5
    assert counts == [1]
    items, _ = mixtures(features, (7,), weights, torch.ones(1, 2), None, mean=True)
    assert items[..., 0].tolist() == [[1.5, 1.5], [1.25, 1.25], [1.75, 1.75]]


def test_action_and_background_of_the_paper_make_up_the_whole() -> None:
    features, weights = torch.rand(11, D), torch.rand(11, C)
    items, counts = mixtures(features, (5, 6), weights, LABELS, "paper", mean=False)
    assert counts == [2, 2]
    first, second = items[:, :6].view(3, 2, C, D), items[:, 6:].view(3, 2, C, D)
    for found, video in ((first, features[:5]), (second, features[5:])):
        whole = torch.stack([video[i::3].sum(0) for i in range(3)])
        torch.testing.assert_close(found.sum(1), whole.unsqueeze(1).expand(3, C, D))


def test_official_background_is_weighted_twice_for_present_classes_alone() -> None:
    features, weights = torch.rand(5, D), torch.rand(5, C)
    items, counts = mixtures(features, (5,), weights, torch.tensor([[0.0, 1, 1]]), "official", mean=False)
    assert counts == [3]
    for place, present in ((1, 1), (2, 2)):
        for c in range(C):
            both = weights[:, c] * (1 - weights[:, present])
            folds = torch.stack([(both[i::3, None] * features[i::3]).sum(0) for i in range(3)])
            torch.testing.assert_close(items[:, C * place + c], folds)


def test_absent_classes_are_judged_by_the_mean_over_present_ones() -> None:
    scores = torch.tensor([[1.0, 2, 3], [10, 20, 30]])
    assert twins(scores, torch.tensor([0.0, 1, 1])).tolist() == [5.5, 2.0, 30.0]
    assert twins(scores[:1], torch.tensor([0.0, 1, 0])).tolist() == [1.0, 2.0, 3.0]
    assert twins(scores[:0], torch.zeros(3)).tolist() == [0.0, 0.0, 0.0]
