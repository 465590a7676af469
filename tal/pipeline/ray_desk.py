"""Who works on which video: hands videos out, a bounded number to each worker, and takes them back from the dead.

Pure bookkeeping, without Ray. A process that dies makes the videos it had suspects; each of them is handed out again
last, to a worker that has nothing else, and one that takes its worker down again is poison. Lost machines weigh less: a
video that was there when one went is simply made elsewhere. So does a lack of memory: Ray ends some worker of a node
that runs short, not always the one that took it, and one short node alone must not make a video poison.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

CRASH, SHORTAGE, LOSS = 2.0, 1.0, 0.5
"""How much a process that died, one that was ended for want of memory, and a lost machine speak against its videos."""
SUSPECT_AT, POISON_AT = 2.0, 4.0


class Desk:
    """Videos that are to be made, and those in work.

    Args:
        waiting: In the order in which they are handed out.
        suspects: With which processes died before.
        ahead: Most videos that a worker has at once.
    """

    def __init__(self, waiting: Iterable[Path], suspects: Iterable[Path] = (), ahead: int = 6) -> None:
        self._waiting = deque(waiting)
        self._suspects = deque(suspects)
        self._ahead = ahead
        self._with: dict[str, list[Path]] = {}
        self._alone: set[str] = set()
        self._blame = dict.fromkeys(self._suspects, SUSPECT_AT)

    @property
    def n_left(self) -> int:
        """Videos that have not ended."""
        return len(self._waiting) + len(self._suspects) + sum(map(len, self._with.values()))

    def held(self, worker: str) -> tuple[Path, ...]:
        """Return the videos that a worker has."""
        return tuple(self._with.get(worker, ()))

    def add(self, path: Path) -> None:
        """Add a video that is to be made."""
        self._waiting.append(path)

    def hand(self, worker: str, n_workers: int, claim: Callable[[Path], bool]) -> list[Path]:
        """Return the videos that a worker gets now.

        Towards the end workers get fewer at once, so that none sits on what others could do.

        Args:
            worker: Who asks.
            n_workers: How many share what is left.
            claim: Whether a video is really to be made; asked right before it is handed out.
        """
        mine, given = self._with.setdefault(worker, []), list[Path]()
        if worker in self._alone and not mine:
            self._alone.discard(worker)
        fair = math.ceil((len(self._waiting) + len(mine)) / max(1, n_workers))
        while self._waiting and worker not in self._alone and len(mine) < min(self._ahead, max(2, fair)):
            if claim(path := self._waiting.popleft()):
                mine.append(path)
                given.append(path)
        while self._suspects and not mine:
            if claim(path := self._suspects.popleft()):
                self._alone.add(worker)
                mine.append(path)
                given.append(path)
        return given

    def ended(self, worker: str, path: Path) -> None:
        """Note that a video ended, well or not."""
        self._with[worker].remove(path)

    def lost(self, worker: str, blame: float) -> tuple[list[Path], list[Path]]:
        """Take back what a worker had that is gone.

        Args:
            worker: Which one.
            blame: `CRASH`, `SHORTAGE` or `LOSS`.

        Returns:
            The videos that are to be made again, and those that are poison.
        """
        again, poison = list[Path](), list[Path]()
        for path in self._with.pop(worker, []):
            self._blame[path] = self._blame.get(path, 0.0) + blame
            (poison if self._blame[path] >= POISON_AT else again).append(path)
        self._alone.discard(worker)
        for path in reversed(again):
            if self._blame[path] >= SUSPECT_AT:
                self._suspects.append(path)
            else:
                self._waiting.appendleft(path)
        return again, poison

    def returned(self, worker: str) -> list[Path]:
        """Take back, without blame, what a worker had that cannot go on."""
        mine = self._with.pop(worker, [])
        self._alone.discard(worker)
        for path in reversed(mine):
            (self._suspects if self._blame.get(path, 0.0) >= SUSPECT_AT else self._waiting).appendleft(path)
        return mine
