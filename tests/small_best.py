"""A small combined method, and videos with a planted action and its context."""

from __future__ import annotations

from typing import Any

import torch

from tal.methods._base import Batch
from tal.methods.best import Config, Network

C, D, T = 3, 24, 40


def network_of(**config: Any) -> Network:
    torch.manual_seed(0)
    return Network(Config(**{"streams": 2, **config}), D, C)


def world(n_videos: int = 24, seed: int = 0) -> Batch:
    """Return non-negative videos with an action of 10 snippets, of a strong and two weak parts, and with context.

    The last third of each stream is background that all videos share; context looks like the action in the first
    stream, and like nothing in the second.
    """
    generator = torch.Generator().manual_seed(seed)
    logs = 0.3 * torch.randn(n_videos, T, D, generator=generator)
    labels = torch.eye(C)[torch.arange(n_videos) % C]
    for i in range(n_videos):
        c, half = i % C, D // 2
        logs[i, 10:20, [c, c + 3, half + c, half + c + 3]] += 1.5  # the action
        logs[i, 13:17, [c + 3, half + c + 3]] += 1.5  # its climax
        logs[i, 28:34, [c, c + 3]] += 2.0  # context
        logs[i, :, [9 + i % 2, half + 9 + (i // 2) % 2]] += 1.0  # a place
    return Batch(logs.exp(), labels, {"video": torch.arange(n_videos)})
