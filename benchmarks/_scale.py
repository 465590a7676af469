"""What finding, claiming and writing down cost with many videos, and counts that outlive a call of a benchmark."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import _faulty

from tal import shards
from tal.bench import Row
from tal.cache import Cache
from tal.pipeline import extract
from tal.progress import Task
from tal.settings import RuntimeSettings, Settings

OVERHEAD_MS, STATUS_S, RESTART_S = 5.0, 1.0, 10.0
CHUNK = 2500
"""Videos between two times that the clock is looked at."""


class Notes:
    """Counts that outlive a call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.values: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def keep(self, **values: Any) -> None:
        """Write values down."""
        self.values.update(values)
        self._path.write_text(json.dumps(self.values))

    def add(self, **counts: int) -> None:
        """Add to counts."""
        self.keep(**{name: self.values.get(name, 0) + n for name, n in counts.items()})


class Scale:
    """A folder of many tiny videos.

    Args:
        folder: For everything.
        n: Videos.
    """

    def __init__(self, folder: Path, n: int) -> None:
        self._folder, self._n = folder, n
        folder.mkdir(exist_ok=True)
        self._notes = Notes(folder / "notes.json")
        (folder / "videos").mkdir(exist_ok=True)
        for i in range(n):
            if not (path := self._video(i)).exists():
                path.write_text(str(i))

    def go(self, until_s: float, bar: Task) -> list[Row]:
        """Extract in chunks, then measure the restart and the status; nothing where time is over before that."""
        _faulty.install()
        for first in range(self._notes.values.get("next", 0), self._n, CHUNK):
            if time.monotonic() > until_s:
                return []
            chunk = [self._video(i) for i in range(first, min(first + CHUNK, self._n))]
            report, wall_s = self._extract(chunk)
            spent_s = wall_s - report.seconds_by_stage.get("write", 0.0)
            self._notes.keep(next=first + CHUNK, spent_s=self._notes.values.get("spent_s", 0.0) + spent_s)
            bar.advance(len(chunk))
        self._extract([self._folder / "videos"])  # what an earlier version left is noted as this one notes it
        n_left = self._lose()
        report, restart_s = self._extract([self._folder / "videos"])
        if len(report.made) != n_left:
            raise ValueError(f"{len(report.made)} of {n_left} videos were made again")
        per_video_ms = 1000 * self._notes.values["spent_s"] / self._n
        return [
            self._row("overhead each", per_video_ms, "ms", OVERHEAD_MS),
            self._row("tal status", self._status(), "s", STATUS_S),
            self._row(f"restart with {n_left} left", restart_s, "s", RESTART_S),
            self._row(f"tal extract with {n_left} left, the whole command", self._command(), "s", RESTART_S),
        ]

    def _row(self, name: str, value: float, unit: str, most: float) -> Row:
        return Row(f"{self._n} videos: {name}", value, unit, None, f"<= {most:g}", value <= most)

    def _lose(self) -> int:
        """Remove some shards; return how many."""
        lost = [self._video(i).stem for i in range(0, self._n, 1000)]
        for name in lost:
            (self._folder / "features" / f"{name}{shards.SUFFIX}").unlink()
        return len(lost)

    def _extract(self, videos: list[Path]) -> tuple[Any, float]:
        settings = Settings(runtime=RuntimeSettings(isolate="none"))
        started_s = time.monotonic()
        report = extract(videos, self._folder / "features", settings, cache=Cache(self._folder / "cache"))
        return report, time.monotonic() - started_s

    def _status(self) -> float:
        """Return the least time of three that the whole command takes."""
        return min(_timed("status", str(self._folder / "features"), "--json") for _ in range(3))

    def _command(self) -> float:
        """Return how long the command takes that makes lost shards, with the process that it starts."""
        self._lose()
        videos, out, cache = (str(self._folder / name) for name in ("videos", "features", "cache"))
        return _timed("extract", videos, "-o", out, "--cache", cache, "--quiet")

    def _video(self, i: int) -> Path:
        return self._folder / "videos" / f"v{i:06}.mp4"


def _timed(*words: str) -> float:
    """Return how long a command takes with the engines that cost nothing, in a process of its own."""
    here = Path(_faulty.__file__).parent
    install = "import _faulty; _faulty.install(); " if words[0] == "extract" else ""
    command = [sys.executable, "-c", f"{install}from cli import app; app.main()", *words]
    paths = os.pathsep.join([str(here), str(here.parent)])
    started_s = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": paths})
    return time.monotonic() - started_s
