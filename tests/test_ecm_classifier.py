"""ECM's classifier against PyTorch's own convolutions, in full and half precision, and the memory it uses again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_ecm import LABELS, C, D, flat_transition, losses_of, network_of, plain_scores
from torch import Tensor
from torch.nn import functional

from tal.methods._base import Batch

# The classifier


@pytest.mark.parametrize("lengths", [(1,), (2,), (1, 1, 1), (5, 1, 8), (4, 4), (7, 2)])
def test_snippets_are_scored_as_by_two_convolutions_per_video(lengths: tuple[int, ...]) -> None:
    network = network_of(hidden=10).double()
    features = torch.randn(sum(lengths), D).double()
    found = network.classifier(features, lengths, torch.float64)
    expected = torch.cat([plain_scores(network, video) for video in features.split(lengths)])
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_gradients_are_those_of_two_convolutions_per_video() -> None:
    network, lengths = network_of(hidden=10).double(), (5, 1, 8, 2)
    features, pull = torch.randn(16, D).double(), torch.randn(16, C).double()
    parameters = list(network.classifier.parameters())
    found = torch.autograd.grad((network.classifier(features, lengths, torch.float64) * pull).sum(), parameters)
    plain = torch.cat([plain_scores(network, video) for video in features.split(lengths)])
    for ours, theirs in zip(found, torch.autograd.grad((plain * pull).sum(), parameters), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_both_streams_are_one_mapping() -> None:
    """A video of three snippets with weights of 1 is its own aggregate: both streams must say the same of it."""
    network = network_of(top_k=1.0)
    flat_transition(network, 1.0)
    losses = losses_of(network, torch.rand(2, 3, D))
    assert losses["class_pre"].item() == pytest.approx(losses["class_post"].item(), rel=1e-5)
    assert losses["c2c"].item() == pytest.approx(0, abs=1e-9)


def test_sub_classifiers_judge_their_own_class_alone() -> None:
    network = network_of()
    items = torch.rand(3, 2 * C, D)
    scores = network.classifier.of_items(items, C, torch.float32)
    for place in range(2 * C):
        every = plain_scores(network, items[:, place]).mean(0)
        assert scores[place // C, place % C].item() == pytest.approx(every[place % C].item(), rel=1e-4, abs=1e-6)


def test_dropout_zeroes_its_share_and_keeps_the_mean() -> None:
    network = network_of(hidden=512, dropout=0.25).train()
    torch.nn.init.ones_(network.classifier.output)
    features = torch.rand(400, D)
    torch.manual_seed(3)
    dropped = network.classifier(features, (400,), torch.float32)
    kept = network.eval().classifier(features, (400,), torch.float32)
    assert not torch.equal(dropped, kept)
    assert dropped.mean().item() == pytest.approx(kept.mean().item(), rel=0.02)


@pytest.mark.parametrize(("streams", "least"), [("pre", 0.999), ("both", 0.95)])
def test_half_precision_is_close_and_its_gradient_points_the_same_way(streams: str, least: float) -> None:
    """Sums of snippets put some of the post-classification stream's units on the other side of the leaky ReLU."""
    features, found = torch.rand(2, 60, 64), {}
    for precision in ("fp32", "bf16"):
        network = network_of(dim=64, precision=precision, streams=streams, top_k=1.0)
        total = torch.stack(list(losses_of(network, features).values())).sum()
        gradient = torch.autograd.grad(total, list(network.parameters()))
        found[precision] = total.item(), torch.cat([one.flatten() for one in gradient])
    (exact, along), (rounded, other) = found["fp32"], found["bf16"]
    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=0.02)
    assert functional.cosine_similarity(along, other, dim=0).item() > least


def test_automatic_precision_is_one_of_both() -> None:
    features = torch.rand(2, 60, 64)
    found = {
        precision: losses_of(network_of(dim=64, precision=precision), features)["class_post"].item()
        for precision in ("fp32", "bf16", "auto")
    }
    assert found["auto"] in (found["fp32"], found["bf16"])


def test_inference_does_not_know_of_half_precision() -> None:
    features = torch.rand(50, D)
    one, two = (network_of(precision=p).eval().activate(features) for p in ("fp32", "bf16"))
    assert np.array_equal(one.cas, two.cas)


# Memory that is used again


def test_graphs_that_live_at_once_do_not_disturb_each_other() -> None:
    network, parts = network_of(), [torch.rand(2, 9, D), torch.rand(2, 5, D)]

    def total(features: Tensor) -> Tensor:
        return torch.stack(list(losses_of(network, features).values())).sum()

    parameters = list(network.parameters())
    alone = [torch.autograd.grad(total(features), parameters) for features in parts]
    graphs = [total(features) for features in parts]
    together = [torch.autograd.grad(graph, parameters, retain_graph=True) for graph in graphs]
    again = [torch.autograd.grad(graph, parameters) for graph in graphs]
    for one, two, three in zip(alone, together, again, strict=True):
        assert all(torch.equal(a, b) and torch.equal(a, c) for a, b, c in zip(one, two, three, strict=True))


def test_updates_use_the_same_memory() -> None:
    network, seen = network_of(), []
    for lengths in ((9, 4), (5, 8), (3, 3)):
        batch = Batch(torch.rand(sum(lengths), D), LABELS, lengths=lengths)
        for losses in network.objectives(batch):
            torch.stack(list(losses.values())).sum().backward()
        del losses
        seen.append({buffer.data_ptr() for buffer in network.classifier.pool.free})
    assert seen[0]
    assert seen[0] == seen[1] == seen[2]


def test_training_is_repeatable() -> None:
    def trained() -> dict[str, Tensor]:
        network = network_of(dropout=0.5, precision="bf16").train()
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
        for _ in range(4):
            optimizer.zero_grad()
            torch.stack(list(losses_of(network, torch.rand(2, 20, D)).values())).sum().backward()
            optimizer.step()
        return network.state_dict()

    one, two = trained(), trained()
    assert all(torch.equal(one[key], two[key]) for key in one)
