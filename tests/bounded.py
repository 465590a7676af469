"""Little memory and time for what must not take much: what takes more ends in an error that is no refusal."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tal.errors import TalError

ROOM_BYTES = 1 << 30
"""What may be taken beside what the process has already."""
HANG_S = 600
"""Far from what any machine takes: nothing here computes for as long as a second."""


@contextmanager
def room(n_bytes: int = ROOM_BYTES) -> Iterator[None]:
    """Limit memory and time within the block; where the system does not tell its pages, only time."""
    told = Path("/proc/self/statm")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if told.exists():
        taken = int(told.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + n_bytes, hard))
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail(f"took more than {HANG_S} s"))
    signal.alarm(HANG_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.fixture(autouse=True)
def limits() -> Iterator[None]:
    """Every test has little memory and time."""
    with room():
        yield


def refused(kind: type[TalError], read: Callable[[], object]) -> str:
    """Return the one line with which a file is refused."""
    with pytest.raises(kind) as caught:
        read()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)
