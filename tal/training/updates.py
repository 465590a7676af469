"""One update of a network: gradients of one batch or several, and a step of the optimizer for each objective."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tal.errors import ModelError
from tal.settings import TrainSettings

if TYPE_CHECKING:
    import torch

    from tal.methods._base import Batch, Method


def adam(network: Method, train: TrainSettings) -> torch.optim.Optimizer:
    """Return the optimizer of a network."""
    import torch

    return torch.optim.Adam(network.parameters(), lr=train.lr, weight_decay=train.weight_decay, fused=True)


def learning_rate(train: TrainSettings, step: int) -> float:
    """Return the learning rate of an update, counted from 1."""
    passed = sum(step > share * train.steps for share in train.decay_at)
    return float(train.lr * train.decay**passed)


def update(
    network: Method, optimizer: torch.optim.Optimizer, batches: Iterable[Batch], lr: float, where: str
) -> dict[str, float]:
    """Take one optimizer step per yielded objective, none on a loss that is not finite.

    Args:
        network: What is trained.
        optimizer: Of its parameters.
        batches: Their gradients are added up; of an objective in all of them, before the next one is asked for.
        lr: Learning rate.
        where: Network and update, for messages.

    Returns:
        All losses by name, means over the batches.

    Raises:
        ModelError: If a loss is not finite.
    """
    for group in optimizer.param_groups:
        group["lr"] = lr
    found: dict[str, float] = {}
    for parts in zip(*(network.objectives(batch) for batch in batches), strict=True):
        optimizer.zero_grad()
        for losses in parts:
            _backward(losses, found, len(parts), where)
        optimizer.step()
    return found


def _backward(losses: dict[str, torch.Tensor], found: dict[str, float], n_parts: int, where: str) -> None:
    import torch

    values = torch.stack(list(losses.values()))
    for name, value in zip(losses, values.tolist(), strict=True):
        if not math.isfinite(value):
            raise ModelError(f"{where}: loss '{name}' is {value}; lower train.lr, or look at the features")
        found[name] = found.get(name, 0.0) + value / n_parts
    values.sum().backward()  # type: ignore[no-untyped-call]


def require_finite(name: str, networks: Sequence[Method], step: int) -> None:
    """Keep broken weights out of checkpoint and model.

    Raises:
        ModelError: If one of the networks has a weight that is not finite.
    """
    for network in networks:
        if not all(bool(value.isfinite().all()) for value in network.state_dict().values()):
            raise ModelError(f"{name}, update {step}: weights are not finite any more; lower train.lr")
