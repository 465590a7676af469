"""Several networks' activations as one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tal.settings import LocalizeSettings
from tal.types import Activations, FloatArray

_LEAST = 1e-12  # keeps logarithms finite


def fuse(activations: Mapping[str, Activations], settings: LocalizeSettings) -> Activations:
    """Average what networks say: RGB and flow with weights alpha and 1 - alpha (STPN, eq. 7), others equally.

    CAS and attention are averaged plainly, scores and signals as ``localize.fuse`` says.

    Args:
        activations: Network name to its activations, all (T, C).
        settings: `alpha` and `fuse` count.
    """
    if len(activations) == 1:
        return next(iter(activations.values()))
    weights = _weights(activations, settings.alpha)
    average = geometric if settings.fuse == "geometric" else mean
    ones = list(activations.values())
    return Activations(
        mean([one.cas for one in ones], weights),
        average([one.scores for one in ones], weights),
        average([one.signal for one in ones], weights),
        mean([one.attention for one in ones], weights),
    )


def _weights(activations: Mapping[str, Activations], alpha: float) -> list[float]:
    if set(activations) == {"rgb", "flow"}:
        return [alpha if name == "rgb" else 1 - alpha for name in activations]
    return [1 / len(activations)] * len(activations)


def mean(values: list[FloatArray], weights: list[float]) -> FloatArray:
    """Return the weighted mean of arrays of one shape."""
    return np.asarray(sum(w * v for w, v in zip(weights, values, strict=True)), np.float32)


def geometric(values: list[FloatArray], weights: list[float]) -> FloatArray:
    """Return the normalised geometric mean of distributions over classes and an unnamed background.

    The softmax of averaged logits (CMCS, late fusion) is the geometric mean of the softmaxes, scaled to add up to 1.

    Args:
        values: Class probabilities (..., C) whose sums over classes are at most 1; the background has the rest.
        weights: One per array, adding up to 1.
    """
    logs = np.zeros((*values[0].shape[:-1], values[0].shape[-1] + 1))
    for weight, one in zip(weights, values, strict=True):
        p = one.astype(np.float64)
        rest = np.maximum(1 - p.sum(axis=-1, keepdims=True), _LEAST)
        logs += weight * np.log(np.maximum(np.concatenate([p, rest], axis=-1), _LEAST))
    powers = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return np.asarray((powers / powers.sum(axis=-1, keepdims=True))[..., :-1], np.float32)
