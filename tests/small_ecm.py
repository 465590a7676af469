"""A small ECM that tests can follow by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tal.methods._base import Batch
from tal.methods.ecm import Config, Network

D, C = 6, 3
LABELS = torch.tensor([[1.0, 0, 0], [0, 1, 1]])


def network_of(dim: int = D, classes: int = C, **config: Any) -> Network:
    torch.manual_seed(0)
    return Network(Config(**{"dropout": 0.0, "precision": "fp32", **config}), dim, classes)


def losses_of(network: Network, features: Tensor, labels: Tensor = LABELS, **batch: Any) -> Mapping[str, Tensor]:
    (losses,) = network.objectives(Batch(features, labels, **batch))
    return losses


def flat_transition(network: Network, weight: float) -> None:
    """Make all action weights the same, whatever the CAS."""
    assert network.transition is not None
    torch.nn.init.zeros_(network.transition.weight)
    torch.nn.init.constant_(network.transition.bias, math.log(weight / (1 - weight)) if weight < 1 else 100.0)


def softmax(values: Any) -> Any:
    return np.exp(values) / np.exp(values).sum()


def plain_scores(network: Network, features: Tensor) -> Tensor:
    """Return a video's CAS, (T, C), by PyTorch's own convolutions."""
    hidden = features.t().unsqueeze(0)
    for layer in (network.classifier.first, network.classifier.second):
        hidden = functional.leaky_relu(functional.conv1d(hidden, layer.weight.permute(1, 2, 0), layer.bias, padding=1))
    return hidden[0].t() @ network.classifier.output.t()
