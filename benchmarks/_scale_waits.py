"""The pass itself, its threads, queues, batches and turns, with waiting in place of arithmetic; and its simulation.

Decoding, flow and networks only wait, for times that are set: so cores do not matter, and neither does what else
runs on a machine, but for waiting too long. What remains is what the simulation is about. Rates come from a run of
equal videos alone. Of several runs the one with the least time counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import numpy as np
from _scale_events import INFINITE
from _scale_local import Fit, Run

from extract.features import Extractor
from extract.reports import DecodeReport
from extract.stopwatch import Stopwatch
from extract.stream import Request
from tal import config
from tal.bench import Row
from tal.progress import Task
from tal.settings import RuntimeSettings

DECODE_S, PAIR_S, SNIPPET_S = 0.004, 0.005, 0.03
"""Waiting for a frame, for a pair of frames, and for a snippet in one network."""
SIDE, STRIDE = 8, 16
FITTED, UNEVEN = (8, 8, 8), (2, 21, 5, 1, 12, 3)
"""Snippets of the videos."""
TIMES = 3
SETS = ("extract.crop=0", "extract.short_side=32", "extract.decoder=pyav")


class Waiting:
    """Stands for an opened video, a flow engine and a network."""

    offset: ClassVar[int] = 0

    def __init__(self, n_frames: int = 0) -> None:
        self._n_frames = n_frames
        self.report = DecodeReport(n_frames, n_frames, 0, 0, (), Fraction(25), n_frames / 25)

    def __iter__(self) -> Iterator[Any]:
        for _ in range(self._n_frames):
            time.sleep(DECODE_S)
            yield np.zeros((SIDE, SIDE, 3), np.uint8)

    def pairs(self, gray: Any) -> Any:
        """Return no motion, after a while."""
        time.sleep(PAIR_S * (len(gray) - 1))
        return np.zeros((len(gray) - 1, *gray.shape[1:], 2), np.float32)

    def embed(self, clips: Any) -> Any:
        """Return empty vectors, after a while."""
        time.sleep(SNIPPET_S * len(clips))
        return np.zeros((len(clips), 1024), np.float32)

    def close(self) -> None:
        """Nothing to close."""


def passed(groups: Sequence[Sequence[int]], turns: bool) -> Run:
    """Pass videos of so many snippets, each group through an extractor of its own, at the same time."""
    settings = config.load(sets=SETS).extract
    with ExitStack() as stack, ThreadPoolExecutor(len(groups)) as threads:
        stack.enter_context(mock.patch("extract.stream.open_video", lambda path, *_: Waiting(int(path.stem) * STRIDE)))
        stack.enter_context(mock.patch("extract.features.open_flow", lambda *_: Waiting()))
        runtime, networks = RuntimeSettings(device="cpu", workers=1), {"rgb": Waiting(), "flow": Waiting()}
        extractors = [Extractor(settings, runtime, networks, {}) for _ in groups]
        for one in extractors:
            one.watch = Stopwatch(take_turns=turns)
        started_s = time.perf_counter()
        list(threads.map(_exhaust, extractors, groups))
        seconds = time.perf_counter() - started_s
    stage_s = {stage: sum(one.watch.seconds[stage] for one in extractors) for stage in extractors[0].watch.seconds}
    return Run(seconds, sum(map(sum, groups)), stage_s)


def _least(groups: Sequence[Sequence[int]], turns: bool) -> Run:
    return min((passed(groups, turns) for _ in range(TIMES)), key=lambda run: run.seconds)


def _exhaust(extractor: Extractor, snippets: Sequence[int]) -> None:
    for _ in extractor.run([Request(Path(f"{n}.mp4")) for n in snippets]):
        pass


def waits(bar: Task) -> Iterator[Row]:
    """Yield measured times of passes beside simulated ones; only the first was fitted on."""
    name = "measured, waiting for arithmetic"
    passed([[1]], turns=True)  # what is imported at first is imported
    first = _least([FITTED], turns=True)
    fit = Fit.of(first, FITTED, INFINITE)
    halves = [UNEVEN[::2], UNEVEN[1::2]]
    yield Row(f"{name}, equal videos (fitted on)", first.seconds, "s", fit.predicted([FITTED], False, INFINITE))
    for what, groups, turns in (
        ("uneven videos, 1 process", [UNEVEN], True),
        ("uneven videos, 1 process, no turns (as with a GPU)", [UNEVEN], False),
        ("uneven videos, 2 processes", halves, True),
        ("uneven videos, 2 processes, no turns", halves, False),
    ):
        run = _least(groups, turns)
        simulated = fit.predicted(groups, False, INFINITE, turns=turns)
        yield Row(f"{name}, {what} (peer: simulated)", run.seconds, "s", simulated)
        bar.advance(1, what)
