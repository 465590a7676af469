"""Run things as processes of their own and measure them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WATCH_S = 0.02
"""Between two looks at a process's memory."""


@dataclass(frozen=True)
class Measured:
    """A finished process: wall time, peak memory, what it printed on stderr."""

    seconds: float
    peak_mib: float
    stderr: str


def tal(*arguments: str, cwd: Path, cache: Path) -> Measured:
    """Run ``tal`` and wait for it; a failure ends the benchmark."""
    log = cwd / "stderr.txt"
    command = [str(Path(sys.executable).with_name("tal")), *arguments]
    with log.open("w") as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, "TAL_CACHE": str(cache)}, stdout=subprocess.DEVNULL, stderr=err
        )
        with _watched(process.pid) as peaks_mib:
            process.wait()
        seconds = time.perf_counter() - started
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {log.read_text()[-2000:]}")
    return Measured(seconds, max(peaks_mib), log.read_text())


@contextmanager
def _watched(pid: int) -> Iterator[list[float]]:
    """Collect a process's peak memory until the block ends.

    What wait4 reports will not do: a child starts with the peak of its parent (Linux's exec keeps it).
    """
    peaks_mib, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(WATCH_S):
            peaks_mib.append(peak_mib(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks_mib
    finally:
        over.set()
        watcher.join()


def peak_mib(pid: int | str = "self") -> float:
    """Return the most memory that a process has held so far, MiB; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def script(path: Path, *arguments: object) -> dict[str, Any]:
    """Run a Python script that prints one JSON object last; a failure ends the benchmark."""
    command = [sys.executable, str(path), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
