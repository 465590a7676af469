"""ECM's switches and its inference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from small_ecm import LABELS, C, D, flat_transition, losses_of, network_of, plain_scores, softmax
from torch import Tensor
from torch.func import functional_call

from tal.methods._base import Batch
from tal.methods._ecm_parts import positive_minmax
from tal.settings import LocalizeSettings

# Switches


@pytest.mark.parametrize("rule", ["official", "paper"])
def test_videos_below_each_other_are_the_same_batch(rule: str) -> None:
    features = torch.rand(2, 8, D)
    one = losses_of(network_of(bg_agg=rule), features)
    two = losses_of(network_of(bg_agg=rule), features.reshape(16, D), lengths=(8, 8))
    assert {key: value.item() for key, value in one.items()} == {key: value.item() for key, value in two.items()}


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({}, {"class_pre", "class_post", "c2c", "a2c"}),
        ({"c2c": 0.0}, {"class_pre", "class_post", "a2c"}),
        ({"a2c": 0.0}, {"class_pre", "class_post", "c2c"}),
        ({"streams": "pre"}, {"class_pre"}),
        ({"streams": "post"}, {"class_post"}),
    ],
)
def test_ablations_leave_out_losses(config: dict[str, Any], names: set[str]) -> None:
    assert set(losses_of(network_of(**config), torch.rand(2, 8, D))) == names


def test_classifiers_that_are_not_shared_hear_of_one_stream_each() -> None:
    network = network_of(share_classifier=False, a2c=0.0, c2c=0.0)
    flat_transition(network, 0.5)
    losses = losses_of(network, torch.rand(2, 8, D))
    assert network.own_post is not None
    pre, post = list(network.classifier.parameters()), list(network.own_post.parameters())
    found = torch.autograd.grad(losses["class_pre"], post, retain_graph=True, allow_unused=True)
    assert found == (None,) * len(post)
    own = torch.autograd.grad(losses["class_post"], post, retain_graph=True)
    assert all(one.abs().sum() > 0 for one in own)
    through_weights = torch.autograd.grad(losses["class_post"], pre)
    assert all(one.abs().sum() == 0 for one in through_weights)  # the flat transition lets nothing through


def test_class_agnostic_weights_aggregate_once_for_all_classes() -> None:
    network = network_of(weights="class_agnostic")
    assert network.transition is not None
    assert network.transition.weight.shape == (1, C)
    features = torch.rand(2, 9, D)
    flat_transition(network, 0.5)
    specific = network_of()
    flat_transition(specific, 0.5)
    one, two = losses_of(network, features), losses_of(specific, features)
    assert {key: value.item() for key, value in one.items()} == pytest.approx(
        {key: value.item() for key, value in two.items()}, rel=1e-5
    )


def test_width_follows_the_features() -> None:
    assert network_of(dim=10).classifier.output.shape == (C, 10)
    assert network_of(dim=10, hidden=7).classifier.output.shape == (C, 7)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"bg_agg": "paper"},
        {"agg": "mean", "share_classifier": False},
        {"weights": "class_agnostic", "bg_agg": "official"},
        {"weights": "class_agnostic", "bg_agg": "paper"},
        {"streams": "pre"},
        {"streams": "post"},
    ],
)
def test_gradients_of_all_losses(config: dict[str, Any]) -> None:
    network = network_of(dim=3, hidden=4, top_k=0.5, **config).double()
    names = [name for name, _ in network.named_parameters()]
    torch.manual_seed(5)
    values = tuple(torch.randn_like(p).requires_grad_() for p in network.parameters())
    batch = Batch(torch.rand(11, 3).double(), LABELS.double(), lengths=(4, 7))

    def total(*parameters: Tensor) -> Tensor:
        return functional_call(network, dict(zip(names, parameters, strict=True)), ())

    network.forward = lambda: sum(next(network.objectives(batch)).values())  # type: ignore[method-assign]
    assert torch.autograd.gradcheck(total, values)


# Inference


def test_one_classifier_has_one_cas() -> None:
    network, features = network_of().eval(), torch.rand(40, D)
    found = network.activate(features)
    expected = plain_scores(network, features).detach().numpy()
    np.testing.assert_allclose(found.cas, expected, atol=1e-5)
    np.testing.assert_allclose(found.signal, expected, atol=1e-5)
    best = np.sort(expected, axis=0)[-5:].mean(0)  # an eighth of forty
    np.testing.assert_allclose(found.scores, softmax(best), rtol=1e-4)


@pytest.mark.parametrize(("infer", "share"), [("pre", 1), ("post", 0), ("weighted", 0.3)])
def test_inference_weighs_the_streams(infer: str, share: float) -> None:
    network, features = network_of(share_classifier=False, infer=infer, pre_share=0.3).eval(), torch.rand(40, D)
    assert network.own_post is not None
    pre = plain_scores(network, features).detach()
    post = network.own_post(features, (40,), torch.float32).detach()
    found = network.activate(features)
    np.testing.assert_allclose(found.cas, share * pre + (1 - share) * post, atol=1e-5)
    assert found.scores.sum() == pytest.approx(1, rel=1e-5)


def test_merged_streams_find_what_either_finds() -> None:
    network, features = network_of(share_classifier=False, infer="merge").eval(), torch.randn(60, D)
    assert network.own_post is not None
    one = positive_minmax(plain_scores(network, features).detach())
    two = positive_minmax(network.own_post(features, (60,), torch.float32).detach())
    found = network.activate(features).signal
    for threshold in (0.1, 0.5, 0.9):
        assert np.array_equal(found > threshold, ((one > threshold) | (two > threshold)).numpy())


def test_a_single_stream_speaks_for_itself() -> None:
    features = torch.rand(30, D)
    one = network_of(streams="post", infer="pre").eval().activate(features)
    two = network_of(infer="post").eval().activate(features)  # the same seed, the same weights
    assert np.array_equal(one.scores, two.scores)
    pre = network_of(streams="pre").eval().activate(features)
    assert (pre.attention == 1).all()


def test_negative_activations_stay_negative() -> None:
    found = positive_minmax(torch.tensor([[-2.0, 1, -3], [2.0, 3, -1], [4.0, 2, -2]]))
    assert found.tolist() == [[-0.5, 0, -3], [0.5, 1, -1], [1, 0.5, -2]]


def test_shipped_localization_is_that_of_the_public_code() -> None:
    from tal import config

    found = config.load("ecm").localize
    np.testing.assert_allclose(found.thresholds, np.arange(0.01, 0.2, 0.025), atol=1e-9)
    assert isinstance(found, LocalizeSettings)
    assert (found.normalise, found.score, found.context, found.zeroed) == ("positive", "contrast", 0.4, True)
