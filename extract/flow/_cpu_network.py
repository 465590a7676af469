"""The network of comparisons that finds the median of 5 x 5 pixels, as vector code.

Wires are values, wire 5 r + x for column x; a step moves the smaller of two to its first wire, the larger to the other.
`COLUMN` sorts five values (D. Knuth, The Art of Computer Programming, volume 3, section 5.3.4). `REST` takes sorted
columns, wire 5 r + x the r-th smallest of column x, and leaves the median on wire `MEDIAN`. It sorts rows, drops
extremes of the candidates left, and was then rid, in random orders, of every step without which all 6^5 cases of sorted
columns of zeros and ones still come out right, which by the zero-one principle proves it.
"""

from __future__ import annotations

from typing import Any, Final

from numba.core import types  # noqa: TID253

from extract.flow._cpu_compile import intrinsic
from extract.flow._cpu_vectors import FLOATS, LANES, WIDE, extreme, place

COLUMN: Final = ((0, 3), (1, 4), (0, 2), (1, 3), (0, 1), (2, 4), (1, 2), (3, 4), (2, 3))
REST: Final = (
    (0, 3),
    (1, 4),
    (0, 2),
    (1, 3),
    (2, 4),
    (3, 4),
    (2, 3),
    (5, 8),
    (6, 9),
    (6, 8),
    (5, 6),
    (7, 9),
    (6, 7),
    (8, 9),
    (7, 8),
    (10, 13),
    (11, 14),
    (10, 12),
    (11, 13),
    (10, 11),
    (12, 14),
    (11, 12),
    (13, 14),
    (12, 13),
    (16, 19),
    (15, 17),
    (15, 16),
    (17, 19),
    (16, 17),
    (17, 18),
    (20, 23),
    (21, 24),
    (20, 22),
    (21, 23),
    (20, 21),
    (22, 24),
    (21, 22),
    (4, 15),
    (16, 17),
    (4, 7),
    (13, 15),
    (16, 13),
    (3, 7),
    (17, 8),
    (7, 16),
    (13, 9),
    (16, 20),
    (16, 17),
    (13, 20),
    (21, 20),
    (17, 11),
    (21, 11),
    (13, 12),
    (13, 21),
    (21, 12),
)
MEDIAN: Final = 21


def _emit(builder: Any, steps: tuple[tuple[int, int], ...], wires: list[Any]) -> None:
    """Emit the comparisons of a network, which replace the wires' values."""
    for i, j in steps:
        a, b = wires[i], wires[j]
        wires[i], wires[j] = extreme(builder, "<", a, b), extreme(builder, ">", a, b)


@intrinsic
def sort5(typing: Any, a: Any, b: Any, c: Any, d: Any, e: Any) -> Any:
    """Return five vectors with each lane sorted, the smallest first."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        wires = list(values)
        _emit(builder, COLUMN, wires)
        return context.make_tuple(builder, signature.return_type, wires)

    return types.UniTuple(a, 5)(a, b, c, d, e), code  # type: ignore[attr-defined]


@intrinsic
def median25(typing: Any, pointer: Any, index: Any, stride: Any) -> Any:
    """Return the medians of 5 x 5 windows with sorted columns, given the index of their first value."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pointer, index, stride = values
        size = index.type
        wires = []
        for row in range(5):
            first = builder.add(index, builder.mul(stride, size(row)))
            places = [place(builder, pointer, builder.add(first, size(x)), LANES) for x in range(5)]
            wires += [builder.load(here, align=4) for here in places]
        _emit(builder, REST, wires)
        return wires[MEDIAN]

    return WIDE(FLOATS, types.intp, types.intp), code
