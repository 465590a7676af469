"""ECM's classifier over snippets, with few and large matrix products.

Temporal convolutions with three taps are computed by minimal filtering F(2, 3) (Winograd 1980; Lavin and Gray 2016,
section 4.1): each pair of outputs costs four products of a snippet with a matrix, where the definition needs six, in
both directions of the training. Videos lie one below the other with one row of zeros between them, so lengths may
differ and no product is spent on padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from tal.methods._ecm_memory import Pool, Room

SLOPE = 0.01  # of the leaky ReLU, where it is negative
# Lavin and Gray, section 4.1: tiles of four inputs, filters of three taps, pairs of outputs
INPUT = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
FILTER = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
OUTPUT = ((1, 1, 1, 0), (0, 1, -1, -1))
STEP = 2  # outputs per tile


@dataclass
class Plan:
    """How the snippets of several videos lie below each other, and how they are computed.

    Attributes:
        lengths: Snippets of each video.
        dtype: Numbers that matrix products take; within one they add up in float32 at least.
        dropout: Share of the last hidden values that is dropped, a multiple of 1/256.
        pool: Where memory comes from.
    """

    lengths: tuple[int, ...]
    dtype: torch.dtype
    dropout: float = 0.0
    pool: Pool = field(default_factory=Pool)

    @property
    def n_tiles(self) -> int:
        """Pairs of outputs that cover all rows but the first and the last."""
        return -(-(sum(self.lengths) + len(self.lengths) - 1) // STEP)

    @property
    def n_rows(self) -> int:
        """Rows, the zeros before, between and after the videos included."""
        return STEP * self.n_tiles + 2

    @cached_property
    def starts(self) -> list[int]:
        """Each video's first row."""
        return [1 + video + before for video, before in enumerate(accumulate(self.lengths[:-1], initial=0))]

    @cached_property
    def places(self) -> Tensor:
        """Each snippet's row, (N,)."""
        shift = torch.arange(1, len(self.lengths) + 1)
        return torch.arange(sum(self.lengths)) + shift.repeat_interleave(torch.tensor(self.lengths))

    @cached_property
    def blank(self) -> Tensor:
        """The rows without a snippet, first and last excepted."""
        empty = torch.ones(self.n_rows, dtype=torch.bool)
        empty[self.places] = False
        return empty[1:-1].nonzero()[:, 0] + 1


def combine(parts: Sequence[Tensor], factors: Sequence[float], out: Tensor) -> Tensor:
    """Write the sum of parts times factors to `out`; parts with factor 0 are not looked at."""
    terms = sorted(((f, p) for f, p in zip(factors, parts, strict=True) if f), key=lambda term: term[0] != 1)
    (first, start), rest = terms[0], terms[1:]
    if first != 1:
        torch.mul(start, first, out=out)
    elif rest:
        torch.add(start, rest[0][1], alpha=rest[0][0], out=out)
        rest = rest[1:]
    else:
        out.copy_(start)
    for factor, part in rest:
        out.add_(part, alpha=factor)
    return out


def _phases(rows: Tensor, n_tiles: int) -> list[Tensor]:
    """Return views of (R, D): the k-th input of every tile, (n_tiles, D) each."""
    return [rows[k : k + STEP * (n_tiles - 1) + 1 : STEP] for k in range(STEP + 2)]


@dataclass
class Convolution:
    """One convolution, leaky ReLU included, forward and backward; each is run once.

    Attributes:
        weight: Taps, (3, H, D).
        plan: The rows.
        room: Where memory is taken from.
    """

    weight: Tensor
    plan: Plan
    room: Room

    def forward(self, rows: Tensor, bias: Tensor) -> Tensor:
        """Map rows (R, D) to rows (R, H); rows without a snippet become zero."""
        self.rows = rows
        self.filters = self._filters()
        out = self._take(self.plan.n_rows, len(bias))
        out[0], out[-1] = 0, 0
        pair = out[1:-1].view(self.plan.n_tiles, STEP, -1).unbind(1)
        for target in pair:
            target.copy_(bias.expand_as(target))
        self.tiles = self._take(len(INPUT), self.plan.n_tiles, rows.shape[1])
        product = self._take(self.plan.n_tiles, len(bias))
        for i, factors in enumerate(INPUT):
            combine(_phases(rows, self.plan.n_tiles), factors, self.tiles[i])
            torch.mm(self.tiles[i], self.filters[i].t(), out=product)
            for k, target in enumerate(pair):
                if OUTPUT[k][i]:
                    target.add_(product, alpha=OUTPUT[k][i])
        out.index_fill_(0, self.plan.blank.to(out.device), 0)
        functional.leaky_relu(out, SLOPE, inplace=True)
        self.out = out
        return out

    def backward(self, gradient: Tensor, *, inputs: bool) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the gradients of taps (3, H, D), bias (H,) and, if wanted, of the rows (R, D).

        Args:
            gradient: Of `forward`'s rows, (R, H); overwritten.
            inputs: Whether the gradient of the rows is wanted.
        """
        torch.ops.aten.leaky_relu_backward.grad_input(gradient, self.out, SLOPE, True, grad_input=gradient)
        gradient.index_fill_(0, self.plan.blank.to(gradient.device), 0)
        pair = gradient[1:-1].view(self.plan.n_tiles, STEP, -1).unbind(1)
        of_rows = self._take(*self.rows.shape).zero_() if inputs else None
        of_filters = self._take(*self.filters.shape)
        product, of_tiles = self._take(*pair[0].shape), self._take(*self.tiles[0].shape)
        for i in range(len(INPUT)):
            combine(pair, [OUTPUT[k][i] for k in range(STEP)], product)
            torch.mm(product.t(), self.tiles[i], out=of_filters[i])
            if of_rows is not None:
                self._add_to_rows(of_rows, torch.mm(product, self.filters[i], out=of_tiles), INPUT[i])
        taps = torch.empty_like(self.weight)
        for k in range(3):
            combine(of_filters.unbind(), [FILTER[i][k] for i in range(len(FILTER))], taps[k])
        return taps, gradient[1:-1].sum(dim=0, dtype=self.weight.dtype), of_rows

    def _add_to_rows(self, rows: Tensor, tiles: Tensor, factors: Sequence[float]) -> None:
        for phase, factor in zip(_phases(rows, self.plan.n_tiles), factors, strict=True):
            if factor:
                phase.add_(tiles, alpha=factor)

    def _filters(self) -> Tensor:
        filters = self._take(len(FILTER), *self.weight.shape[1:])
        for one, factors in zip(filters, FILTER, strict=True):
            combine(self.weight.unbind(), factors, one)
        return filters

    def _take(self, *shape: int) -> Tensor:
        return self.room.take(*shape, like=self.weight, dtype=self.plan.dtype)


class SnippetScores(torch.autograd.Function):
    """Two convolutions with leaky ReLU, dropout, and a linear map without bias, as one differentiable step."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, plan: Plan, *weights: Tensor) -> Tensor:
        """Map snippets to class scores.

        Args:
            ctx: What the way back needs.
            features: Snippets of all videos, (N, D).
            plan: Where they lie.
            *weights: Taps and bias of both convolutions, (3, H, D), (H,), (3, H, H), (H,), and the linear map, (C, H).

        Returns:
            Scores of all rows of the plan, (R, C).
        """
        w1, b1, w2, b2, out = weights
        room = Room(plan.pool)
        rows = room.take(plan.n_rows, features.shape[1], like=features, dtype=plan.dtype)
        rows.zero_()
        for start, part in zip(plan.starts, torch.split(features, list(plan.lengths)), strict=True):
            rows[start : start + len(part)].copy_(part)
        first, second = Convolution(w1, plan, room), Convolution(w2, plan, room)
        hidden = second.forward(first.forward(rows, b1), b2)
        mask = _dropout_mask(hidden, plan, room)
        exact = room.take(*hidden.shape, like=hidden, dtype=out.dtype).copy_(hidden)
        if mask is not None:
            exact.mul_(mask)
        ctx.kept = (room, first, second, mask, exact)
        ctx.save_for_backward(out)
        return exact @ out.t()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of all weights."""
        room, first, second, mask, exact = ctx.kept
        (out,) = ctx.saved_tensors
        dtype = second.plan.dtype
        of_hidden = room.take(*exact.shape, like=exact, dtype=dtype)
        torch.mm(gradient.to(dtype), out.to(dtype), out=of_hidden)
        if mask is not None:
            of_hidden.mul_(mask)
        w2, b2, of_first = second.backward(of_hidden, inputs=True)
        w1, b1, _ = first.backward(of_first, inputs=False)
        return None, None, w1, b1, w2, b2, gradient.t() @ exact


def _dropout_mask(hidden: Tensor, plan: Plan, room: Room) -> Tensor | None:
    """Return 0 where a value is dropped and 1 / (1 - p) elsewhere; None without dropout."""
    kept = 256 - round(256 * plan.dropout)
    if kept == 256:
        return None
    words = room.take(-(-hidden.numel() // 8), like=hidden, dtype=torch.int64)
    words.random_(-(2**63), 2**63 - 1)
    noise = words.view(torch.uint8)[: hidden.numel()].view_as(hidden)
    drawn = torch.lt(noise, kept, out=room.take(*hidden.shape, like=hidden, dtype=torch.bool))
    return room.take(*hidden.shape, like=hidden, dtype=hidden.dtype).copy_(drawn).mul_(256 / kept)
