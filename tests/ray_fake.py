"""A cluster in this process, with the parts of Ray that the engine uses: nodes that are busy, fail or come late.

Workers are the real ones, each with its thread. What a node does wrong is told by `Node.troubles`.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import faulty
import pytest

from tal.pipeline import extract, ray_extraction, ray_fleet, ray_orders
from tal.pipeline.engines import resolved
from tal.pipeline.ray_cluster import RayOptions
from tal.pipeline.ray_extraction import extract_on_ray
from tal.pipeline.ray_worker import Worker
from tal.settings import RuntimeSettings, Settings


class RayError(Exception):
    pass


class RayTaskError(RayError):
    pass


class RayActorError(RayError):
    pass


class ActorUnavailableError(RayActorError):
    pass


class OutOfMemoryError(RayError):
    pass


@dataclass
class Node:
    """A machine of the cluster.

    Attributes:
        is_free: Whether there is room for a worker that wants to start.
        trouble: Given a worker's name and the videos it is handed, returns the error with which it ends now, or None.
        is_early: Whether it ends before it has begun with these videos, and not when they are made.
        started: Workers that it began, by their names.
    """

    name: str
    n_cpus: int = 1
    is_alive: bool = True
    is_free: Callable[[], bool] = lambda: True
    trouble: Callable[[str, list[str]], Exception | None] = lambda worker, videos: None
    is_early: bool = False
    started: list[str] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        resources = {"CPU": float(self.n_cpus)}
        return {"NodeID": self.name, "NodeManagerHostname": self.name, "Alive": self.is_alive, "Resources": resources}


class Call:
    """A question to a worker, which is answered once it has a place."""

    def __init__(self, actor: Actor, ask: Callable[[], Any]) -> None:
        self.actor, self._ask, self.answers = actor, ask, list[Any]()

    def is_ready(self) -> bool:
        if not self.answers and self.actor.is_placed():
            self.answers.append(self._ask())
        return bool(self.answers)


class Actor:
    """A worker and its node."""

    def __init__(self, node: Node, worker: Worker) -> None:
        self.node, self.worker, self.name = node, worker, f"{node.name}.{len(node.started)}"
        self._is_in, self._dead = False, list[Exception]()
        self.start, self.exchange, self.finish = (self._method(one) for one in ("start", "exchange", "finish"))

    def is_placed(self) -> bool:
        if not self._is_in and self.node.is_free():
            self._is_in = True
            self.node.started.append(self.name)
        return self._is_in

    def end(self) -> None:
        """Stop; what is in work comes to its end, but nobody hears of it."""
        with suppress(queue.Empty):  # the worker takes from it, too
            while True:
                self.worker._videos.get_nowait()
        self.worker._videos.put(None)
        self.worker._thread.shutdown(wait=True)

    def _method(self, name: str) -> Any:
        def ask(*given: Any) -> Any:
            videos = [one.path for one in given[0]] if given else []
            if self._dead:
                return self._dead[0]
            error = self.node.trouble(self.name, videos)
            answer = None if error and self.node.is_early else getattr(self.worker, name)(*given)
            if error:
                self._dead.append(error)
                self.end()
            return error or answer

        return SimpleNamespace(remote=lambda *given: Call(self, lambda: ask(*given)))


class FakeRay:
    """Stands for the module ``ray``, connected to a cluster of these nodes."""

    exceptions = SimpleNamespace(
        RayError=RayError,
        RayTaskError=RayTaskError,
        RayActorError=RayActorError,
        ActorUnavailableError=ActorUnavailableError,
        OutOfMemoryError=OutOfMemoryError,
    )
    util = SimpleNamespace(
        scheduling_strategies=SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, soft: node),
    )

    def __init__(self, *nodes: Node) -> None:
        self.all = {node.name: node for node in nodes}
        self._now_s = 0.0
        self.actors: list[Actor] = []

    def monotonic(self) -> float:
        """Return the time of this world, which passes when somebody waits."""
        return self._now_s

    def sleep(self, seconds: float) -> None:
        self._now_s += seconds

    def nodes(self) -> list[Mapping[str, Any]]:
        return [node.told() for node in self.all.values()]

    def put(self, value: Any) -> Any:
        return value

    def remote(self, kind: type[Worker]) -> Any:
        def make(node: str) -> Any:
            return SimpleNamespace(remote=lambda *given: self._made(self.all[node], kind(*given)))

        return SimpleNamespace(options=lambda **more: make(more["scheduling_strategy"]))

    def wait(self, calls: Sequence[Call], num_returns: int, timeout: float) -> tuple[list[Call], list[Call]]:
        ready = [call for call in calls if call.is_ready()]
        self._now_s += 0.01 if ready else timeout
        return ready, [call for call in calls if call not in ready]

    def get(self, call: Call) -> Any:
        if isinstance(call.answers[0], Exception):
            raise call.answers[0]
        return call.answers[0]

    def kill(self, actor: Actor) -> None:
        actor.end()

    def _made(self, node: Node, worker: Worker) -> Actor:
        self.actors.append(Actor(node, worker))
        return self.actors[-1]


class OnFake(faulty.Batch):
    """A folder, or store, of videos that workers on made-up nodes extract."""

    def __init__(self, folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        self._patch = monkeypatch
        monkeypatch.setattr(ray_orders, "lend_extractor", faulty.engines().lend)
        monkeypatch.setattr(ray_orders, "_use_cores", lambda n: None)
        monkeypatch.setattr(ray_extraction, "recipe_for", faulty.engines().recipe)
        self.made: list[str] = []
        outcome = faulty.engines().outcome

        def noted(path: Any, *given: Any) -> Any:
            self.made.append(path.stem)
            return outcome(path, *given)

        monkeypatch.setattr(faulty.engines(), "outcome", noted)

    @contextmanager
    def joined(self, *nodes: Node) -> Iterator[None]:
        """Have this cluster in place of Ray's, on machines that are not the driver's."""
        ray = FakeRay(*nodes)

        @contextmanager
        def connected(options: RayOptions) -> Iterator[FakeRay]:
            yield ray

        with self._patch.context() as patched:
            patched.setattr(ray_extraction, "platform", SimpleNamespace(node=lambda: "driver"))
            patched.setattr(ray_extraction, "connected", connected)
            patched.setattr(ray_fleet, "time", ray)
            yield

    def on(self, *nodes: Node, **runtime: Any) -> Any:
        with self.joined(*nodes):
            return extract_on_ray(self.videos, self.out, self._settings(runtime), cache=self.cache, progress=self.heard)

    def here(self, **more: Any) -> Any:
        return extract(self.videos, self.out, self._settings({}), cache=self.cache, progress=self.heard, **more)

    def _settings(self, runtime: Mapping[str, Any]) -> Settings:
        chosen = Settings().extract.model_copy(update={"decoder": "pyav", "streams": ("rgb",)})
        return Settings(extract=resolved(chosen), runtime=RuntimeSettings(isolate="none", **runtime))
