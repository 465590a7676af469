"""CPMN in plain NumPy, one video at a time, straight from the paper's equations, and small networks to compare with."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tal.methods._base import Batch
from tal.methods._cpmn_parts import Classifier
from tal.methods.cpmn import Config, Network

T, D, C = 16, 3, 4


def network_of(dim: int = D, classes: int = C, seed: int = 0, **settings: Any) -> Network:
    torch.manual_seed(seed)
    network = Network(Config(**{"filters": 5, "window": 8, **settings}), dim, classes)
    for name, values in network.named_parameters():
        if name.endswith("bias"):  # zeros hide mistakes
            torch.nn.init.normal_(values, std=0.3)
    return network


def batch_of(n_videos: int = 3, t: int = T) -> Batch:
    generator = torch.Generator().manual_seed(5)
    labels = torch.eye(C)[torch.arange(n_videos) % C]
    labels[0, 2] = 1
    return Batch(2 * torch.randn(n_videos, t, D, generator=generator), labels)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def cross_entropy(logits: Any, labels: Any) -> float:
    p = sigmoid(logits)
    return float(-(labels * np.log(p) + (1 - labels) * np.log(1 - p)).mean())


def arrays(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: values.detach().double().numpy() for name, values in module.named_parameters()}


def convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Kernel 3 over (T, D), zeros outside, then ReLU."""
    out = np.tile(bias, (len(x), 1))
    for t in range(len(x)):
        for tap in range(3):
            if 0 <= t + tap - 1 < len(x):
                out[t] += weight[:, :, tap] @ x[t + tap - 1]
    return np.maximum(out, 0)


def classify(stage: Classifier, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return T-CAS (T, C) and video-level logits (C,)."""
    p = arrays(stage)
    z = convolve(convolve(x, p["first.weight"], p["first.bias"]), p["second.weight"], p["second.bias"])
    return z @ p["output.weight"].T, p["output.weight"] @ z.mean(axis=0) + p["output.bias"]


def scaled(cas: np.ndarray, mask: str) -> np.ndarray:
    if mask == "sigmoid":
        return np.asarray(sigmoid(cas))
    low = cas.min(axis=0) if mask == "minmax" else np.zeros(cas.shape[1])
    return np.maximum(cas - low, 0) / np.maximum(cas.max(axis=0) - low, 1e-30)


def label_maps(network: Network, x: np.ndarray) -> list[np.ndarray]:
    """Return each level's label maps at full length, finest first, (T, C) each, for a video of whole windows."""
    assert network.pyramid is not None
    p = arrays(network.pyramid)
    n = len(network.pyramid.levels)
    own = []
    for level in range(n):
        pooled = x.reshape(len(x) >> level, 1 << level, -1).max(axis=1)
        own.append(np.maximum(pooled @ p[f"levels.{level}.weight"].T + p[f"levels.{level}.bias"], 0))
    full = [np.repeat(maps, 1 << level, axis=0) for level, maps in enumerate(own)]
    joined = [sum(full[level:]) if network.pyramid.lateral else full[level] for level in range(n)]
    return [maps @ p[f"outputs.{i}.weight"].T + p[f"outputs.{i}.bias"] for i, maps in enumerate(joined)]
