"""The combined method, trained: planted actions are found whole, their context is not, and twice the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from small_best import T, network_of, world

from tal.methods._base import Batch, LabelledVideo
from tal.methods.best import Network


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
        assert found.attention[28:34].mean() < 0.5


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
