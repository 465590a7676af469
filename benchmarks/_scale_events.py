"""A discrete-event simulation of extraction: lines of stations with bounded queues, machines that are lost, parts.

A *line* is a worker: it takes videos in turn, cuts each into *pieces*, and passes them through its *stations* in
order. A piece that has been served leaves its server only when there is room before the next station: that is the
back-pressure of the bounded queues between threads. Stations may be shared by all lines (an object store, a driver),
may take turns (flow and networks on a CPU), and compete for the cores of their machine (processor sharing). A line
that is lost forgets all that it had in work; its unfinished videos begin anew, elsewhere or when it is back.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

INFINITE = float("inf")


@dataclass(frozen=True)
class Station:
    """A stage.

    Attributes:
        name: For the report.
        room: Pieces of a line that may wait before it; not asked for the first station.
        shared: Servers that all lines share; 0: each line has one server of its own.
        turn: Stations of a line with the same word work one at a time; empty for none.
    """

    name: str
    room: int = 1
    shared: int = 0
    turn: str = ""


@dataclass(frozen=True)
class Line:
    """A worker.

    Attributes:
        speed: Of its own stations; a straggler has less than 1.
        start_s: From the moment it gets a part, or comes back, to its first piece.
        host: The machine whose cores it shares.
    """

    speed: float = 1.0
    start_s: float = 0.0
    host: int = 0


@dataclass(frozen=True)
class Loss:
    """A line that is lost at a time, and back after so many seconds; infinite: never."""

    at_s: float
    line: int
    down_s: float = 0.0


@dataclass(frozen=True)
class Plan:
    """Who does what.

    Attributes:
        stations: In order.
        lines: Workers.
        parts: Videos of each part of a job array, by number; a line takes the next part when it has finished one.
        together: Lines that find no part any more help in the last one that was taken: many processes on one folder.
        cores: Of each machine; infinite: its stations do not disturb each other.
        losses: In any order.
        poison: Videos that take their line down whenever one decodes them.
        attempts: After so many crashes a poison video is given up.
    """

    stations: Sequence[Station]
    lines: Sequence[Line]
    parts: Sequence[Sequence[int]]
    together: bool = False
    cores: Sequence[float] = (INFINITE,)
    losses: Sequence[Loss] = ()
    poison: frozenset[int] = frozenset()
    attempts: int = 2


@dataclass
class Outcome:
    """What happened.

    Attributes:
        ended_s: Video to the time at which its last piece left the last station.
        begun: Video to how often it was begun.
        given_up: Videos that took their line down too often.
        busy_s: Station to the seconds that its servers worked, as if undisturbed, on what was not lost.
        lost_s: Seconds of service that were lost with lines.
    """

    ended_s: dict[int, float] = field(default_factory=dict)
    begun: dict[int, int] = field(default_factory=dict)
    given_up: list[int] = field(default_factory=list)
    busy_s: dict[str, float] = field(default_factory=dict)
    lost_s: float = 0.0

    @property
    def seconds(self) -> float:
        """When the last video ended."""
        return max(self.ended_s.values(), default=0.0)


class Clock:
    """Events in the order of their times; those of one time in the order in which they were asked for."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = count()

    def at(self, time_s: float, call: Callable[[], None]) -> None:
        """Call something at a time."""
        heapq.heappush(self._heap, (time_s, next(self._count), call))

    def run(self) -> None:
        """Go on until nothing is left."""
        while self._heap:
            self.now_s, _, call = heapq.heappop(self._heap)
            call()


@dataclass(eq=False)
class Service:
    """Work under way; `over` is called when it is done, unless it is dropped before."""

    work_s: float
    over: Callable[[], None]
    end_s: float = 0.0
    dropped: bool = False


class Cores:
    """A machine whose cores are shared evenly by what works on it: each gets at most one."""

    def __init__(self, clock: Clock, n_cores: float) -> None:
        self._clock, self._n = clock, n_cores
        self._virtual_s = self._seen_s = 0.0
        self._active: list[tuple[float, int, Service]] = []
        self._n_active = self._version = 0
        self._count = count()

    def serve(self, service: Service) -> None:
        """Begin work."""
        self._catch_up()
        self._n_active += 1
        service.end_s = self._virtual_s + service.work_s
        heapq.heappush(self._active, (service.end_s, next(self._count), service))
        self._plan()

    def drop(self, service: Service) -> float:
        """Forget work under way; return the seconds of it that were done."""
        self._catch_up()
        service.dropped = True
        self._n_active -= 1
        self._plan()
        return service.work_s - (service.end_s - self._virtual_s)

    def _rate(self) -> float:
        return min(1.0, self._n / self._n_active) if self._n_active else 1.0

    def _catch_up(self) -> None:
        self._virtual_s += (self._clock.now_s - self._seen_s) * self._rate()
        self._seen_s = self._clock.now_s

    def _plan(self) -> None:
        """Come back when the next work is done; earlier appointments are void."""
        self._version += 1
        while self._active and self._active[0][2].dropped:
            heapq.heappop(self._active)
        if self._active:
            wait_s, version = max(0.0, self._active[0][0] - self._virtual_s) / self._rate(), self._version
            self._clock.at(self._clock.now_s + wait_s, lambda: self._finish(version))

    def _finish(self, version: int) -> None:
        if version != self._version:
            return
        self._catch_up()
        end_s, _, service = heapq.heappop(self._active)
        self._virtual_s = max(self._virtual_s, end_s)
        self._n_active -= 1
        self._plan()
        service.over()


class Turns:
    """Lets one of several go at a time, in the order in which they asked."""

    def __init__(self) -> None:
        self.taken = False
        self.waiting: deque[Callable[[], None]] = deque()

    def release(self) -> None:
        """Let the next one go."""
        self.taken = False
        while self.waiting and not self.taken:
            self.waiting.popleft()()


@dataclass(eq=False)
class Piece:
    """A piece on its way.

    Attributes:
        video: Its video.
        work_s: Seconds at every station.
        last: Whether the video ends with it.
        spent_s: Seconds of service that it has had.
    """

    video: int
    work_s: Sequence[float]
    last: bool
    spent_s: float = 0.0


@dataclass(eq=False)
class Server:
    """A server of a line at a station: what waits before it, and what it holds, at work or waiting for room."""

    waiting: deque[Piece] = field(default_factory=deque)
    piece: Piece | None = None
    service: Service | None = None
    done: bool = False
