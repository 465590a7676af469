"""Parts of the combined method: logarithm and whitening, folds, seeds and pseudo labels, by hand and by their laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tal.methods._best_parts import (
    GAIN,
    MOST_SNIPPETS,
    PER_VIDEO,
    Front,
    Judges,
    cross_entropy,
    restricted,
    seeds,
    spread_snippets,
    taught,
    unseen,
    whitening,
)


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


def test_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3)], [0.0, 0.0], [5.0, -5.0]])
    target = torch.tensor([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])
    found = cross_entropy(logits, target, torch.tensor([1.0, 3.0, 0.0]))
    assert found.item() == pytest.approx((math.log(4 / 3) + 3 * math.log(2)) / 4, rel=1e-6)


def test_cross_entropy_of_nothing_is_zero() -> None:
    assert cross_entropy(torch.randn(4, 2), torch.zeros(4, 2), torch.zeros(4)).item() == 0


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
