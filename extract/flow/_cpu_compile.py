"""How functions here are compiled, and memory for them."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba  # noqa: TID253  (this module is loaded when flow is computed)
import numpy as np
from filelock import FileLock

from tal.cache import default_root
from tal.types import FloatArray

LINE = 16
"""Values in a line of the cache."""
Function = TypeVar("Function", bound=Callable[..., Any])


def _compiler(**options: bool) -> Any:
    return numba.njit(nogil=True, error_model="numpy", boundscheck=False, **options)


def kernel(function: Function) -> Function:
    """Compile a function when it is first called, and keep the result on disk (`kept_in`).

    Where nothing can be written, each process compiles anew.
    """
    with _kept():
        try:
            return cast("Function", _kept_one_at_a_time(_compiler(cache=True)(function)))
        except (RuntimeError, OSError):  # Numba found no folder
            return cast("Function", _compiler()(function))


def _kept_one_at_a_time(compiled: Any) -> Any:
    """Have one process at a time keep a kernel: what two keep at once, for different types, would be mixed up.

    Numba counts what it keeps in an index, and gives the same number to both (`numba.core.caching`).
    """
    file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if file is not None:
        save, lock = file.save, FileLock(str(kept_in() / ".lock"))

        def saved(key: Any, data: Any) -> None:
            with ExitStack() as held:
                with suppress(OSError, NotImplementedError):  # no locks here: then as Numba does it
                    held.enter_context(lock)
                save(key, data)

        file.save = saved
    return compiled


@cache
def kept_in() -> Path:
    """Return the folder of compiled kernels, in NUMBA_CACHE_DIR or the cache of `tal`, one per state of the source.

    Numba itself looks at a kernel's own file only, and would go on using a kernel whose callees have changed.
    """
    sources = sorted(Path(__file__).parent.glob("_cpu*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    given = os.environ.get("NUMBA_CACHE_DIR")
    return (Path(given) if given else default_root() / "kernels") / digest[:16]


@contextmanager
def _kept() -> Iterator[None]:
    """Let Numba keep what is decorated meanwhile in our folder."""
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(kept_in())
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before


def inlined(function: Function) -> Function:
    """Compile a function into those that call it."""
    return cast("Function", _compiler(forceinline=True)(function))


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of types, which returns a signature and what emits the code for it, one to call in kernels."""
    return cast("Callable[..., Any]", numba.extending.intrinsic(function))


def aligned_zeros(*shape: int) -> FloatArray:
    """Return float32 zeros that start where a line of the cache starts."""
    n = math.prod(shape)
    room = np.zeros(n + LINE, np.float32)
    first = -room.ctypes.data // room.itemsize % LINE
    return room[first : first + n].reshape(shape)
