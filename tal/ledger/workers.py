"""Who works on a folder, and whether it still does, without asking any clock.

On one machine a process is known by its number and its start; a number that was given to another process does not
count. Across machines nothing can be asked, so a worker counts as gone once its heartbeat, a counter, has stood still
for `LEASE_S` of the onlooker's own monotonic time. Clocks that jump or differ therefore decide nothing.
"""

from __future__ import annotations

import os
import platform
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

BEAT_S = 5.0
"""Between two heartbeats."""
LEASE_S = 60.0
"""A worker on another machine whose heartbeat stands still for so long is gone."""


@dataclass(frozen=True)
class Worker:
    """A process that fills a folder.

    Attributes:
        id: Unique; one process may fill a folder twice at once.
        node: Name of its machine.
        boot: Of that machine's run since it was started; empty where the system does not say.
        space: The namespace in which `pid` means something: containers have their own.
        pid: Number of the process.
        started: When the process started, in ticks since boot; 0 where the system does not say.
    """

    id: str
    node: str
    boot: str
    space: str
    pid: int
    started: int

    @classmethod
    def here(cls) -> Worker:
        """Return a new worker that stands for this process."""
        pid = os.getpid()
        return cls(uuid.uuid4().hex[:16], platform.node(), _boot(), _space(), pid, _started(pid) or 0)

    def is_neighbour(self, other: Worker) -> bool:
        """Return whether both live on the same machine, in the same namespace, since the same start of it."""
        return (self.node, self.boot, self.space) == (other.node, other.boot, other.space)

    def is_alive(self, seen_from: Worker) -> bool | None:
        """Return whether the process lives; None where that cannot be told from here.

        A machine of the same name that was started anew has lost its processes: machines that share a folder need
        names of their own.
        """
        if self.node == seen_from.node and self.boot != seen_from.boot:
            return False
        if not self.is_neighbour(seen_from):
            return None
        return _is_running(self.pid, self.started)


@dataclass
class Pulse:
    """Finds heartbeats that stand still.

    Attributes:
        clock: Monotonic seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def stands_still(self, worker: str, beats: int) -> bool:
        """Return whether a worker's count has been the same for `LEASE_S` of our own time."""
        now = self.clock()
        before, since = self._seen.get(worker, (beats, now))
        if before != beats:
            since = now
        self._seen[worker] = (beats, since)
        return now - since >= LEASE_S


def _is_running(pid: int, started: int) -> bool | None:
    found = _started(pid)
    if found is not None:
        return found == started
    if started or os.name != "posix":  # it had an entry in /proc, or signals cannot ask
        return False if started else None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _started(pid: int) -> int | None:
    """Return when a process started, in ticks since boot; None if it has ended or the system does not say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # what stands in brackets before is any text
    return None if fields[0] in "ZX" else int(fields[19])


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
