"""Memory for large intermediate values that the next update uses again.

Fresh memory of this size comes from the system page by page, which takes longer than the sums that are written to it.
"""

from __future__ import annotations

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253


class Pool:
    """Memory for intermediate values, used again once nobody holds it."""

    def __init__(self) -> None:
        self.free: list[Tensor] = []

    def pop(self, numel: int, like: Tensor, dtype: torch.dtype) -> Tensor:
        """Return flat memory for at least `numel` values on the device of `like`, the tightest there is."""
        same = [b for b in self.free if b.dtype == dtype and b.device == like.device]
        fitting = [b for b in same if b.numel() >= numel]
        found = min(fitting or same[:1], key=Tensor.numel, default=None)
        if found is not None:
            self.free = [b for b in self.free if b is not found]
        if found is None or found.numel() < numel:
            found = torch.empty(numel + numel // 8, dtype=dtype, device=like.device)
        return found


class Room:
    """What one pass takes out of a pool; it goes back when the pass, and the graph it belongs to, is gone."""

    def __init__(self, pool: Pool) -> None:
        self.pool, self.taken = pool, list[Tensor]()

    def take(self, *shape: int, like: Tensor, dtype: torch.dtype) -> Tensor:
        """Return a tensor of any content."""
        numel = torch.Size(shape).numel()
        with torch.inference_mode(False):
            flat = self.pool.pop(numel, like, dtype)
        self.taken.append(flat)
        return flat[:numel].view(shape)

    def __del__(self) -> None:
        self.pool.free += self.taken
