"""Which videos and which of their snippets a training step sees.

Snippets are index sequences of equal length from videos of any length. They never decrease; videos shorter than the
sample repeat snippets. Source: STPN, section 4.2 ("uniform"
sampling with stratified perturbation), with the details of its public re-implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tal.types import FloatArray

Indices = NDArray[np.int64]


def uniform(n_snippets: int, t: int) -> Indices:
    """Return the first snippet of each of `t` equal strata, floor(i * n_snippets / t), (t,)."""
    if n_snippets < 1 or t < 1:
        raise ValueError(f"cannot sample {t} of {n_snippets} snippets")
    return np.arange(t, dtype=np.int64) * n_snippets // t


def stratified(n_snippets: int, t: int, rng: np.random.Generator) -> Indices:
    """Return one random snippet of each of `t` equal strata, (t,).

    A stratum runs from its own first snippet to that of the next stratum, both included; the last one to the video's
    end. Where `t` equals `n_snippets`, each snippet comes once.
    """
    low = uniform(n_snippets, t)
    if t == n_snippets:
        return low
    high = np.append(low[1:], n_snippets - 1)
    return rng.integers(low, high, endpoint=True)


def sparse(n_snippets: int, t: int, rng: np.random.Generator) -> Indices:
    """Return one random snippet of each of `t` equal strata that do not share any, (t,) (CPMN, section 3.2).

    Strata without a snippet of their own, in videos shorter than the sample, take the one before.
    """
    low = uniform(n_snippets, t)
    high = np.maximum(np.append(low[1:], n_snippets) - 1, low)
    return rng.integers(low, high, endpoint=True)


def shots(features: FloatArray) -> Indices:
    """Return the first snippet of each shot, (S,), increasing from 0.

    A shot begins where the cosine distance to the snippet before is a local peak above mean plus one deviation (CPMN,
    section 3.2, cuts at shots and leaves open how they are found).

    Args:
        features: Of one video, (T, D).
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    distance = np.concatenate(([0.0], 1 - np.einsum("td,td->t", unit[1:], unit[:-1], dtype=np.float64), [0.0]))
    inner = distance[1:-1]
    if not len(inner):
        return np.zeros(1, np.int64)
    peak = (inner >= distance[:-2]) & (inner > distance[2:]) & (inner > inner.mean() + inner.std())
    return np.append(0, np.flatnonzero(peak) + 1).astype(np.int64)


def per_shot(firsts: Indices, n_snippets: int, t: int, rng: np.random.Generator) -> Indices:
    """Return `t` random snippets, one of each of `t` shots spread evenly over all, never decreasing, (t,).

    Args:
        firsts: First snippet of each shot.
        n_snippets: Snippets of the video.
        t: How many are drawn; of more shots some are left out, of fewer some come more than once.
        rng: The generator.
    """
    chosen = uniform(len(firsts), t)
    ends = np.append(firsts[1:], n_snippets)
    return np.sort(rng.integers(firsts[chosen], ends[chosen]))


Rule = Literal["stratified", "sparse", "uniform"]


def sample(rule: Rule, n_snippets: int, t: int, rng: np.random.Generator) -> Indices:
    """Return `t` snippet indices by the rule that the settings name, (t,)."""
    if rule == "uniform":
        return uniform(n_snippets, t)
    return stratified(n_snippets, t, rng) if rule == "stratified" else sparse(n_snippets, t, rng)


def shuffled(n_videos: int, start: int, count: int, rng_of: Callable[[int], np.random.Generator]) -> Indices:
    """Return a stretch of the endless sequence in which every video comes once per epoch.

    Args:
        n_videos: Videos in the set.
        start: Position in the sequence.
        count: Length of the stretch.
        rng_of: Epoch number to the generator that shuffles it.

    Returns:
        Places of videos in the set, (count,).
    """
    epochs = range(start // n_videos, (start + count - 1) // n_videos + 1)
    order = np.concatenate([rng_of(epoch).permutation(n_videos) for epoch in epochs])
    first = start - epochs[0] * n_videos
    return order[first : first + count]
