"""A small ASSG with given seeds that tests can follow by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tal.methods._base import Batch, LabelledVideo
from tal.methods.assg import Config, Network
from tal.types import Activations


def network_of(dim: int = 4, classes: int = 2, **config: Any) -> Network:
    torch.manual_seed(0)
    return Network(Config(**{"hidden": 6, **config}), dim, classes)


def seeded(network: Network, masks: Tensor) -> Network:
    """Give a network's training videos the seeds of `masks` (N, T, 1 + C)."""
    network.prepare(_videos_with(masks.numpy(), network.n_channels))
    return network


def _videos_with(masks: np.ndarray, dim: int) -> Iterator[LabelledVideo]:
    """Make up guides whose seeds these are: peaks of 1, and no attention where background is."""
    for mask in masks:
        signal = mask[:, 1:].astype(np.float32)
        attention = 1 - mask[:, 0].astype(np.float32)
        yield LabelledVideo(
            np.zeros((len(mask), dim), np.float32),
            mask[:, 1:].any(axis=0).astype(np.float32),
            None,
            guide=Activations(signal, signal.max(axis=0), signal, attention),
        )


def batch_of(features: Tensor, labels: Tensor) -> Batch:
    n, t, _ = features.shape
    return Batch(features, labels, {"video": torch.arange(n), "snippet": torch.arange(t).expand(n, t)})
