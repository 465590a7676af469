"""The handful of names by which NumPy's pickles say "an array of this type and shape with these bytes".

A name is a word here, never a thing that is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from tal.npy._array import Damaged, Latin1, Stored, as_dtype, filled


class Word(Enum):
    """What names in a pickle stand for."""

    RECONSTRUCT = auto()
    NDARRAY = auto()
    DTYPE = auto()
    SCALAR = auto()
    FROM_BUFFER = auto()
    ENCODE = auto()
    BYTES = auto()


WORDS = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): Word.RECONSTRUCT for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): Word.SCALAR for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): Word.FROM_BUFFER for core in ("core", "_core")},
    ("numpy", "ndarray"): Word.NDARRAY,
    ("numpy", "dtype"): Word.DTYPE,
    ("_codecs", "encode"): Word.ENCODE,
    ("__builtin__", "bytes"): Word.BYTES,
}


@dataclass
class ElementType:
    """NumPy's name of a type, and the order of bytes that a pickle tells apart from it."""

    code: str
    order: str = ""

    def resolve(self) -> Any:
        """Return the type; None for objects."""
        return as_dtype(self.code, self.order)


def meaning(word: Word, arguments: tuple[Any, ...]) -> Any:
    """Return what NumPy or Python means by a name with these arguments."""
    match word, arguments:
        case Word.RECONSTRUCT, (Word.NDARRAY, (0,), "b" | b"b"):
            return Stored()
        case Word.DTYPE, (str() | bytes() as code, int(), int()):
            return ElementType(code.decode("latin1") if isinstance(code, bytes) else code)
        case Word.SCALAR, (ElementType() as kind, payload):
            return filled(Stored(), (), _plain(kind), payload, False).load()[()].item()
        case Word.FROM_BUFFER, (payload, ElementType() as kind, shape, "C" | "F" as order):
            return filled(Stored(), shape, _plain(kind), payload, order == "F")
        case Word.ENCODE, (Latin1() | str() as written, "latin1" | "latin-1"):
            return _encoded(written)
        case Word.BYTES, ():
            return b""
    raise Damaged(f"its pickle uses {word.name.lower()} otherwise than NumPy does")


def _encoded(written: Latin1 | str) -> Latin1 | bytes:
    """Return the bytes that a text of characters 0 to 255 stands for; long ones when they are asked for."""
    if isinstance(written, Latin1):
        return written
    return Latin1(memoryview(written.encode("utf-8", "surrogatepass"))).decoded()


def _plain(kind: ElementType) -> Any:
    dtype = kind.resolve()
    if dtype is None:
        raise Damaged("damaged: objects where numbers are expected")
    return dtype
