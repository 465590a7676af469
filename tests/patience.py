"""Waiting for other processes and threads: for as long as a busy machine needs, and until the thing itself is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

WAIT_S = 300
"""Nobody waits that long: what has not come by then does not come, on however slow a machine."""

NAPS = "while True: time.sleep(0.05)"
"""How Python waits for ever: a signal that comes just before one long sleep would be heard after it."""


def until(there: Callable[[], T], going_on: Callable[[], bool] = lambda: True) -> T:
    """Return what `there` returns, once it is something; asked for as long as `going_on` holds."""
    deadline = time.monotonic() + WAIT_S
    while True:
        last = not going_on() or time.monotonic() > deadline  # asked before: what is made at last is found
        if found := there():
            return found
        assert not last, "it has not come"
        time.sleep(0.005)
