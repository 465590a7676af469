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


def sample(rule: Literal["stratified", "uniform"], n_snippets: int, t: int, rng: np.random.Generator) -> Indices:
    """Return `t` snippet indices by the rule that the settings name, (t,)."""
    return stratified(n_snippets, t, rng) if rule == "stratified" else uniform(n_snippets, t)


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
