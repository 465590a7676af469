"""ASSG's seeds (section 3.2.1) and how they grow (section 3.2.3, eq. 1).

Labels of snippets are masks over K = 1 + C columns: background first, then the classes. Several may be set at once,
since each class grows for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch  # noqa: TID253
from numpy.typing import NDArray
from torch import Tensor  # noqa: TID253

from tal import sampling
from tal.types import Activations, FloatArray

Mask = NDArray[np.bool_]
Background = Literal["low_attention", "shot", "both"]


@dataclass(frozen=True)
class SeedRule:
    """Which snippets are seeds.

    Attributes:
        foreground: Peaks of a class lie above this share of its largest value in the video.
        source: Where background is looked for: at ``low_attention`` or at ``shot`` changes, or at ``both``.
        share: How many of a video's snippets count as low attention.
        quiet: Nothing is background where a class of the video reaches this share of its largest value.
    """

    foreground: float
    source: Background
    share: float
    quiet: float


@dataclass(frozen=True)
class Seeds:
    """The seeds of one video.

    Attributes:
        columns: The columns that can have seeds: background and the video's classes, int64 (k,).
        mask: Which snippets are seeds of them, bool (T, k).
    """

    columns: Tensor
    mask: Tensor


def find_seeds(features: FloatArray, labels: FloatArray, guide: Activations, rule: SeedRule) -> Seeds:
    """Take a video's seeds from what a CAS-based network says about it (section 3.2.1).

    Args:
        features: Snippet features, (T, D); shot changes are seen in them.
        labels: Multi-hot labels, (C,).
        guide: The CAS-based network's word; peaks are those of its signal.
        rule: Which snippets are seeds.
    """
    present = np.flatnonzero(labels)
    height = _share_of_peak(guide.signal[:, present])  # (T, k - 1)
    background = _background(features, guide.attention, rule) & (height < rule.quiet).all(axis=1)
    mask = np.column_stack([background, height > rule.foreground])
    return Seeds(torch.from_numpy(np.append(0, 1 + present)), torch.from_numpy(mask))


def _share_of_peak(signal: FloatArray) -> FloatArray:
    """Divide each class by its largest value over time; a class that is nowhere positive becomes 0."""
    peak = signal.max(axis=0)
    shares: FloatArray = np.where(peak > 0, signal / np.where(peak > 0, peak, 1), 0)
    return shares


def _background(features: FloatArray, attention: FloatArray, rule: SeedRule) -> Mask:
    """Return where background may have its seeds, (T,)."""
    found = np.zeros(len(features), bool)
    if rule.source != "shot":
        found |= attention <= np.quantile(attention, rule.share)
    if rule.source != "low_attention":
        found[sampling.shots(features)[1:]] = True  # the first shot starts with the video: nothing changes there
    return found


def collate(videos: Sequence[Seeds], snippets: Tensor, n_columns: int) -> Tensor:
    """Look up the seeds of a batch.

    Args:
        videos: The seeds of each sample's video.
        snippets: The samples' snippets, as indices in their videos, (B, T).
        n_columns: K.

    Returns:
        Which snippets are seeds of what, bool (B, T, K), on the CPU.
    """
    found = torch.zeros(*snippets.shape, n_columns, dtype=torch.bool)
    for row, seeds, chosen in zip(found, videos, snippets.cpu(), strict=True):
        row[:, seeds.columns] = seeds.mask[chosen]
    return found


def grow(seeds: Tensor, willing: Tensor, rings: int = 0) -> Tensor:
    """Let seeds spread to neighbouring snippets that are willing (eq. 1).

    Growth begins with the seeds alone each time, as in Huang et al. (CVPR 2018), whose policy this is in one dimension.

    Args:
        seeds: Where each column's seeds are, bool (B, T, K).
        willing: Where eq. 1's conditions on the heatmap hold, bool (B, T, K).
        rings: How far seeds spread at most, in snippets; 0 for until nothing changes.

    Returns:
        Seeds and what has grown from them, bool (B, T, K).
    """
    if rings == 0:
        return _reached(seeds, willing) | _reached(seeds.flip(1), willing.flip(1)).flip(1)
    for _ in range(rings):
        near = torch.zeros_like(seeds)
        near[:, 1:] |= seeds[:, :-1]
        near[:, :-1] |= seeds[:, 1:]
        seeds = seeds | (near & willing)
    return seeds


def _reached(seeds: Tensor, willing: Tensor) -> Tensor:
    """Return what a seed at the same place or earlier reaches without a gap, (B, T, K).

    That is where the last seed so far is later than the last snippet so far that neither is a seed nor willing.
    """
    place = torch.arange(1, seeds.shape[1] + 1, dtype=torch.int32, device=seeds.device).unsqueeze(1)
    seed = (seeds * place).cummax(dim=1).values
    gap = (~(seeds | willing) * place).cummax(dim=1).values
    return seed > gap
