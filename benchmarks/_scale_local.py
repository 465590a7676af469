"""The real pipeline with one and two processes, measured, and what the simulation says of the same runs.

The rates of the stages and the time until a process works come from one configuration alone: one process on four
videos. The others are predictions: eight other videos, in one process, in two with a part each, and in two that share
one folder. Processes compute on one thread each. Each configuration is run several times, in turn, and the least
disturbed run counts: the one with the least wall time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from _scale_events import Line, Plan, Station
from _scale_lines import simulate

from tal import shards
from tal.bench import Row
from tal.demo.scripts import DemoOptions
from tal.demo.videos import render
from tal.pipeline.parts import Part
from tal.progress import Task

SETS = ("weights=random:0", "fps=25/4", "short_side=64", "crop=0", "calibration_videos=2")
N_FITTED, N_OTHERS = 4, 8
N_SNIPPETS = 4
"""Snippets in a batch: what is passed on to the networks together."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
FITTED, ONE, PARTS, SHARED = (
    f"{N_FITTED} videos, 1 process",
    f"{N_OTHERS} other videos, 1 process",
    f"{N_OTHERS} other videos, 2 processes with a part each",
    f"{N_OTHERS} other videos, 2 processes on one folder",
)
NAMES = (FITTED, ONE, PARTS, SHARED)
COMMAND = (sys.executable, "-m", "cli.app", "extract")
GIVEN = ("--quiet", "--json", "--workers", "1", "--isolate", "none", *(f"--set=extract.{text}" for text in SETS))
LOCAL = (
    Station("decode"),
    Station("flow", room=2, turn="CPU"),
    Station("networks, writing", room=1, turn="CPU"),
)


@dataclass(frozen=True)
class Run:
    """A measured run.

    Attributes:
        seconds: From the start of the first process to the end of the last.
        snippets: Of all processes.
        stage_s: Stage to its seconds, in all processes.
    """

    seconds: float
    snippets: int
    stage_s: Mapping[str, float]


@dataclass(frozen=True)
class Fit:
    """What a run tells of its stages: seconds per snippet at each of `LOCAL`, and seconds until a process works."""

    per_snippet_s: Sequence[float]
    start_s: float

    @classmethod
    def of(cls, run: Run, snippets: Sequence[int], n_cores: float = 2) -> Fit:
        """Take the stages' rates from a run of one process; what is left of its wall time is its start."""
        s = run.stage_s
        main_s = sum(s[name] for name in ("rgb network", "flow network", "write"))
        each_s = [one / run.snippets for one in (s["decode"], s["flow"], main_s)]
        return cls(each_s, max(0.0, run.seconds - cls(each_s, 0.0).predicted([snippets], False, n_cores)))

    def predicted(
        self, parts: Sequence[Sequence[int]], together: bool, n_cores: float = 2, n: int = 0, turns: bool = True
    ) -> float:
        """Return the simulated seconds of a run.

        Args:
            parts: The snippets of the videos of each part.
            together: Whether processes share one part.
            n_cores: Of the machine.
            n: Processes; 0 for one for each part.
            turns: Whether flow and networks take turns, as on a CPU.
        """
        snippets = [one for part in parts for one in part]
        numbers = iter(range(len(snippets)))
        lines = [Line(start_s=self.start_s)] * (n or len(parts))
        stations = LOCAL if turns else [replace(one, turn="") for one in LOCAL]
        plan = Plan(stations, lines, [[next(numbers) for _ in part] for part in parts], together, (n_cores,))
        return simulate(plan, lambda video: self._pieces(snippets[video])).seconds

    def _pieces(self, n_snippets: int) -> list[list[float]]:
        """Cut a video into batches of snippets."""
        sizes = [min(N_SNIPPETS, n_snippets - first) for first in range(0, n_snippets, N_SNIPPETS)]
        return [[size * each_s for each_s in self.per_snippet_s] for size in sizes]


class Local:
    """A folder of rendered videos that are extracted again and again; what was measured outlives a call."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._notes = folder / "rounds.json"
        if not (folder / "data").is_dir():
            options = DemoOptions(n_train=N_FITTED, n_test=N_OTHERS, size=(96, 72), fps=Fraction(25, 2))
            render(folder / "data", options)

    def go(self, n_rounds: int, until_s: float, bar: Task) -> list[Row]:
        """Run all configurations in turn until there were enough rounds; compare with the simulation."""
        fitted, others = self._videos("train"), self._videos("test")
        for name, videos in (("train", fitted), ("test", others)):
            if not (self._folder / name).is_dir():
                self._extract([videos], name)  # weights are calibrated, kernels compiled
        while len(self._rounds) < n_rounds and time.monotonic() < until_s:
            found = {
                FITTED: self._extract([fitted], "out"),
                ONE: self._extract([others], "out"),
                PARTS: self._extract([[*others, "--shard", f"{i}/2"] for i in (0, 1)], "out"),
                SHARED: self._extract([others, others], "out"),
            }
            told = {"load": os.getloadavg()[0], **{name: asdict(run) for name, run in found.items()}}
            self._notes.write_text(json.dumps([*self._rounds, told]))
            bar.advance(1)
        return self.rows() if self._rounds else []

    def rows(self) -> list[Row]:
        """Return measured times beside simulated ones."""
        best = {name: min((Run(**one[name]) for one in self._rounds), key=lambda run: run.seconds) for name in NAMES}
        fitted, others = self._snippets("train"), self._snippets("test")
        fit = Fit.of(best[FITTED], list(fitted.values()))
        parts = [[n for name, n in others.items() if Part(i, 2).holds(name)] for i in (0, 1)]
        whole = list(others.values())
        simulated = {
            FITTED: fit.predicted([list(fitted.values())], False),
            ONE: fit.predicted([whole], False),
            PARTS: fit.predicted(parts, False),
            SHARED: fit.predicted([whole], True, n=2),
        }
        measured = {name: run.seconds for name, run in best.items()}
        rows = [Row(f"measured, {name} (peer: simulated)", measured[name], "s", simulated[name]) for name in NAMES]
        speed_up, expected = (times[ONE] / times[PARTS] for times in (measured, simulated))
        rows.append(
            Row("measured, speed-up by a second process, a part each (peer: simulated)", speed_up, "x", expected)
        )
        load_mean = sum(float(one["load"]) for one in self._rounds) / len(self._rounds)
        load = Row("measured, load of the 2 cores while measuring, mean", load_mean, "processes")
        return [*rows, Row("measured, rounds, the least of which count", len(self._rounds), "runs"), load]

    @property
    def _rounds(self) -> list[dict[str, Any]]:
        """What was measured so far: configuration to its run, and the machine's load after it."""
        return list(json.loads(self._notes.read_text())) if self._notes.exists() else []

    def _videos(self, subset: str) -> list[Path]:
        return sorted((self._folder / "data" / "videos").glob(f"{subset}_*.mp4"))

    def _snippets(self, subset: str) -> dict[str, int]:
        """Return how many snippets each video has, as its shard says."""
        paths = [self._folder / subset / f"{video.stem}{shards.SUFFIX}" for video in self._videos(subset)]
        return {path.stem: shards.read(path).grid.n_snippets for path in paths}

    def _extract(self, calls: Sequence[Sequence[object]], name: str) -> Run:
        """Run a process for each call's arguments at the same time, into one empty folder; return what they took."""
        shutil.rmtree(self._folder / name, ignore_errors=True)
        commands = [[*COMMAND, *map(str, call), "-o", str(self._folder / name), *GIVEN] for call in calls]
        started_s, pipe, null = time.perf_counter(), subprocess.PIPE, subprocess.DEVNULL
        running = [
            subprocess.Popen(one, env=self._environment(), stdout=pipe, stderr=null, text=True) for one in commands
        ]
        told = [json.loads(process.communicate()[0]) for process in running]
        seconds, stage_s = time.perf_counter() - started_s, Counter[str]()
        for one in told:
            stage_s.update(one["seconds_by_stage"])
        return Run(seconds, sum(one["n_snippets"] for one in told), dict(stage_s))

    def _environment(self) -> dict[str, str]:
        root = str(Path(__file__).parents[1])
        one_thread = dict.fromkeys(THREADS, "1")
        return {**os.environ, **one_thread, "TAL_CACHE": str(self._folder / "cache"), "PYTHONPATH": root}
