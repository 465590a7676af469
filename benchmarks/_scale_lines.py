"""How the lines of `_scale_events` work: they take parts, serve pieces, wait for room, are lost and come back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from _scale_events import INFINITE, Clock, Cores, Line, Loss, Outcome, Piece, Plan, Server, Service, Turns

Pieces = Sequence[Sequence[float]]
"""The pieces of a video, each with its seconds at every station."""


def simulate(plan: Plan, pieces: Callable[[int], Pieces]) -> Outcome:
    """Run a plan to its end.

    Args:
        plan: Who does what.
        pieces: Returns the pieces of a video; asked each time the video is begun.

    Raises:
        ValueError: If videos are left because all lines were lost for good, or lines work together on several parts.
    """
    if plan.together and len(plan.parts) != 1:
        raise ValueError("lines that work together have one part")
    world = World(plan, pieces)
    for worker in world.workers:
        world.clock.at(0.0, worker.wake)
    for loss in plan.losses:
        world.clock.at(loss.at_s, world.workers[loss.line].losing(loss))
    world.clock.run()
    n_videos = len({video for part in plan.parts for video in part})
    if len(world.outcome.ended_s) + len(world.outcome.given_up) != n_videos:
        raise ValueError("videos are left, and no line that could work on them")
    return world.outcome


class World:
    """What the lines share: the clock, machines, shared stations, and the parts that nobody has taken."""

    def __init__(self, plan: Plan, pieces: Callable[[int], Pieces]) -> None:
        self.plan, self.pieces, self.clock = plan, pieces, Clock()
        self.outcome = Outcome(busy_s={station.name: 0.0 for station in plan.stations})
        self.parts = deque(deque(part) for part in plan.parts if part)
        self.hosts = [Cores(self.clock, n) for n in plan.cores]
        self.apart = Cores(self.clock, INFINITE)
        self.free = [station.shared for station in plan.stations]
        self.queues: list[deque[tuple[Worker, int]]] = [deque() for _ in plan.stations]
        self.crashes: dict[int, int] = {}
        self.workers = [Worker(self, line) for line in plan.lines]

    def take(self) -> deque[int] | None:
        """Return a part that a line may work on, or nothing."""
        if self.plan.together:
            return self.parts[0] if self.parts and self.parts[0] else None
        return self.parts.popleft() if self.parts else None

    def give_back(self, videos: Sequence[int], part: deque[int]) -> None:
        """Put a lost line's videos where they are taken next; all lines look again."""
        if self.plan.together and self.parts:
            self.parts[0].extendleft(reversed(videos))
        elif videos or part:
            self.parts.appendleft(deque([*videos, *part]))
        for worker in self.workers:
            self.clock.at(self.clock.now_s, worker.wake)


class Worker:
    """A line at work."""

    def __init__(self, world: World, line: Line) -> None:
        self.world, self.line = world, line
        self.stations = world.plan.stations
        self._decodes = next((k for k, one in enumerate(self.stations) if one.name == "decode"), 0)
        self.up = True
        self.part: deque[int] = deque()
        self.ahead: deque[Piece] = deque()
        self.videos: dict[int, list[float]] = {}
        self.starting = False
        self._reset()

    def _reset(self) -> None:
        self.servers = [Server() for _ in self.stations]
        self.turns = {station.turn: Turns() for station in self.stations if station.turn}
        self.life = object()

    def wake(self) -> None:
        """Go on with the part; if there is nothing left in work, take another and begin it when the process is up."""
        if not self.up or self.starting:
            return
        if self.part or self.ahead:
            self._feed()
        if self.videos or self.part:
            return
        if (part := self.world.take()) is not None:
            self.part, self.starting, life = part, True, self.life
            self.world.clock.at(self.world.clock.now_s + self.line.start_s, lambda: self._started(life))

    def _started(self, life: object) -> None:
        if life is self.life:
            self.starting = False
            self._feed()
            self._look_for_more()

    def _look_for_more(self) -> None:
        """Ask for the next part when this one is done."""
        if not (self.videos or self.part):
            self.world.clock.at(self.world.clock.now_s, self.wake)

    def _feed(self) -> None:
        """Give the first station its next piece."""
        if self.servers[0].piece is not None:
            return
        if not self.ahead and self.part:
            video = self.part.popleft()
            self.videos[video] = [0.0] * len(self.stations)
            self.world.outcome.begun[video] = self.world.outcome.begun.get(video, 0) + 1
            cut = self.world.pieces(video)
            self.ahead.extend(Piece(video, work_s, i == len(cut) - 1) for i, work_s in enumerate(cut))
        if self.ahead:
            self.servers[0].piece = self.ahead.popleft()
            self._begin(0)

    def _begin(self, k: int) -> None:
        """Let a server begin when it is the station's turn, or a shared server is free."""
        station, life = self.stations[k], self.life
        if station.turn and self.turns[station.turn].taken:
            self.turns[station.turn].waiting.append(lambda: self._begin(k))
            return
        if station.shared and not self.world.free[k]:
            self.world.queues[k].append((self, k))
            return
        if station.turn:
            self.turns[station.turn].taken = True
        self.world.free[k] -= bool(station.shared)
        server = self.servers[k]
        work_s = self._piece(k).work_s[k] / (1.0 if station.shared else self.line.speed)
        server.service = Service(work_s, lambda: self._served(k, life))
        self._cores(k).serve(server.service)
        video = self._piece(k).video
        if k == self._decodes and video in self.world.plan.poison:
            self.world.clock.at(self.world.clock.now_s, lambda: self._crash(video, life))

    def _cores(self, k: int) -> Cores:
        return self.world.apart if self.stations[k].shared else self.world.hosts[self.line.host]

    def _piece(self, k: int) -> Piece:
        if (piece := self.servers[k].piece) is None:
            raise ValueError(f"station {k} has nothing to serve")
        return piece

    def _served(self, k: int, life: object) -> None:
        if life is not self.life:
            return
        server, station = self.servers[k], self.stations[k]
        self._piece(k).spent_s += self._piece(k).work_s[k]
        server.service, server.done = None, True
        self._move(k)
        if station.turn:
            self.turns[station.turn].release()
        if station.shared:
            self._release(k)

    def _release(self, k: int) -> None:
        """Give a shared server to whoever has waited longest."""
        self.world.free[k] += 1
        if self.world.queues[k]:
            worker, station = self.world.queues[k].popleft()
            worker._begin(station)

    def _move(self, k: int) -> None:
        """Pass a served piece on if there is room behind the station, and take the next one."""
        server, piece = self.servers[k], self._piece(k)
        if k + 1 < len(self.stations):
            behind = self.servers[k + 1]
            if behind.piece is not None and len(behind.waiting) >= self.stations[k + 1].room:
                return
            behind.waiting.append(piece)
        server.piece, server.done = None, False
        if k + 1 < len(self.stations):
            self._next(k + 1)
        else:
            self._ended(piece)
        self._next(k)

    def _next(self, k: int) -> None:
        """Begin what waits before a station, and let the piece in that waits for its room."""
        server = self.servers[k]
        if k == 0:
            self._feed()
            return
        if server.piece is None and server.waiting:
            server.piece = server.waiting.popleft()
            self._begin(k)
        if self.servers[k - 1].done:
            self._move(k - 1)

    def _ended(self, piece: Piece) -> None:
        """Write down what a piece took; with its last piece a video is finished."""
        outcome, spent_s = self.world.outcome, self.videos[piece.video]
        for k, work_s in enumerate(piece.work_s):
            spent_s[k] += work_s
        if piece.last:
            for station, work_s in zip(self.stations, self.videos.pop(piece.video), strict=True):
                outcome.busy_s[station.name] += work_s
            outcome.ended_s[piece.video] = self.world.clock.now_s
            self._look_for_more()

    def _crash(self, video: int, life: object) -> None:
        """Go down with the poison video that is decoded, and come back at once without it, or with it once more."""
        if life is not self.life:
            return
        world = self.world
        world.crashes[video] = world.crashes.get(video, 0) + 1
        if world.crashes[video] >= world.plan.attempts:
            world.outcome.given_up.append(video)
            self.videos.pop(video)
        self._lose(0.0)

    def losing(self, loss: Loss) -> Callable[[], None]:
        """Return what happens at a loss."""
        return lambda: self._lose(loss.down_s) if self.up else None

    def _lose(self, down_s: float) -> None:
        """Forget all that is in work, give the videos back, and be back later."""
        for k, server in enumerate(self.servers):
            self._drop(k, server)
        self.world.outcome.lost_s += sum(sum(spent_s) for spent_s in self.videos.values())
        videos, part = list(self.videos), self.part
        self.up, self.starting = False, False
        self.videos, self.part = {}, deque()
        self.ahead.clear()
        self._reset()
        self.world.give_back(videos, part)
        if down_s < INFINITE:
            self.world.clock.at(self.world.clock.now_s + down_s, self._back)

    def _drop(self, k: int, server: Server) -> None:
        held = [*server.waiting, *([server.piece] if server.piece else [])]
        self.world.outcome.lost_s += sum(piece.spent_s for piece in held)
        if server.service is not None:
            self.world.outcome.lost_s += self._cores(k).drop(server.service)
            if self.stations[k].shared:
                self._release(k)
        self.world.queues[k] = deque(one for one in self.world.queues[k] if one[0] is not self)

    def _back(self) -> None:
        self.up = True
        self.wake()
