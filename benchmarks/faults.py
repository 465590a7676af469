"""Kills at random moments of `tal extract`, and what the ledger costs with 50,000 videos.

Kills: 20 short rendered videos, RGB, random weights, small frames. ``kill -9`` hits the command, its child or both, at
a random moment: of the time that an undisturbed run takes, or up to half a second after a new shard. The command is
started again until the folder is full, then the next folder is filled, until there were 200 kills. Finished shards are
followed by their inode: one that is gone is lost, one that is another was made again. All folders are compared with an
undisturbed one, byte by byte.

Scale: 50,000 videos of a few bytes and engines that cost nothing; what is left is the cost of finding, digesting,
claiming and writing down. Writing and syncing the shards themselves is not counted.

``TAL_BENCH_FOLDER`` keeps what was done, and ``TAL_BENCH_SECONDS`` ends a call after so long: the next call goes on
from there. `--quick`: 6 kills, 500 videos.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import _faulty
from _scale import Notes, Scale

from tal import shards
from tal.bench import Row
from tal.demo.scripts import DemoOptions
from tal.demo.videos import render
from tal.ledger import Ledger
from tal.progress import Progress, Task

N_KILLS, N_VIDEOS = 200, 50_000
SETS = ["weights=random:0", "streams=[rgb]", "fps=5/2", "short_side=32", "crop=0", "length=8", "stride=16"]
IN_FLIGHT = 6
"""Videos that a worker may have in work at once: short ones, of which several share a batch of four snippets."""


def run(quick: bool, progress: Progress) -> list[Row]:
    """Kill, then count; then measure the ledger."""
    with _kept_folder() as folder:
        until_s = time.monotonic() + float(os.environ.get("TAL_BENCH_SECONDS", "1e9"))
        n_kills, n_videos = (6, 500) if quick else (N_KILLS, N_VIDEOS)
        with progress.task("kills", n_kills, "kills") as bar:
            killed = Killing(folder / "kills").go(n_kills, until_s, bar)
        with progress.task("videos", n_videos, "videos") as bar:
            scaled = Scale(folder / "scale", n_videos).go(until_s, bar)
        return [*killed, *scaled]


@contextmanager
def _kept_folder() -> Iterator[Path]:
    if named := os.environ.get("TAL_BENCH_FOLDER"):
        Path(named).mkdir(parents=True, exist_ok=True)
        yield Path(named)
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


class Killing:
    """Folders that are filled under kills."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self._notes = Notes(folder / "notes.json")
        if not (folder / "data").is_dir():
            render(folder / "data", DemoOptions(n_train=10, n_test=10, size=(64, 48), fps=Fraction(5)))

    def go(self, n_kills: int, until_s: float, bar: Task) -> list[Row]:
        """Kill until there were enough; return what was counted."""
        reference = self._reference()
        chance = random.Random(self._notes.values.get("kills", 0))
        while (n := self._notes.values.get("kills", 0)) < n_kills and time.monotonic() < until_s:
            out = self._folder / f"out{self._notes.values.get('rounds', 0)}"
            self._once(out, chance)
            bar.advance(self._notes.values.get("kills", 0) - n)
            if len(found := _shards(out)) == len(reference):
                differ = sum(path.read_bytes() != reference[path.name] for path in found)
                halves = len(list(out.glob(".*.part")))
                self._notes.add(rounds=1, differ=differ, halves=halves, attempts=self._attempts(out))
        return self._rows(len(reference))

    def _reference(self) -> dict[str, bytes]:
        out = self._folder / "reference"
        if "seconds" not in self._notes.values:
            subprocess.run(self._command(out), env=self._environment(), check=True, stderr=subprocess.DEVNULL)
            for path in _shards(out):
                path.unlink()
            started_s = time.monotonic()
            subprocess.run(self._command(out), env=self._environment(), check=True, stderr=subprocess.DEVNULL)
            self._notes.keep(seconds=time.monotonic() - started_s)
        return {path.name: path.read_bytes() for path in _shards(out)}

    def _once(self, out: Path, chance: random.Random) -> None:
        """Start the command, kill something of it at some moment, and look at what is there."""
        before = {path.name: path.stat().st_ino for path in _shards(out)}
        process = subprocess.Popen(
            self._command(out), env=self._environment(), stderr=subprocess.DEVNULL, start_new_session=True
        )
        if chance.random() < 0.5:
            _wait(process, chance.uniform(0.1, 0.95) * self._notes.values["seconds"])
        else:
            while len(_shards(out)) <= len(before) and process.poll() is None:
                _wait(process, 0.02)
            _wait(process, chance.uniform(0, 0.5))
        if process.poll() is None:
            _kill(process, chance)
            self._notes.add(kills=1)
        after = {path.name: path.stat().st_ino for path in _shards(out)}
        lost = sum(name not in after for name in before)
        again = sum(after.get(name, inode) != inode for name, inode in before.items())
        self._notes.add(lost=lost, again=again, damaged=sum(not _is_whole(path) for path in _shards(out)))

    def _attempts(self, out: Path) -> int:
        with Ledger(out) as ledger:
            return sum(one.attempts for one in ledger.records().values())

    def _command(self, out: Path) -> list[str]:
        given = [f"--set=extract.{text}" for text in SETS]
        videos = str(self._folder / "data" / "videos")
        return [sys.executable, "-m", "cli.app", "extract", videos, "-o", str(out), "--quiet", *given]

    def _environment(self) -> dict[str, str]:
        root = str(Path(_faulty.__file__).parents[1])
        return {**os.environ, "TAL_CACHE": str(self._folder / "cache"), "PYTHONPATH": root}

    def _rows(self, n_videos: int) -> list[Row]:
        n = Counter(self._notes.values)
        kills, rounds = n["kills"], n["rounds"]
        name = f"{kills} kills, {rounds} folders of {n_videos} videos"
        repeated = (n["attempts"] - rounds * n_videos) / kills if kills else 0.0
        none = "0"
        return [
            Row(f"{name}: finished shards lost", n["lost"], "shards", None, none, n["lost"] == 0),
            Row(f"{name}: shards damaged", n["damaged"] + n["halves"], "shards", None, none, n["damaged"] == 0),
            Row(f"{name}: finished shards made again", n["again"], "shards", None, none, n["again"] == 0),
            Row(f"{name}: shards unlike an undisturbed run's", n["differ"], "shards", None, none, n["differ"] == 0),
            Row("videos begun again, per kill", repeated, "videos", None, f"<= {IN_FLIGHT}", repeated <= IN_FLIGHT),
        ]


def _kill(process: subprocess.Popen[bytes], chance: random.Random) -> None:
    """Kill the command, or all of it, or its child alone, with which it may go on; end with all of it ended."""
    target = chance.choice(["command", "all", "child"])
    if target == "command":
        process.kill()
    elif target == "child":
        for pid in _children(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _wait(process, chance.choice([chance.uniform(0, 3), 120.0]))
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _shards(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{shards.SUFFIX}"))


def _is_whole(path: Path) -> bool:
    return shards.is_current(path, shards.header(path).key)
