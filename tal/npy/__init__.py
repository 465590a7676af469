"""NumPy's files, ``.npy`` and ``.npz``, read without ever running what is in them.

NumPy stores arrays of objects as a pickle, and a pickle is a program: ``np.load(..., allow_pickle=True)`` runs it. Here
a file's bytes are only looked at. Arrays of numbers are mapped from the file; arrays of objects go through a machine of
our own (`tal.npy._machine`) that knows arrays, lists, tuples, dicts, texts, bytes and numbers, and nothing that could
be called. The arrays inside an array of objects stay in the file until they are asked for.

A file that is cut short, damaged, or holds anything else is an `InputError` of one line.
"""

from __future__ import annotations

from tal.npy._archive import Archive
from tal.npy._array import Damaged, Stored
from tal.npy._file import numbers, read
from tal.npy._joint import joint

__all__ = ["Archive", "Damaged", "Stored", "joint", "numbers", "read", "text"]


def text(value: object) -> str | None:
    """Return a text as Python 2 and 3 pickle it, bytes or str; None for anything else or bytes that are no UTF-8."""
    if isinstance(value, memoryview | bytes):
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            return None
    return str(value) if isinstance(value, str) else None
