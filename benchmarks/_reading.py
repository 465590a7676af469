"""Reads videos in a process of its own, which may die or hang: the parent notes it and goes on with a new one.

Run as a script, this file is the worker. It takes one path per line on stdin and answers on stdout: one line per pass
over the file, so that the parent can tell slow from stuck, and then the reading as JSON.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import IO

LIMIT_S = 20.0
"""A worker that says nothing for longer hangs."""
MAX_MEMORY = 6 << 30
"""Address space of a worker, bytes: a header that claims absurd sizes must not take the machine with it."""
MAX_FRAMES = 100_000
"""A file that gives more is endless."""
FPS, SHORT_SIDE, DECODER = 25, 64, "pyav"
"""What `extract.video.open_video` is asked for."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading a file gave.

    Attributes:
        error: ``VideoError`` where it was refused, else ``crash``, ``hang`` or ``error`` where the worker ended so.
        message: The text of that.
        times_s: When each decoded frame is shown, as written fractions of a second.
        digests: Digest of each decoded frame's pixels.
        claimed: Frames that the file claims; None where it does not say.
        claimed_s: When its video ends, as it claims, seconds; None where it does not say.
        decoded: Frames decoded, as `open_video` reports.
        bad: Packets that were reported as bad.
        damaged: Frames that were reported as damaged.
        gaps: Gaps that were reported.
        end_s: When its last frame ends, as reported, seconds.
        container: FFmpeg's name of the container format.
        repeatable: Whether reading again gave the same frames.
        thread_free: Whether reading on one thread gave the same frames.
    """

    error: str = ""
    message: str = ""
    times_s: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    claimed: int | None = None
    claimed_s: float | None = None
    decoded: int = 0
    bad: int = 0
    damaged: int = 0
    gaps: int = 0
    end_s: float = 0.0
    container: str = ""
    repeatable: bool = True
    thread_free: bool = True


class Reader:
    """Reads one file after the other in a worker process.

    Args:
        command: What to start as the worker.
        limit_s: For how long it may say nothing, seconds.
    """

    def __init__(self, command: Sequence[str] = (sys.executable, __file__), limit_s: float = LIMIT_S) -> None:
        self._command = list(command)
        self.limit_s = limit_s
        self._worker: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str] = queue.Queue()
        self._stderr = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - lives as long as the reader

    def read(self, path: Path) -> Reading:
        """Return what the worker says of a file, or how it ended."""
        worker = self._running()
        with contextlib.suppress(OSError):  # a worker that is gone answers with the end of its output
            worker.stdin.write(f"{path}\n")  # type: ignore[union-attr]
            worker.stdin.flush()  # type: ignore[union-attr]
        while True:
            try:
                answer = self._answers.get(timeout=self.limit_s)
            except queue.Empty:
                self._end()
                return Reading("hang", f"said nothing for {self.limit_s:g} s")
            if not answer:
                return self._obituary()
            if answer.startswith("{"):
                return _from_json(answer)

    def close(self) -> None:
        """End the worker."""
        self._end()
        self._stderr.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _running(self) -> subprocess.Popen[str]:
        if self._worker is None:
            self._answers = queue.Queue()
            self._worker = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, text=True
            )
            threading.Thread(target=_collect, args=(self._worker.stdout, self._answers), daemon=True).start()
        return self._worker

    def _end(self, patience_s: float = 1.0) -> int:
        """End the worker, by force if it takes longer; return its exit status, negative for a signal."""
        worker, self._worker = self._worker, None
        if worker is None:
            return 0
        with contextlib.suppress(OSError):
            worker.stdin.close()  # type: ignore[union-attr]
        try:
            return worker.wait(patience_s)
        except subprocess.TimeoutExpired:
            worker.kill()
            return worker.wait()

    def _obituary(self) -> Reading:
        status = self._end(self.limit_s)  # it is ending by itself, and may have a core to dump
        if status < 0:
            return Reading("crash", signal.Signals(-status).name)
        self._stderr.seek(0)
        return Reading("error", (self._stderr.read().strip().splitlines() or [f"ended with status {status}"])[-1])


def _collect(lines: IO[str], answers: queue.Queue[str]) -> None:
    """Pass a worker's lines on; an empty one is its end."""
    with lines:
        for line in lines:
            answers.put(line)
    answers.put("")


def _from_json(line: str) -> Reading:
    values = json.loads(line)
    return Reading(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def _examine(path: Path) -> Iterator[Reading | None]:
    """Yield None after each pass over a file, and the reading last; what is no `VideoError` ends the worker."""
    reading = _report(path)
    yield None
    passes = []
    for threads in (0, 0, 1):
        passes.append(_frames(path, threads))
        yield None
    first, again, alone = passes
    repeatable = again == first and (bool(reading.error) or reading.decoded == len(first.times_s))
    yield replace(
        reading, times_s=first.times_s, digests=first.digests, repeatable=repeatable, thread_free=alone == first
    )


def _report(path: Path) -> Reading:
    """Read a file as the pipeline does."""
    from extract.video import open_video
    from tal.errors import VideoError

    try:
        video = open_video(path, Fraction(FPS), SHORT_SIDE, DECODER)
        for _ in video:
            pass
    except VideoError as error:
        return Reading("VideoError", str(error))
    info, report = video.info, video.report
    return Reading(
        claimed=report.n_claimed,
        claimed_s=None if info.duration_s is None else float(info.duration_s),
        decoded=report.n_decoded,
        bad=report.n_bad_packets,
        damaged=report.n_damaged,
        gaps=len(report.gaps),
        end_s=report.end_s,
        container=info.container,
    )


@dataclass(frozen=True, slots=True)
class _Pass:
    """One decoding of a file."""

    times_s: tuple[str, ...]
    digests: tuple[str, ...]
    flags: tuple[tuple[bool, bool], ...]
    tally: tuple[int, int, Fraction]
    error: str


def _frames(path: Path, threads: int) -> _Pass:
    from extract.decoders._base import Tally
    from extract.decoders.pyav import Backend
    from tal.errors import VideoError

    tally, seen, message = Tally(), [], ""
    try:
        for frame in islice(Backend(threads=threads).frames(path, tally), MAX_FRAMES):
            digest = hashlib.blake2b(frame.rgb(), digest_size=8).hexdigest()
            seen.append((str(frame.time_s), digest, (frame.after_loss, frame.damaged)))
    except VideoError as error:
        message = str(error)
    if len(seen) == MAX_FRAMES:
        raise ValueError(f"{path}: does not end")
    times_s, digests, flags = zip(*seen, strict=True) if seen else ((), (), ())
    return _Pass(times_s, digests, flags, (tally.n_decoded, tally.n_bad_packets, tally.missing_s), message)


def _work() -> None:
    """Answer one path after the other."""
    with contextlib.suppress(ImportError):  # not on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        for reading in _examine(Path(line.rstrip("\n"))):
            print(json.dumps(asdict(reading)) if reading else ".", flush=True)


if __name__ == "__main__":
    _work()
