"""The bicubic weights of four neighbours, for pixels of four channels: 16 lanes are the neighbours' channels."""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types  # noqa: TID253

from extract.flow._cpu_compile import intrinsic
from extract.flow._cpu_vectors import FLAGS, FLOAT, QUAD, WIDE, halved, spread

TABLE: Final = ((0.0, 1.0, 0.0, 0.0), (-0.75, 0.0, 0.75, 0.0), (1.5, -2.25, 1.5, -0.75), (-0.75, 1.25, -1.25, 0.75))
"""What 1, f, f^2 and f^3 are multiplied with for each neighbour: R. Keys, 1981, with OpenCV's a = -0.75."""


@intrinsic
def cubic_taps(typing: Any, fraction: Any) -> Any:
    """Return OpenCV's bicubic weights of four taps, each four times, for a position between the middle two."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.VectorType(FLOAT, 16)
        f = spread(builder, values[0], 16)
        constant, *powers = (ir.Constant(kind, [float(tap) for tap in row for _ in range(4)]) for row in TABLE)
        value = powers[-1]
        for row in (powers[1], powers[0], constant):
            value = builder.fadd(builder.fmul(value, f, flags=FLAGS), row, flags=FLAGS)
        return value

    return WIDE(types.float32), code


@intrinsic
def fold(typing: Any, vector: Any) -> Any:
    """Return the sum of the four quarters of 16 lanes."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return halved(builder, halved(builder, values[0]))

    return QUAD(WIDE), code
