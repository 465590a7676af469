"""The losses of CMCS, each one value per video; videos lie side by side along the last axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

_EPSILON = 1e-6  # the authors' guard against classes that no branch sees


def cross_entropy(video_scores: Tensor, target: Tensor) -> Tensor:
    """Compare the softmax of video-level scores with a target distribution, both (B, S) (eq. 10); (B,)."""
    return functional.cross_entropy(video_scores, target, reduction="none")


def diversity(scores: Tensor, lengths: Sequence[int]) -> Tensor:
    """Average the cosine similarities of every two branches' CASes over pairs and classes (eq. 4).

    Args:
        scores: Raw scores of at least two branches, (K, S, N).
        lengths: Snippets of each video; they add up to N.

    Returns:
        One value per video, in [0, 1], (B,).
    """
    cas = torch.softmax(scores, dim=1).transpose(0, 1)  # (S, K, N), eq. 3
    products = torch.stack([video @ video.transpose(1, 2) for video in torch.split(cas, list(lengths), dim=2)])
    squares = products.diagonal(dim1=2, dim2=3).clamp_min(torch.finfo(scores.dtype).tiny)  # a root of 0 has no gradient
    norms = squares.sqrt()  # (B, S, K)
    first, second = torch.triu_indices(len(scores), len(scores), 1, device=scores.device)
    cosines = products[..., first, second] / (norms[..., first] * norms[..., second] + _EPSILON)
    return cosines.mean(dim=(1, 2))


def norm_deviation(scores: Tensor, lengths: Sequence[int], rule: Literal["code", "paper1", "paper2"]) -> Tensor:
    """Average how far the norms of branches' raw scores over time lie apart, over branches and classes (eq. 7).

    Args:
        scores: Raw scores, (K, S, N).
        lengths: Snippets of each video; they add up to N.
        rule: ``code``: l1 norms divided by T, measured from their mean over branches. ``paper1``, ``paper2``: l1 or l2
            norms, measured from the norm of the branches' average.

    Returns:
        One value per video, (B,).
    """
    if rule == "code":
        norms = _sums(scores.abs(), lengths) / torch.tensor(lengths, device=scores.device)[:, None, None]
        return (norms - norms.mean(dim=1, keepdim=True)).abs().mean(dim=(1, 2))
    order = 1 if rule == "paper1" else 2
    norms, average = (_norms(values, lengths, order) for values in (scores, scores.mean(dim=0, keepdim=True)))
    return (norms - average).abs().mean(dim=(1, 2))


def _sums(values: Tensor, lengths: Sequence[int]) -> Tensor:
    """Sum (K, S, N) over each video, (B, K, S)."""
    return torch.stack([video.sum(dim=2) for video in torch.split(values, list(lengths), dim=2)])


def _norms(values: Tensor, lengths: Sequence[int], order: int) -> Tensor:
    """Return the norm of each row of (K, S, N) over each video, (B, K, S)."""
    return torch.stack([video.norm(p=order, dim=2) for video in torch.split(values, list(lengths), dim=2)])
