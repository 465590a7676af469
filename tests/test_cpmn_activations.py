"""CPMN: its activations against plain NumPy, and what mining, attention, class scores and resizing do."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from plain_cpmn import C, D, T, arrays, batch_of, classify, label_maps, network_of, scaled, sigmoid

from tal.methods._base import Batch


@pytest.mark.parametrize("stages", [1, 2, 3])
@pytest.mark.parametrize("mask", ["positive", "minmax", "sigmoid"])
def test_activations_in_plain_numpy(stages: int, mask: str) -> None:
    """M(Cas) is the maximum over stages, each class with its own erasures; Phi weighs it with H (eqs. 3 to 5)."""
    network, features = network_of(stages=stages, mask=mask, mined=0), batch_of(t=T).features[1]
    x, cas = features.double().numpy(), np.full((T, C), -np.inf)
    for c in range(C):
        kept = np.ones(T)
        for stage in network.cascade:
            own = classify(stage, x * kept[:, None])[0]
            cas[:, c] = np.maximum(cas[:, c], own[:, c])
            kept = kept * ~(scaled(own, mask)[:, c] > 0.4)
    heat = np.sum(label_maps(network, x), axis=0)
    attention = (heat - heat.min(axis=0)) / (heat.max(axis=0) - heat.min(axis=0))
    found = network.activate(features)
    np.testing.assert_allclose(found.cas, cas, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.signal, sigmoid(cas) * attention, rtol=1e-3, atol=1e-5)


def test_later_stages_can_only_add() -> None:
    network, features = network_of(stages=2, mined=0), batch_of().features[0]
    first, both = network.cascade[0].cas(network.cascade[0].maps(features[None]))[0], network.activate(features).cas
    assert (both >= first.detach().numpy() - 1e-6).all()
    assert (both > first.detach().numpy() + 1e-3).any()


def test_only_the_best_classes_are_mined() -> None:
    features = batch_of().features[0]
    none, one, all_of_them = (network_of(stages=s, mined=n).activate(features) for s, n in ((1, 0), (2, 1), (2, 0)))
    best = none.scores.argmax()
    others = np.arange(C) != best
    network = network_of(stages=2, mined=1)
    first = network.cascade[0].cas(network.cascade[0].maps(features[None]))[0].detach().numpy()
    np.testing.assert_allclose(one.cas[:, best], all_of_them.cas[:, best], rtol=1e-5)
    np.testing.assert_allclose(one.cas[:, others], first[:, others], rtol=1e-5)


def test_mining_class_by_class_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    network, features = network_of(stages=3, mined=0), batch_of().features[0]
    together = network.activate(features)
    monkeypatch.setattr("tal.methods.cpmn._LARGEST", 1)
    np.testing.assert_allclose(network.activate(features).cas, together.cas, rtol=1e-4, atol=1e-6)


def test_class_scores_by_hand() -> None:
    cas = torch.tensor([[4.0, 0.0], [2.0, 1.0], [-9.0, 2.0], [-9.0, 3.0]])
    network = network_of(classes=2, strongest=0.5)
    strong = np.exp([3.0, 2.5])
    np.testing.assert_allclose(network.class_scores(cas, torch.zeros(2)), strong / strong.sum(), rtol=1e-6)
    network = network_of(classes=2, scores="average")
    found = network.class_scores(cas, torch.tensor([0.0, math.log(3)]))
    np.testing.assert_allclose(found, [0.5, 0.75], rtol=1e-6)


def test_average_scores_are_those_of_equation_1() -> None:
    network, features = network_of(scores="average"), batch_of().features[0]
    cas, logits = classify(network.cascade[0], features.double().numpy())
    np.testing.assert_allclose(cas.mean(axis=0) + arrays(network.cascade[0])["output.bias"], logits)  # eq. 1
    np.testing.assert_allclose(network.activate(features).scores, sigmoid(logits), rtol=1e-4)


@pytest.mark.parametrize("n", [1, 5, 8, 13, 64])
def test_heatmaps_of_any_length_repeat_the_last_snippet(n: int) -> None:
    network, features = network_of(), 2 * torch.randn(n, D)
    x = features.double().numpy()
    padded = np.concatenate([x, np.repeat(x[-1:], -n % 8, axis=0)])
    maps = np.sum(label_maps(network, padded), axis=0)[:n]
    low, high = maps.min(axis=0), maps.max(axis=0)
    expected = (maps - low) / (high - low) if n > 8 else None
    assert network.pyramid is not None
    found = network.heatmaps(network.pyramid, features).detach().numpy()
    assert found.shape == (n, C)
    if expected is not None:
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert (found.max(axis=0) == 1).all()


def test_a_heatmap_without_an_opinion_lets_everything_pass() -> None:
    network, features = network_of(), torch.ones(11, D)
    found = network.activate(features)
    np.testing.assert_allclose(found.signal, sigmoid(found.cas), rtol=1e-5)


def test_without_pyramid_the_signal_is_the_cascade() -> None:
    found = network_of(pam=False).activate(batch_of().features[0])
    assert np.array_equal(found.signal, found.cas)


def test_attention_removes_what_the_pyramid_denies() -> None:
    found = network_of().activate(batch_of().features[0])
    assert (found.signal <= sigmoid(found.cas) + 1e-6).all()
    assert (found.signal.min(axis=0) == 0).all()


def test_resizing_reads_a_stretched_video_as_the_same() -> None:
    network, features = network_of(resize=T), batch_of().features[0]
    plain = network_of().activate(features)
    same = network.activate(features)
    np.testing.assert_allclose(same.signal, plain.signal, atol=1e-5)
    twice = network.activate(features.repeat_interleave(2, dim=0))
    assert twice.signal.shape == (2 * T, C)
    np.testing.assert_allclose(twice.scores, plain.scores, rtol=1e-4)  # pairs of equal snippets average to one
    np.testing.assert_allclose(
        twice.cas[1:-1].reshape(-1, 2, C).mean(axis=1), (plain.cas[1:] + plain.cas[:-1]) / 2, atol=1e-4
    )


def test_the_second_classifier_finds_what_the_first_has_no_need_of() -> None:
    """Each action has a telling core and a faint flank, each in a channel of its own."""
    rng = np.random.default_rng(0)
    n, classes = 24, 2
    features = np.abs(rng.normal(size=(n, 32, 5))).astype(np.float32) * 0.2
    labels = np.zeros((n, classes), np.float32)
    for i in range(n):
        labels[i, i % 2] = 1
        start = rng.integers(2, 20)
        features[i, start : start + 4, 2 * (i % 2)] += 2
        features[i, start + 4 : start + 8, 2 * (i % 2) + 1] += 0.6
    network = network_of(dim=5, classes=classes, filters=16, l2=1e-3, pam=False)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    batch = Batch(torch.from_numpy(features), torch.from_numpy(labels))
    for _ in range(120):
        optimizer.zero_grad()
        torch.stack(list(next(network.objectives(batch)).values())).sum().backward()
        optimizer.step()
    video = torch.zeros(24, 5) + 0.15
    video[8:12, 0], video[12:16, 1] = 2, 0.7
    first = network.cascade[0]
    alone = first.cas(first.maps(video[None]))[0, :, 0].detach().numpy()
    both = network.activate(video).cas[:, 0]
    inside, flank, outside = slice(9, 11), slice(14, 16), slice(0, 6)
    assert alone[inside].min() > max(alone[flank].max(), alone[outside].max())
    share = (alone[flank].mean() / alone.max(), both[flank].mean() / both.max())
    assert share[1] > share[0] + 0.1
    assert both[flank].mean() > both[outside].max()
