"""ECM's pooling and losses."""

from __future__ import annotations

from typing import Literal

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from tal.methods._ecm_classifier import FOLDS


def top_k_means(cas: Tensor, lengths: tuple[int, ...], share: float) -> Tensor:
    """Average each class's strongest snippets (section 3.1), at least one.

    Args:
        cas: Class scores of all snippets, (N, C).
        lengths: Snippets of each video.
        share: Share of snippets to keep; rounded down, as in the public code.

    Returns:
        Video-level logits s^e, (B, C).
    """
    videos = [one.t().contiguous() for one in torch.split(cas, list(lengths))]  # (C, T) each
    best = [one.topk(max(1, int(share * one.shape[1])), dim=1).values for one in videos]
    return torch.stack([one.mean(dim=1) for one in best])


def label_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of the softmax with labels that add up to 1 (section 3.5); (B, C) each."""
    target = labels / labels.sum(dim=1, keepdim=True).clamp_min(1)
    return -(target * functional.log_softmax(logits, dim=1)).sum(dim=1).mean()


def mixtures(
    features: Tensor,
    lengths: tuple[int, ...],
    weights: Tensor,
    labels: Tensor,
    background: Literal["official", "paper"] | None,
    *,
    mean: bool,
) -> tuple[Tensor, list[int]]:
    """Aggregate each video's snippets in three folds, once per class and weighting (figure 3, eqs. 1 and 2).

    Args:
        features: Snippets of all videos, (N, D).
        lengths: Snippets of each video.
        weights: Action weights of W classes, (N, W).
        labels: Multi-hot, (B, C).
        background: How background is aggregated, see `tal.methods.ecm.Config`; None for not at all.
        mean: Divide by the number of snippets of the fold.

    Returns:
        Aggregated features (3, n * W, D), and how many of the n belong to each video, the first to its actions.
    """
    items, counts = [], []
    videos = zip(torch.split(features, list(lengths)), torch.split(weights, list(lengths)), labels, strict=True)
    for snippets, action, present in videos:
        every = torch.cat([action, *_background(action, present, background)], dim=1)  # (T, n W)
        items.append(torch.stack([_pooled(every[i::FOLDS], snippets[i::FOLDS], mean) for i in range(FOLDS)]))
        counts.append(every.shape[1] // action.shape[1])
    return torch.cat(items, dim=1), counts


def _background(action: Tensor, present: Tensor, rule: Literal["official", "paper"] | None) -> list[Tensor]:
    """Return the weights that background is aggregated with, (T, W) each; one per present class if `official`."""
    if rule is None:
        return []
    if rule == "paper":
        return [1 - action]
    if action.shape[1] == 1:
        return [action * (1 - action)]
    return [action * (1 - action[:, c : c + 1]) for c in present.nonzero()[:, 0].tolist()]


def _pooled(weights: Tensor, snippets: Tensor, mean: bool) -> Tensor:
    total = weights.t() @ snippets
    return total / max(1, len(snippets)) if mean else total


def twins(scores: Tensor, labels: Tensor) -> Tensor:
    """Return one video's absence scores, (C,), from those under each background aggregation, (n, C).

    With one aggregation per present class, a present class is judged by its own and the others by the mean over all.
    """
    mean = scores.mean(dim=0) if len(scores) else scores.new_zeros(len(labels))
    present = labels.nonzero()[:, 0]
    if len(scores) <= 1:
        return mean
    return mean.index_put((present,), scores[torch.arange(len(present), device=scores.device), present])


def absence_loss(post: Tensor, absent: Tensor, labels: Tensor) -> Tensor:
    """Return eq. 4: the present classes' action scores shall be 1, the scores of their absence 0.

    As in the public code, scores are one softmax over both, 2C values. Videos without a label count as 0.

    Args:
        post: Logits with action weights, (B, C).
        absent: Logits with background weights, (B, C).
        labels: Multi-hot, (B, C).
    """
    logits = torch.cat([post, absent], dim=1)  # (B, 2C)
    video, c = labels.nonzero(as_tuple=True)  # (K,) each
    total = logits.logsumexp(dim=1)[video]
    others = logits[video].scatter(1, (c + labels.shape[1]).unsqueeze(1), float("-inf")).logsumexp(dim=1)
    losses = (total - post[video, c]) + (total - others)  # -log s and -log(1 - s~)
    return (losses / (2 * labels.sum(dim=1)[video])).sum() / len(labels)


def positive_minmax(cas: Tensor) -> Tensor:
    """Scale each class of (T, C) over time by its extremes, where negative ones count as 0."""
    low, high = cas.amin(dim=0).clamp_min(0), cas.amax(dim=0).clamp_min(0)
    return (cas - low) / torch.where(high > low, high - low, torch.ones_like(low))
