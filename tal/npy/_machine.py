"""A pickle read as data: a machine with a stack, a memo, and nothing that it could call.

It knows the operations that Python 2 and 3 write for NumPy's arrays of objects (protocols 2 to 5): numbers, texts,
bytes, lists, tuples, dicts, and the handful of names by which NumPy says "an array of this type and shape with these
bytes". A name is a word here, never a thing that is imported; every other name, and every other operation, ends the
reading. What an array's bytes are is noted and not copied.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from tal.npy._array import Damaged, Latin1, Stored, filled
from tal.npy._words import WORDS, ElementType, Word, meaning

LONG_TEXT = 1 << 16
LONG_BYTES = 1 << 8
MAX_INTEGER_BYTES = 64
MAX_NAME = 200


class Machine:
    """Reads one pickle.

    Args:
        data: The pickle; what is returned may refer to it.
    """

    def __init__(self, data: memoryview) -> None:
        self._data, self._at = data, 0
        self.stack: list[Any] = []
        self._below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Return what the pickle holds.

        Raises:
            Damaged: If it is cut short, or holds anything but arrays, lists and plain values.
        """
        while (code := self.take(1)[0]) != STOP:
            operation = OPERATIONS.get(code)
            if operation is None:
                raise Damaged(f"its pickle does something that no array needs (operation {bytes([code])!r})")
            operation(self)
        if len(self.stack) != 1 or self._below:
            raise Damaged("damaged: its pickle ends in the middle")
        return self.stack[0]

    def take(self, n: int) -> memoryview:
        """Return the next `n` bytes."""
        if n < 0 or self._at + n > len(self._data):
            raise Damaged("cut short or damaged: its pickle goes on after the end of the file")
        self._at += n
        return self._data[self._at - n : self._at]

    def number(self, form: str) -> Any:
        """Return the next number of a form that `struct` knows."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        """Return the text up to the end of the line."""
        taken = bytearray()
        while (byte := self.take(1)[0]) != 0x0A:
            taken.append(byte)
            if len(taken) > MAX_NAME:
                raise Damaged("damaged: its pickle makes no sense")
        return taken.decode("utf-8", "replace")

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self) -> Any:
        """Take the last value off the stack."""
        if not self.stack:
            raise Damaged("damaged: its pickle makes no sense")
        return self.stack.pop()

    def top(self, kind: type | tuple[type, ...]) -> Any:
        """Return the last value, which must be of a kind."""
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise Damaged("damaged: its pickle makes no sense")
        return self.stack[-1]

    def mark(self) -> None:
        """Begin a group of values."""
        self._below.append(self.stack)
        self.stack = []

    def group(self) -> list[Any]:
        """End the group and return it."""
        if not self._below:
            raise Damaged("damaged: its pickle makes no sense")
        found, self.stack = self.stack, self._below.pop()
        return found


def _bytes(machine: Machine, n: int) -> None:
    taken = machine.take(n)
    machine.push(taken if n > LONG_BYTES else bytes(taken))


def _text(machine: Machine, n: int) -> None:
    taken = machine.take(n)
    try:
        machine.push(Latin1(taken) if n > LONG_TEXT else str(taken, "utf-8", "surrogatepass"))
    except UnicodeDecodeError as error:
        raise Damaged("damaged: a text that is no UTF-8") from error


def _integer(machine: Machine, n: int) -> None:
    if n > MAX_INTEGER_BYTES:
        raise Damaged("damaged: an integer of thousands of digits")
    machine.push(int.from_bytes(machine.take(n), "little", signed=True))


def _name(machine: Machine, module: object, name: object) -> None:
    word = WORDS.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
    if word is None:
        shown = f"{str(module)[:40]}.{str(name)[:40]}"
        raise Damaged(f"its pickle names {shown!r}: only arrays, lists and plain values are read, nothing is run")
    machine.push(word)


def _stacked_name(machine: Machine) -> None:
    name = machine.pop()
    _name(machine, machine.pop(), name)


def _set_items(machine: Machine, values: list[Any]) -> None:
    into = machine.top(dict)
    if len(values) % 2 or not all(isinstance(key, str | bytes | int | float) for key in values[::2]):
        raise Damaged("damaged: a dict whose keys are no plain values")
    into.update(zip(values[::2], values[1::2], strict=True))


def _set_group(machine: Machine) -> None:
    values = machine.group()
    _set_items(machine, values)


def _set_one(machine: Machine) -> None:
    value = machine.pop()
    _set_items(machine, [machine.pop(), value])


def _append(machine: Machine) -> None:
    value = machine.pop()
    machine.top(list).append(value)


def _extend(machine: Machine) -> None:
    values = machine.group()
    machine.top(list).extend(values)


def _tuple(machine: Machine, n: int) -> None:
    values = [machine.pop() for _ in range(n)]
    machine.push(tuple(values[::-1]))


def _remember(machine: Machine, index: int) -> None:
    machine.memo[index] = machine.top(object)


def _recall(machine: Machine, index: int) -> None:
    if index not in machine.memo:
        raise Damaged("damaged: its pickle makes no sense")
    machine.push(machine.memo[index])


def _reduce(machine: Machine) -> None:
    arguments, word = machine.pop(), machine.pop()
    if not isinstance(word, Word) or not isinstance(arguments, tuple):
        raise Damaged("damaged: its pickle calls what is no name")
    machine.push(meaning(word, arguments))


def _build(machine: Machine) -> None:
    state = machine.pop()
    match machine.top(object), state:
        case Stored(payload=None, items=[]) as empty, (int(), shape, ElementType() as kind, int() as order, payload):
            filled(empty, shape, kind.resolve(), payload, bool(order))
        case ElementType(order="") as kind, (int(), str() | bytes() as order, None, None, None, *_):
            kind.order = order.decode("latin1") if isinstance(order, bytes) else order
        case _:
            raise Damaged("its pickle holds what is no plain array: a structured type, or an object")


STOP = ord(".")
Operation = Callable[[Machine], None]
OPERATIONS: dict[int, Operation] = {
    0x80: lambda m: _check_protocol(m.number("<B")),
    0x95: lambda m: m.number("<Q"),  # a frame's length: frames follow each other without gaps
    ord("("): Machine.mark,
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("J"): lambda m: m.push(m.number("<i")),
    ord("K"): lambda m: m.push(m.number("<B")),
    ord("M"): lambda m: m.push(m.number("<H")),
    ord("G"): lambda m: m.push(m.number(">d")),
    0x8A: lambda m: _integer(m, m.number("<B")),
    0x8B: lambda m: _integer(m, m.number("<I")),
    ord("X"): lambda m: _text(m, m.number("<I")),
    0x8C: lambda m: _text(m, m.number("<B")),
    0x8D: lambda m: _text(m, m.number("<Q")),
    ord("B"): lambda m: _bytes(m, m.number("<I")),
    ord("C"): lambda m: _bytes(m, m.number("<B")),
    0x8E: lambda m: _bytes(m, m.number("<Q")),
    0x96: lambda m: _bytes(m, m.number("<Q")),  # a bytearray
    ord("T"): lambda m: _bytes(m, m.number("<i")),  # Python 2's str
    ord("U"): lambda m: _bytes(m, m.number("<B")),
    ord("]"): lambda m: m.push([]),
    ord("a"): _append,
    ord("e"): _extend,
    ord("}"): lambda m: m.push({}),
    ord("s"): _set_one,
    ord("u"): _set_group,
    ord(")"): lambda m: m.push(()),
    ord("t"): lambda m: m.push(tuple(m.group())),
    0x85: lambda m: _tuple(m, 1),
    0x86: lambda m: _tuple(m, 2),
    0x87: lambda m: _tuple(m, 3),
    ord("q"): lambda m: _remember(m, m.number("<B")),
    ord("r"): lambda m: _remember(m, m.number("<I")),
    0x94: lambda m: _remember(m, len(m.memo)),
    ord("h"): lambda m: _recall(m, m.number("<B")),
    ord("j"): lambda m: _recall(m, m.number("<I")),
    ord("c"): lambda m: _name(m, m.line(), m.line()),
    0x93: _stacked_name,
    ord("R"): _reduce,
    ord("b"): _build,
}


def _check_protocol(version: int) -> None:
    if version > 5:
        raise Damaged(f"a pickle of protocol {version}, which is not known")
