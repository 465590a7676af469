"""I3D's own 400 classes: the head that ends the network, without the network.

The head is a 1x1x1 convolution and a feature vector is the mean of the map that it is applied to. Both are linear, so
the head of the mean is the mean of the logits map, which is what I3D gives for a clip (Carreira and Zisserman, CVPR
2017; DeepMind's evaluate_sample.py). Features that are there already need neither the network nor PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from extract.fetch import KNOWN_FILES, KnownFile, digests_of
from extract.weights_names import from_any
from tal.errors import WeightsError
from tal.types import FloatArray

N_CLASSES = 400
CLIP_FRAMES = 64
"""Frames of the clips that I3D learned to classify (section 4.1); its features here come from shorter snippets."""


@dataclass(frozen=True)
class Head:
    """The classifier of one stream.

    Attributes:
        weight: (400, 1024).
        bias: (400,).
        trusted: Whether the network is known to be DeepMind's: all tensors, bit by bit, or a published file of it.
        verified: How it compares with DeepMind's checkpoints, in words.
    """

    weight: FloatArray
    bias: FloatArray
    trusted: bool
    verified: str

    def logits(self, features: FloatArray) -> FloatArray:
        """Map feature vectors (T, 1024) to class logits (T, 400)."""
        values: FloatArray = features @ self.weight.T + self.bias
        return values


def read_head(path: Path, stream: str, known_files: Sequence[KnownFile] = KNOWN_FILES) -> Head:
    """Read the head of a weight file and check the whole file.

    Args:
        path: The file, of any known format.
        stream: ``rgb`` or ``flow``.
        known_files: Published files; all of them hold DeepMind's networks.

    Raises:
        WeightsError: If the file is damaged, is not I3D for this stream, or does not know 400 classes.
    """
    from extract import weights, weights_files

    _refuse_untrained(path)
    values = weights_files.read(path)
    _check_classes(path, values)
    state = weights_files.canonical(path, values, stream)
    report, digests = weights.verify(state, stream), digests_of(path)
    published = any(known.has_digest and not known.mismatch(digests) for known in known_files)
    weight, bias = state["logits.conv3d.weight"].flatten(1).numpy(), state["logits.conv3d.bias"].numpy()
    return Head(weight, bias, report.identical or published, str(report))


def _refuse_untrained(path: Path) -> None:
    try:
        with safe_open(str(path), framework="numpy") as file:
            origin = str((file.metadata() or {}).get("origin", ""))
    except (OSError, SafetensorError):
        return  # of another format, or damaged: reading it tells
    if origin.startswith("random:"):
        raise WeightsError(f"{path}: untrained weights ({origin}), which know no classes; use weights of Kinetics-400")


def _check_classes(path: Path, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        shape = tuple(getattr(value, "shape", ()))
        if from_any(str(key)) == "logits.conv3d.weight" and shape and shape[0] != N_CLASSES:
            raise WeightsError(
                f"{path}: knows {shape[0]} classes, Kinetics-400 has {N_CLASSES}; use weights of Kinetics-400"
            )


def fused_logits(heads: Mapping[str, Head], streams: Mapping[str, FloatArray]) -> FloatArray:
    """Average the logits of the streams that have a head, (T, 400).

    Two-stream I3D averages the predictions of its streams; DeepMind's evaluate_sample.py adds the logits before one
    softmax. The mean ranks a snippet's classes as the sum does, and is as sure with two streams as with one.

    Args:
        heads: Stream to its head; at least one.
        streams: Stream to features (T, 1024).
    """
    fused: FloatArray = np.mean([head.logits(streams[name]) for name, head in heads.items()], axis=0, dtype=np.float32)
    return fused


def clip_mean(logits: FloatArray, length: int, stride: int) -> FloatArray:
    """Average each snippet's logits with its neighbours', over the 64 frames around its middle.

    I3D's logits of a clip are the mean over time of the map of logits, and it learned on clips of 64 frames: single
    snippets are flicker to it. Snippet j counts as much as its stride lies in the window; at both ends of a video,
    what is there is averaged.

    Args:
        logits: (T, C).
        length: Frames per snippet.
        stride: Frames between snippet starts.

    Returns:
        Smoothed logits, (T, C).
    """
    t = len(logits)
    half = (max(CLIP_FRAMES - length, 0) + stride) / (2 * stride)  # half the window, in snippets
    reach = min(int(np.ceil(half - 0.5)), t - 1)
    total, mass = np.zeros(logits.shape, np.float64), np.zeros((t, 1))
    for offset in range(-reach, reach + 1):
        share = min(1.0, half + 0.5 - abs(offset))
        here, there = slice(max(0, -offset), min(t, t - offset)), slice(max(0, offset), min(t, t + offset))
        total[here] += share * logits[there]
        mass[here] += share
    return (total / mass).astype(np.float32)


def softmax(logits: FloatArray) -> FloatArray:
    """Turn logits (T, C) into probabilities over the classes."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: FloatArray = powers / powers.sum(axis=1, keepdims=True)
    return probabilities
