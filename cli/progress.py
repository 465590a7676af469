"""Progress on stderr: Rich bars on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cli.text import can_redraw, printable
from tal.progress import Progress, Silent, Task

PLAIN_EVERY_S = 10.0


@contextmanager
def display(quiet: bool, verbose: bool = False) -> Iterator[Progress]:
    """Yield the display that fits where stderr goes.

    Args:
        quiet: No progress, only what the user must know.
        verbose: Also details, and how long each task and the whole took.

    Raises:
        ConfigError: If both are asked for.
    """
    from tal.errors import ConfigError

    if quiet and verbose:
        raise ConfigError("--quiet and --verbose; give one of them")
    start = time.monotonic()
    if quiet:
        yield _Quiet()
    elif can_redraw(sys.stderr):
        with _bars() as bars:
            yield _OnTerminal(bars, verbose)
    else:
        yield _Plain(verbose)
    if verbose:
        print(f"done in {time.monotonic() - start:.1f} s", file=sys.stderr)


def _bars() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    return Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[amount]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
        console=Console(stderr=True),
        transient=True,
    )


def _scale(unit: str) -> tuple[float, str]:
    """Return what to multiply amounts by, and the unit that people read."""
    return (1e-6, "MB") if unit == "bytes" else (1.0, unit)


def _figure(amount: float) -> str:
    return f"{round(amount, 1):.10g}"


class _Quiet(Silent):
    def say(self, text: str) -> None:
        """Still tell what the user must know."""
        print(printable(text), file=sys.stderr)


class _Counted:
    """What was done of a task, and since when."""

    def __init__(self, title: str, total: float | None, unit: str) -> None:
        self.scale, self.unit = _scale(unit)
        self.title = printable(title)
        self.total: float | None = None
        self.done, self.start = 0.0, time.monotonic()
        if total is not None:
            self.expect(total)

    def expect(self, total: float) -> None:
        self.total = total * self.scale

    def add(self, amount: float) -> None:
        self.done += amount * self.scale

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.start

    @property
    def rate(self) -> float:
        return self.done / max(1e-3, self.elapsed_s)

    @property
    def amount(self) -> str:
        of = "" if self.total is None else f"/{_figure(self.total)}"
        return f"{_figure(self.done)}{of} {self.unit}" if self.unit else ""

    @property
    def summary(self) -> str:
        what = f"{_figure(self.done)} {self.unit} " if self.unit else ""
        return f"{self.title}: {what}in {self.elapsed_s:.1f} s"


class _Bar:
    def __init__(self, bars: Any, task: Any, counted: _Counted) -> None:
        self._bars, self._task, self._counted = bars, task, counted

    def advance(self, amount: float = 1, note: str = "") -> None:
        one = self._counted
        one.add(amount)
        more = {"note": printable(note)} if note else {}
        self._bars.update(self._task, completed=one.done, amount=f"{one.amount}  {one.rate:.1f}/s", **more)

    def expect(self, total: float) -> None:
        self._counted.expect(total)
        self._bars.update(self._task, total=self._counted.total)


class _OnTerminal:
    def __init__(self, bars: Any, verbose: bool) -> None:
        self._bars, self._verbose = bars, verbose

    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[Task]:
        one = _Counted(title, total, unit)
        task = self._bars.add_task(one.title, total=one.total, amount=one.amount, note="")
        try:
            yield _Bar(self._bars, task, one)
        finally:
            self._bars.remove_task(task)
        self.detail(one.summary)

    def say(self, text: str) -> None:
        self._bars.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def detail(self, text: str) -> None:
        if self._verbose:
            self._bars.console.print(printable(text), markup=False, highlight=False, soft_wrap=True, style="dim")


class _PlainTask:
    def __init__(self, counted: _Counted) -> None:
        self._counted, self._said = counted, counted.start

    def advance(self, amount: float = 1, note: str = "") -> None:
        self._counted.add(amount)
        now = time.monotonic()
        if now - self._said >= PLAIN_EVERY_S:
            self._said = now
            print(self._line(note), file=sys.stderr, flush=True)

    def expect(self, total: float) -> None:
        self._counted.expect(total)

    def _line(self, note: str) -> str:
        one, rate = self._counted, self._counted.rate
        left = f", {(one.total - one.done) / rate:.0f} s left" if one.total and rate else ""
        done = f"{one.amount}, {rate:.1f}/s{left}"
        return f"{one.title}: {done}" + (f" ({printable(note)})" if note else "")


class _Plain(_Quiet):
    def __init__(self, verbose: bool) -> None:
        self._verbose = verbose

    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[Task]:
        """Print a line now and then."""
        one = _Counted(title, total, unit)
        yield _PlainTask(one)
        self.detail(one.summary)

    def detail(self, text: str) -> None:
        """Print what those who asked for more want to know."""
        if self._verbose:
            self.say(text)
