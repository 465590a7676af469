"""Progress on stderr: Rich bars on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cli.text import printable
from tal.progress import Progress, Silent, Task

PLAIN_EVERY_S = 10.0


@contextmanager
def display(quiet: bool) -> Iterator[Progress]:
    """Yield the display that fits where stderr goes."""
    if quiet:
        yield _Quiet()
    elif sys.stderr.isatty():
        with _bars() as bars:
            yield _OnTerminal(bars)
    else:
        yield _Plain()


def _bars() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    return Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}  {task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
        console=Console(stderr=True),
        transient=True,
    )


class _Quiet(Silent):
    def say(self, text: str) -> None:
        """Still tell what the user must know."""
        print(printable(text), file=sys.stderr)


class _Bar:
    def __init__(self, bars: Any, task: Any) -> None:
        self._bars, self._task, self._start, self._done = bars, task, time.monotonic(), 0.0

    def advance(self, amount: float = 1, note: str = "") -> None:
        self._done += amount
        rate = f"{self._done / max(1e-3, time.monotonic() - self._start):.1f}/s"
        self._bars.update(self._task, advance=amount, rate=rate, **({"note": printable(note)} if note else {}))


class _OnTerminal:
    def __init__(self, bars: Any) -> None:
        self._bars = bars

    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[Task]:
        task = self._bars.add_task(printable(title), total=total, unit=unit, rate="", note="")
        try:
            yield _Bar(self._bars, task)
        finally:
            self._bars.remove_task(task)

    def say(self, text: str) -> None:
        self._bars.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


class _PlainTask:
    def __init__(self, title: str, total: float | None, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done, self._start = 0.0, time.monotonic()
        self._said = self._start

    def advance(self, amount: float = 1, note: str = "") -> None:
        self._done += amount
        now = time.monotonic()
        if now - self._said >= PLAIN_EVERY_S:
            self._said = now
            print(self._line(now - self._start, note), file=sys.stderr, flush=True)

    def _line(self, elapsed_s: float, note: str) -> str:
        rate = self._done / max(1e-3, elapsed_s)
        of, left = "", ""
        if self._total:
            of = f"/{self._total:g}"
            left = f", {(self._total - self._done) / rate:.0f} s left" if rate else ""
        done = f"{self._done:g}{of} {self._unit}, {rate:.1f}/s{left}"
        return f"{printable(self._title)}: {done}" + (f" ({printable(note)})" if note else "")


class _Plain(_Quiet):
    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[Task]:
        """Print a line now and then."""
        yield _PlainTask(title, total, unit)
