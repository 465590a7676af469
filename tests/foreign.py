"""Checkpoints in the forms of their authors, and importing them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tal import config, models
from tal.pipeline import Imported, import_model
from tal.types import Activations, Features, SnippetGrid

THREE = ("bend", "jack", "wave")


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def softmax(x: Any) -> Any:
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


def imported(source: object, method: str, classes: Any, out: Path, *sets: str, **more: Any) -> Imported:
    return import_model(str(source), classes, out, config.load(method, sets=sets), **more)


def said(model: Imported, **streams: np.ndarray) -> dict[str, Activations]:
    """What a model's networks say about one video."""
    n = len(next(iter(streams.values())))
    return models.load(model.path).activate(Features(streams, SnippetGrid(n), n * 0.64))


def stpn_variables(
    rng: np.random.Generator, dim: int = 6, hidden: int = 4, n_classes: int = 3
) -> dict[str, np.ndarray]:
    shapes = {
        "Attention/dense/kernel": (dim, hidden),
        "Attention/dense/bias": (hidden,),
        "Attention/dense_1/kernel": (hidden, 1),
        "Attention/dense_1/bias": (1,),
        "Classification/class_weight/kernel": (dim, n_classes),
        "Classification/class_weight/bias": (n_classes,),
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def stpn_says(variables: Mapping[str, np.ndarray], x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Attention, T-CAM and class scores, as the paper's equations have them."""
    hidden = np.maximum(x @ variables["Attention/dense/kernel"] + variables["Attention/dense/bias"], 0)
    attention = sigmoid(hidden @ variables["Attention/dense_1/kernel"] + variables["Attention/dense_1/bias"])
    cam = x @ variables["Classification/class_weight/kernel"]
    return attention[:, 0], cam, sigmoid((attention * cam).mean(axis=0) + variables["Classification/class_weight/bias"])


def cmcs_state(rng: np.random.Generator, dim: int = 8, n_scores: int = 4) -> dict[str, Tensor]:
    shapes: dict[str, tuple[int, ...]] = {"base.base_conv_0": (4, dim, 1)}
    for k in range(2):
        shapes |= {f"cls_bottoms.{k}.cls_b{k}_conv_0": (2, 4, 3), f"cls_heads.{k}": (n_scores, 2)}
    shapes |= {"att_bottom.att_conv_0": (2, 4, 1), "att_head": (1, 2)}
    weights = {f"{name}.weight": shape for name, shape in shapes.items()}
    weights |= {f"{name}.bias": (shape[0],) for name, shape in shapes.items()}
    return {name: torch.from_numpy(rng.normal(size=shape).astype(np.float32)) for name, shape in weights.items()}


def ecm_state(weights: Mapping[str, Any]) -> dict[str, Tensor]:
    modules = {"conv1": "base_module.conv_1", "conv2": "base_module.conv_2"}
    modules |= {"classifier": "classifier_module.conv", "transition": "attention_module.conv_1"}
    names = {name: name.partition(".") for name in weights}
    return {f"{modules[own]}.{kind}": torch.as_tensor(weights[name]) for name, (own, _, kind) in names.items()}
