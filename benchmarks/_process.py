"""Run the command line as its own process and measure it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


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
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {log.read_text()[-2000:]}")
    return Measured(seconds, usage.ru_maxrss / 1024, log.read_text())
