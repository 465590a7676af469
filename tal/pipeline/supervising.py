"""Extraction in a process of its own, so that a video which takes its process down takes nothing else with it.

The child does the whole work and tells what it does, line by line. When it dies, the videos it had in work are
suspects; another child goes on with the rest and ends with the suspects, one by one, each in a child of its own. A
video whose own child dies is poison. A child is a fresh interpreter, never a fork: CUDA and threads do not outlive one.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from extract.video import video_name
from tal import errors
from tal.errors import BackendError, TalError
from tal.pipeline import orphans
from tal.pipeline.context import Context
from tal.pipeline.extract_reports import ExtractReport
from tal.pipeline.filling import Filling
from tal.pipeline.memory import OUT_OF_MEMORY
from tal.pipeline.parts import Selection
from tal.progress import Progress, Task

INTERRUPTED = 130
PATIENCE_S = 10.0
"""How long a child that was asked to stop may take before it is stopped."""


@dataclass(frozen=True)
class Job:
    """What an extraction was asked for, as plain values that another process understands.

    Attributes:
        videos: Files and folders, all of them: random weights are calibrated on the first.
        out: Folder of shards.
        selection: Which of the videos.
        retry_failed: Whether poison videos are tried again.
        settings: All settings.
        cache: Folder of the cache.
        force: Whether shards that are there are made anew.
    """

    videos: tuple[str, ...]
    out: str
    selection: Selection
    retry_failed: bool
    settings: Mapping[str, Any]
    cache: str
    force: bool

    @classmethod
    def of(cls, videos: list[Path], out: Path, selection: Selection, retry_failed: bool, ctx: Context) -> Job:
        """Return the job for these arguments of `extract`."""
        settings = ctx.settings.model_dump(mode="json")
        names = tuple(str(path) for path in videos)
        return cls(names, str(out), selection, retry_failed, settings, str(ctx.cache.root), ctx.cache.force)

    def isolated(self, isolate: str, **more: object) -> Job:
        """Return the same job under another ``runtime.isolate``, and with more changes of ``runtime``."""
        runtime = {**self.settings["runtime"], "isolate": isolate, **more}
        return replace(self, settings={**self.settings, "runtime": runtime})

    def to_json(self) -> str:
        """Return the job as one line."""
        return json.dumps({**vars(self), "selection": self.selection.to_dict()})

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        selection = Selection.from_dict(values.pop("selection"))
        return cls(tuple(values.pop("videos")), selection=selection, **values)


class DiedError(Exception):
    """A child that ended without a word.

    Attributes:
        pid: Its process.
        how: The signal or exit status.
    """

    def __init__(self, pid: int, status: int) -> None:
        self.pid, self.how = pid, _how(status)
        super().__init__(f"process {pid}: {self.how}")


def supervise(filling: Filling, job: Job) -> None:
    """Do a job in a child, and in another one when it dies.

    Raises:
        BackendError: If a child dies with no video in work: there is nothing that could be left out.
        TalError: What the child raises.
    """
    job, ledger, progress = job.isolated("suspects"), filling.target.ledger, filling.target.ctx.progress
    while True:
        try:
            filling.tally.absorb(run_child(job, progress))
            return
        except DiedError as death:
            ended, n_lost = ledger.ended_by(death.pid), len(ledger.blame(death.pid)) or orphans.given_back(ledger)
            if not n_lost:
                raise BackendError(
                    f"the extracting process died ({death.how}) with no video in work; what it printed last says more, "
                    "--isolate none runs without it"
                ) from death
            filling.tally.absorb_records(ended)
            n = f"{n_lost} video{'s' * (n_lost > 1)}"
            less = " and with runtime.batch=1" if "memory" in death.how else ""
            died = f"the extracting process died ({death.how}) with {n} in work"
            progress.say(f"{died}; going on, these come last, one by one{less}")
            done = job.selection.without | {one.name for one in ended}
            job = replace(job, selection=replace(job.selection, without=done))


def make_alone(filling: Filling, path: Path, key: str, job: Job) -> None:
    """Extract one video, with which processes died before, in a child of its own; what dies again is poison.

    It gets one snippet at a time: on a CPU that changes no byte of a shard, and it takes the least memory.
    """
    alone = replace(
        job.isolated("none", batch=1), selection=Selection(names=frozenset([video_name(path)])), retry_failed=True
    )
    progress = filling.target.ctx.progress
    progress.say(f"{path}: the process that decoded it died before; now in a process of its own")
    try:
        filling.tally.absorb(run_child(alone, progress))
    except DiedError as death:
        filling.target.ledger.blame(death.pid)
        filling.poison(path, key, death.how)


def run_child(job: Job, progress: Progress) -> ExtractReport:
    """Do a job in a fresh interpreter and return its report.

    Raises:
        DiedError: If it ends without a report.
        TalError: What the child raises.
        KeyboardInterrupt: If it was interrupted.
    """
    process = subprocess.Popen(_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    with _stopping(process), ExitStack() as bars:
        if process.stdin is None or process.stdout is None:
            raise ValueError("a child without pipes")
        with suppress(BrokenPipeError):  # it died already, which its status tells
            process.stdin.write(job.to_json() + "\n")
            process.stdin.flush()
        last = None
        screen = _Screen(progress, bars)
        for line in process.stdout:
            with suppress(ValueError):  # cut short by its death
                last = screen.show(json.loads(line)) or last
        status = process.wait()
    if status == INTERRUPTED:
        raise KeyboardInterrupt
    if last is None or status:
        raise DiedError(process.pid, status)
    if "error" in last:
        raise _error(*last["error"])
    return ExtractReport.from_dict(last["report"])


class _Screen:
    """Shows a child's progress as our own."""

    def __init__(self, progress: Progress, bars: ExitStack) -> None:
        self._progress, self._bars = progress, bars
        self._open: dict[int, tuple[Task, ExitStack]] = {}

    def show(self, told: dict[str, Any]) -> dict[str, Any] | None:
        """Show one line of a child; return it if it is the child's last word."""
        if "open" in told:
            stack = self._bars.enter_context(ExitStack())
            self._open[told["open"]] = (stack.enter_context(self._progress.task(*told["task"])), stack)
        elif "advance" in told:
            self._open[told["advance"]][0].advance(told["by"], told["note"])
        elif "close" in told:
            self._open.pop(told["close"])[1].close()
        elif "expect" in told:
            self._open[told["expect"]][0].expect(told["total"])
        elif "say" in told:
            self._progress.say(told["say"])
        elif "detail" in told:
            self._progress.detail(told["detail"])
        else:
            return told
        return None


def _command() -> list[str]:
    """Return the command of a child: it imports from where this process does, from nowhere else."""
    return [
        sys.executable,
        "-c",
        f"import sys; sys.path[:] = {sys.path!r}; from tal.pipeline import worker; worker.main()",
    ]


@contextmanager
def _stopping(process: subprocess.Popen[str]) -> Iterator[None]:
    """End a child that is still there: it is asked by closing its input, then told."""
    try:
        yield
    finally:
        calls: tuple[Callable[[], None], ...] = (lambda: _close(process), process.terminate, process.kill)
        for call in calls:
            if process.poll() is None:
                call()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(PATIENCE_S)
        _close(process)
        if process.stdout is not None:
            process.stdout.close()
        orphans.collect()


def _close(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()


def _error(name: str, text: str) -> TalError:
    kind = getattr(errors, name, TalError)
    return TalError(text) if not issubclass(kind, TalError) else kind(text)


def _how(status: int) -> str:
    if status >= 0:
        return "memory ran out" if status == OUT_OF_MEMORY else f"exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"{name}, as when memory runs out" if name == "SIGKILL" else name
