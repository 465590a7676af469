"""How long the stages of a pass work, each on its own thread."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import TypeVar

T = TypeVar("T")
Seconds = dict[str, float]
"""Stage to seconds."""
DECODE, FLOW, WRITE = "decode", "flow", "write"
NETWORK = {"rgb": "rgb network", "flow": "flow network"}
STAGES = (DECODE, FLOW, *NETWORK.values(), WRITE)


class Stopwatch:
    """Seconds that each stage's thread worked on it; waiting for other stages does not count.

    Args:
        take_turns: Let only one of the stages that use all cores work at a time: where flow and networks both compute
            on the CPU, their threads would be in each other's way.

    Attributes:
        seconds: Stage to seconds; ``decode`` includes scaling, ``flow`` the conversion to network input.
    """

    def __init__(self, take_turns: bool = False) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._turn: AbstractContextManager[object] = Lock() if take_turns else nullcontext()

    @contextmanager
    def on(self, stage: str, also: Seconds | None = None) -> Iterator[None]:
        """Count what happens inside, in `also` as well; a stage runs on one thread at a time."""
        start_s = time.perf_counter()
        try:
            yield
        finally:
            spent_s = time.perf_counter() - start_s
            self.seconds[stage] += spent_s
            if also is not None:
                add(also, stage, spent_s)

    @contextmanager
    def in_turn(self, stage: str, also: Seconds | None = None) -> Iterator[None]:
        """Count what happens inside, once it is this stage's turn, in `also` as well."""
        with self._turn, self.on(stage, also):
            yield

    def timed(self, items: Iterable[T], stage: str) -> Iterator[T]:
        """Pass items on, counting how long making them takes."""
        iterator = iter(items)
        try:
            while True:
                with self.on(stage):
                    try:
                        item = next(iterator)
                    except StopIteration:
                        return
                yield item
        finally:
            if close := getattr(iterator, "close", None):
                close()


def counted(items: Iterable[T], stage: str, seconds: Seconds) -> Iterator[T]:
    """Pass items on, counting into `seconds` how long making them takes."""
    start_s = time.perf_counter()
    for item in items:
        add(seconds, stage, time.perf_counter() - start_s)
        yield item
        start_s = time.perf_counter()


def add(seconds: Seconds, stage: str, spent_s: float) -> None:
    """Add to what a stage has worked."""
    seconds[stage] = seconds.get(stage, 0.0) + spent_s
