"""An array as it lies in a file: its type, its shape, and where its bytes are."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPE = re.compile(r"[<>|=]?(?:b1|\?|[iu][1248]|f[248]|[SU][1-9][0-9]{0,5})", re.ASCII)
_OBJECT = re.compile(r"\|?O[48]?", re.ASCII)
MAX_AXES = 16
MAX_BYTES = 1 << 47


class Damaged(ValueError):
    """What is wrong with a file, in a few words; whoever knows the file's name makes a line of it."""


@dataclass(frozen=True)
class Latin1:
    """Bytes that Python 3 wrote as a text of characters 0 to 255, for pickles of protocol 2."""

    utf8: memoryview

    def decoded(self) -> bytes:
        """Return the bytes."""
        try:
            return str(self.utf8, "utf-8").encode("latin1")
        except UnicodeError as error:
            raise Damaged("damaged: an array's bytes cannot be decoded") from error


Payload = bytes | bytearray | memoryview | Latin1


@dataclass
class Stored:
    """An array in a file, read when it is asked for.

    Attributes:
        shape: Its axes.
        dtype: Type of its elements; None for objects.
        payload: Where its bytes are, of numbers and texts.
        items: Its elements in order, of objects.
        fortran: Whether the first axis runs quickest.
    """

    shape: tuple[int, ...] = ()
    dtype: np.dtype[Any] | None = None
    payload: Payload | None = None
    items: list[Any] = field(default_factory=list)
    fortran: bool = False

    @property
    def is_object(self) -> bool:
        """Whether its elements are objects."""
        return self.dtype is None

    def load(self) -> NDArray[Any]:
        """Return an array of numbers or texts; it is read-only and may be mapped from the file.

        Raises:
            Damaged: If its bytes do not fit its shape, or it holds objects.
        """
        if self.dtype is None or self.payload is None:
            raise Damaged("an array of objects where one of numbers is expected")
        payload = self.payload.decoded() if isinstance(self.payload, Latin1) else self.payload
        if len(payload) != math.prod(self.shape) * self.dtype.itemsize:
            raise Damaged(f"damaged: {len(payload)} bytes for an array of shape {self.shape}")
        if not payload:
            return np.empty(_possible(self.shape, self.dtype.itemsize), self.dtype)
        if self.dtype.kind == "U" and np.frombuffer(payload, self.dtype.str[0] + "u4").max() > sys.maxunicode:
            raise Damaged("damaged: characters that are none")
        return np.frombuffer(payload, self.dtype).reshape(self.shape, order="F" if self.fortran else "C")


def as_shape(value: object) -> tuple[int, ...]:
    """Return a shape that an array in a file can have.

    Raises:
        Damaged: If it is none.
    """
    if not isinstance(value, tuple) or len(value) > MAX_AXES or not all(type(n) is int and n >= 0 for n in value):
        raise Damaged("damaged: an array without a shape")
    return _possible(value)


def _possible(shape: tuple[int, ...], n_bytes: int = 1) -> tuple[int, ...]:
    """Return a shape unless it is larger than any file, even where one axis is empty."""
    if math.prod(n for n in shape if n) * n_bytes > MAX_BYTES:
        raise Damaged(f"damaged: an array of shape {shape}")
    return shape


def as_dtype(code: object, order: str = "") -> np.dtype[Any] | None:
    """Return the type that NumPy's short name stands for; None for objects.

    Args:
        code: Such as ``<f4``.
        order: The order of bytes, where it is told apart from the name.

    Raises:
        Damaged: If it is not a type of numbers, texts or objects.
    """
    if isinstance(code, str) and _OBJECT.fullmatch(code):
        return None
    if not isinstance(code, str) or not _TYPE.fullmatch(code) or order not in ("", "<", ">", "=", "|"):
        raise Damaged(f"its elements are of a type that is not read here ({str(code)[:40]!r})")
    dtype = np.dtype(code)
    return dtype.newbyteorder(order) if order else dtype  # type: ignore[arg-type]  # checked above


def filled(stored: Stored, shape: object, dtype: np.dtype[Any] | None, payload: object, fortran: bool) -> Stored:
    """Give an empty array its content.

    Raises:
        Damaged: If shape, type and content do not fit.
    """
    stored.shape, stored.dtype, stored.fortran = as_shape(shape), dtype, fortran
    if dtype is None:
        if not isinstance(payload, list) or len(payload) != math.prod(stored.shape):
            raise Damaged(f"damaged: an array of objects of shape {stored.shape} without its elements")
        stored.items = payload
    elif isinstance(payload, bytes | bytearray | memoryview | Latin1):
        stored.payload = payload
    else:
        raise Damaged("damaged: an array without its bytes")
    return stored
