"""Vectors of float32 for Numba: a loop written with them is a vector loop, whatever LLVM thinks of its pointers.

LLVM vectorises a plain loop over a dozen rows only if it can show that no two overlap, and here it cannot. So the loops
say it themselves: `load`, arithmetic, `store`, on `LANES` pixels at a time. LLVM splits a vector that is wider than the
processor's. Operations are exactly rounded; a product and a sum may be fused.
"""

from __future__ import annotations

import operator
from typing import Any, Final

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types  # noqa: TID253
from numba.core.datamodel import models  # noqa: TID253
from numba.core.imputils import lower_builtin  # noqa: TID253
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature  # noqa: TID253
from numba.extending import register_model  # noqa: TID253

from extract.flow._cpu_compile import intrinsic

LANES: Final = 16
FLAGS: Final = ("contract", "nsz")
"""What LLVM may do: fuse a product and a sum, and forget the sign of zero."""
FLOAT: Final = ir.FloatType()
INT: Final = ir.IntType(32)
Pointer = Any
"""What `FLOATS` are to a type checker."""


class Vector(types.Type):
    """Some float32 in one register (or a few)."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(name=f"Vector({lanes})")


@register_model(Vector)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, ir.VectorType(FLOAT, kind.lanes))


WIDE: Final[Any] = Vector(LANES)
QUAD: Final[Any] = Vector(4)
OPERATIONS: Final = {operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul", operator.truediv: "fdiv"}


def _define(function: Any, opcode: str, kind: Vector) -> None:
    def lower(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return getattr(builder, opcode)(*values, flags=FLAGS)

    lower_builtin(function, kind, kind)(lower)


for _function, _opcode in OPERATIONS.items():
    _define(_function, _opcode, WIDE)
    infer_global(_function)(type("_Typing", (ConcreteTemplate,), {"cases": [signature(WIDE, WIDE, WIDE)]}))


FLOATS: Final[Any] = types.CPointer(types.float32)  # type: ignore[attr-defined]
"""Where float32 lie. Unlike an array it is not counted as a reference, which costs calls inside loops."""


@intrinsic
def address(typing: Any, array: Any) -> Any:
    """Return where a flat float32 array starts; the caller keeps the array."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, values[0]).data

    return FLOATS(array), code


def place(builder: Any, pointer: Any, index: Any, lanes: int) -> Any:
    """Emit where some values lie together."""
    return builder.bitcast(builder.gep(pointer, [index]), ir.VectorType(FLOAT, lanes).as_pointer())


@intrinsic
def load(typing: Any, pointer: Any, index: Any) -> Any:
    """Read a vector."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load(place(builder, values[0], values[1], LANES), align=4)

    return WIDE(FLOATS, types.intp), code


@intrinsic
def store(typing: Any, pointer: Any, index: Any, vector: Any) -> Any:
    """Write a vector."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pointer, index, vector = values
        builder.store(vector, place(builder, pointer, index, vector.type.count), align=4)
        return context.get_dummy_value()

    return types.void(FLOATS, types.intp, vector), code


@intrinsic
def get(typing: Any, pointer: Any, index: Any) -> Any:
    """Read one value."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load(builder.gep(values[0], [values[1]]))

    return types.float32(FLOATS, types.intp), code


@intrinsic
def put(typing: Any, pointer: Any, index: Any, value: Any) -> Any:
    """Write one value."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        builder.store(values[2], builder.gep(values[0], [values[1]]))
        return context.get_dummy_value()

    return types.void(FLOATS, types.intp, types.float32), code


def spread(builder: Any, value: Any, lanes: int) -> Any:
    """Emit a vector with one value in all lanes."""
    kind = ir.VectorType(FLOAT, lanes)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, INT(0))
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), ir.Constant(ir.VectorType(INT, lanes), None))


@intrinsic
def splat(typing: Any, value: Any) -> Any:
    """Return a vector with one value in all lanes."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return spread(builder, values[0], LANES)

    return WIDE(types.float32), code


@intrinsic
def ramp(typing: Any) -> Any:
    """Return 0, 1, 2, ..."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return ir.Constant(ir.VectorType(FLOAT, LANES), [float(i) for i in range(LANES)])

    return WIDE(), code


def _unary(name: str) -> Any:
    @intrinsic
    def function(typing: Any, vector: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            kind = values[0].type
            full = f"llvm.{name}.v{kind.count}f32"
            called = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), full)
            return builder.call(called, values, fastmath=FLAGS)

        return vector(vector), code

    return function


root = _unary("sqrt")
floor = _unary("floor")


def halved(builder: Any, value: Any) -> Any:
    """Return the sum of a vector's two halves."""
    half = value.type.count // 2
    parts = [ir.Constant(ir.VectorType(INT, half), list(range(i, i + half))) for i in (0, half)]
    return builder.fadd(*(builder.shuffle_vector(value, value, part) for part in parts))


@intrinsic
def total(typing: Any, vector: Any) -> Any:
    """Return the sum over the lanes, which are folded in halves."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        (value,) = values
        while value.type.count > 1:
            value = halved(builder, value)
        return builder.extract_element(value, INT(0))

    return types.float32(vector), code


def _lane(i: int) -> Any:
    @intrinsic
    def lane(typing: Any, vector: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return builder.extract_element(values[0], INT(i))

        return types.float32(vector), code

    return lane


lane0, lane1, lane2 = _lane(0), _lane(1), _lane(2)


def extreme(builder: Any, order: str, a: Any, b: Any) -> Any:
    """Emit the smaller ("<") or larger (">") of two vectors, lane by lane."""
    return builder.select(builder.fcmp_ordered(order, a, b), a, b)


def _chooser(order: str) -> Any:
    @intrinsic
    def choose(typing: Any, a: Any, b: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return extreme(builder, order, *values)

        return a(a, b), code

    return choose


low = _chooser("<")
high = _chooser(">")
