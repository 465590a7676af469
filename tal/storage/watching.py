"""Calls of a store that hang: a server that accepts and never answers, or stops in the middle, is not waited for.

A call runs in a thread of its own, which is left behind when nothing has moved for a while. Such a thread keeps no
process from ending, and what it still writes is not looked at. Whoever waits for it can be interrupted and stopped.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")
STALL_S = 120.0
TICK_S = 0.25
"""Between two looks at a call. They are counted, and no clock is asked: a process that was stopped has not waited."""


class StalledError(TimeoutError):
    """A call in which nothing moved for too long; passes, as far as one can tell."""


class _Outcome(Generic[T]):
    """What became of a call; as a context, takes whatever is raised inside."""

    def __init__(self) -> None:
        self.done, self.value, self.error = threading.Event(), list[T](), list[BaseException]()

    def __enter__(self) -> _Outcome[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is not None:
            self.error.append(error)
        self.done.set()
        return True


def watched(
    function: Callable[[], T], check: Callable[[], None], moved: Callable[[], object], stall_s: float = STALL_S
) -> T:
    """Return what a function returns.

    Args:
        function: A call of a store.
        check: Asked all the time; what it raises ends the waiting.
        moved: Returns something else whenever the call has got on.
        stall_s: Time without that, with which the call is given up, s.

    Raises:
        StalledError: If it hangs.
    """
    outcome: _Outcome[T] = _Outcome()

    def work() -> None:
        with outcome:
            outcome.value.append(function())

    threading.Thread(target=work, name="store", daemon=True).start()
    before, n_still = moved(), 0
    while not _tick(outcome.done):
        check()
        now = moved()
        n_still, before = (n_still + 1 if now == before else 0), now
        if n_still >= math.ceil(stall_s / TICK_S) and not outcome.done.is_set():
            raise StalledError(f"no answer for {stall_s:.0f} s")
    if outcome.error:
        raise outcome.error[0]
    return outcome.value[0]


def _tick(done: threading.Event) -> bool:
    return done.wait(TICK_S)
