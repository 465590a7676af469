"""Pickles that would do something, and files that NumPy writes: for the tests of the reader."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HEADER = {"descr": "|O", "fortran_order": False, "shape": (1,)}
EMPTY_ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function: Callable[..., Any], *arguments: object, state: object = None) -> None:
        self._call = (function, arguments, state) if state else (function, arguments)

    def __reduce__(self) -> Any:
        return self._call


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def write(path: Path, pickled: bytes, shape: tuple[int, ...] = (1,)) -> Path:
    """Write a file of objects around a pickle."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {**HEADER, "shape": shape})
        file.write(pickled)
    return path


def save(path: Path, values: object, protocol: int) -> Path:
    """Write an array of objects as NumPy does, with a protocol of one's choice."""
    return write(path, pickle.dumps(values, protocol), np.shape(values))


def objects(*values: object) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def attacks(marker: Path) -> dict[str, bytes]:
    """Return pickles that create a file when they are run, by how they do it."""
    import builtins
    import copyreg
    import functools
    import os
    import subprocess

    command, code = f"touch {marker}", f"open({str(marker)!r}, 'w').close()"
    getter = Calls(builtins.getattr, Calls(__import__, "os"), "system")
    by_call = {
        "os.system": Calls(os.system, command),
        "eval": Calls(builtins.eval, code),
        "exec": Calls(builtins.exec, code),
        "open": Calls(builtins.open, str(marker), "w"),
        "subprocess": Calls(subprocess.call, ["touch", str(marker)]),
        "getattr": Calls(builtins.map, getter, [command]),
        "partial": Calls(functools.reduce, functools.partial(os.system), [command]),
        "copyreg": Calls(copyreg._reconstructor, type("X", (), {}), object, None),  # type: ignore[attr-defined]
    }
    found = {}
    for name, call in by_call.items():
        for protocol in (2, 4, 5):
            try:
                found[f"{name}, protocol {protocol}"] = pickle.dumps(objects(call), protocol)
            except (pickle.PicklingError, AttributeError):
                continue
    system, said = b"cposix\nsystem\n", text(command)
    array = b"\x80\x02" + EMPTY_ARRAY
    return found | {
        "bare call": b"\x80\x02" + system + said + b"\x85R.",
        "reconstruct a function": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n" + system + b"K\x00\x85C\x01b\x87R.",
        "call in the state": array + b"(K\x01K\x01\x85" + system + said + b"\x85Rtb.",
        "call as the shape": array + b"(K\x01" + system + said + b"\x85RNNNtb.",
        "call in a dict": b"\x80\x02}" + text("a") + system + said + b"\x85Rs.",
        "class of protocol 0": b"(S'touch'\niposix\nsystem\n.",
        "object of protocol 1": b"(" + system + said + b"o.",
        "new object": b"\x80\x02cposix\nsystem\n" + said + b"\x85\x81.",
        "new object with names": b"\x80\x04cposix\nsystem\n" + said + b"\x85}\x92.",
        "persistent id": b"\x80\x02" + said + b"Q.",
        "extension": b"\x80\x02\x82\x01.",
        "stacked name": b"\x80\x04\x8c\x05posix\x8c\x06system\x93" + said + b"\x85R.",
        "testing": b"\x80\x02cnumpy.testing._private.utils\nrunstring\n" + text(code) + b"}\x86R.",
        "attribute of an array": b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.tofile\x93" + EMPTY_ARRAY + said + b"\x86R.",
        "state of a name": b"\x80\x02cnumpy\nndarray\n}" + text("__reduce__") + said + b"sb.",
    }
