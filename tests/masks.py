"""Masks of labelled snippets, drawn as text."""

from __future__ import annotations

import torch
from torch import Tensor


def mask_of(*columns: str) -> Tensor:
    """Return a mask (1, T, K) drawn as one string per column, x for true."""
    return torch.tensor([[c == "x" for c in column] for column in columns]).T.unsqueeze(0)


def drawn(mask: Tensor) -> list[str]:
    return ["".join("x" if value else "." for value in column) for column in mask[0].T.tolist()]
