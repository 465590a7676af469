"""A median filter as a selection network: comparisons of fixed pairs of wires, the same for every pixel.

The n * n values of a window are wires, wire ``n * y + x`` for row y and column x. Columns are sorted, then rows. In
such a square at least (i + 1)(j + 1) - 1 values are not above the one at (i, j), and (n - i)(n - j) - 1 are not below
it; that leaves few candidates, and the lowest and highest of them are dropped until the median is left.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple


class Step(NamedTuple):
    """One comparison: the smaller of two wires goes to `low`, the larger to `high`.

    Attributes:
        low: Wire of the smaller value.
        high: Wire of the larger value.
        keep_low: Whether anything reads `low` afterwards.
        keep_high: Whether anything reads `high` afterwards.
    """

    low: int
    high: int
    keep_low: bool = True
    keep_high: bool = True


SORTED = {
    3: [(0, 1), (1, 2), (0, 1)],
    5: [(0, 3), (1, 4), (0, 2), (1, 3), (0, 1), (2, 4), (1, 2), (3, 4), (2, 3)],
}
"""Shortest sorting networks (D. Knuth, The Art of Computer Programming, volume 3, section 5.3.4)."""


@cache
def column_steps(side: int) -> list[Step]:
    """Return the network that sorts one column of `side` wires."""
    return [Step(low, high) for low, high in SORTED[side]]


@cache
def after_columns(side: int) -> tuple[list[Step], int]:
    """Return the steps from sorted columns to the median, and the wire that has it."""
    rows = [Step(side * row + low, side * row + high) for row in range(side) for low, high in SORTED[side]]
    wires = [side * i + j for i in range(side) for j in range(side) if _candidate(i, j, side)]
    last, median = _select(wires)
    return _pruned(rows + last, median), median


def network(side: int) -> tuple[list[Step], int]:
    """Return the steps from a window's values to its median, and the wire that has it."""
    columns = [Step(side * low + x, side * high + x) for x in range(side) for low, high in SORTED[side]]
    steps, median = after_columns(side)
    return columns + steps, median


def _candidate(i: int, j: int, side: int) -> bool:
    rank = (side * side + 1) // 2
    return (i + 1) * (j + 1) <= rank and (side - i) * (side - j) <= rank


def _select(wires: list[int]) -> tuple[list[Step], int]:
    """Drop the extremes of the first n / 2 + 2 wires, take in one more, and so on (A. Paeth, Graphics Gems, 1990)."""
    held, waiting = wires[: len(wires) // 2 + 2], wires[len(wires) // 2 + 2 :]
    steps: list[Step] = []
    while len(held) > 1:
        new, held = _drop_extremes(held)
        steps += new
        held += waiting[:1]
        waiting = waiting[1:]
    return steps, held[0]


def _drop_extremes(wires: list[int]) -> tuple[list[Step], list[int]]:
    """Return steps that bring the lowest to the first and the highest to the last wire, and the wires between."""
    n = len(wires)
    pairs = [Step(wires[i], wires[n - 1 - i]) for i in range(n // 2)]
    lows = [Step(wires[0], wire) for wire in wires[1 : (n + 1) // 2]]
    highs = [Step(wire, wires[-1]) for wire in wires[n // 2 : -1]]
    return pairs + lows + highs, wires[1:-1]


def _pruned(steps: list[Step], output: int) -> list[Step]:
    """Leave out what does not lead to `output`, and mark which half of a comparison does."""
    live, kept = {output}, []
    for low, high, *_ in reversed(steps):
        if low in live or high in live:
            kept.append(Step(low, high, low in live, high in live))
            live |= {low, high}
    return kept[::-1]
