"""What a dead child leaves: children of its own, which die with it a moment later, and what these had in work."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from tal.ledger import Ledger

MOMENT_S, LOOKS = 1.0, 20
"""After so long the children of a dead process are gone, too; how often is looked meanwhile."""


def given_back(ledger: Ledger) -> int:
    """Give back what dead processes of this machine had in work; return how many videos, after a moment maybe none.

    In the first process of a container orphans are collected, too; no child of our own may be there.
    """
    n, is_first = 0, os.getpid() == 1
    for _ in range(LOOKS):
        n += ledger.reap()
        collect()
        if n and not is_first:
            break
        time.sleep(MOMENT_S / LOOKS)
    return n


def collect() -> None:
    """In the first process of a container, ask what became of orphans: nobody else does, and they stay until then."""
    if os.getpid() == 1:
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def children() -> set[int]:
    """Return the processes that this one started and that nobody has collected; none where the system does not tell."""
    try:
        told = [(task / "children").read_text() for task in Path("/proc/self/task").iterdir()]
    except OSError:
        return set()
    return {int(pid) for one in told for pid in one.split()}
