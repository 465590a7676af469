"""Commands that come to a halt before they are done: a test can end them in the middle, however late it comes."""

from __future__ import annotations

import importlib
import itertools
import sys
import time
from pathlib import Path
from typing import Any


def before(module: str, n_done: int) -> str:
    """Return code at whose end a command waits for ever where it has called a module's `write` so many times."""
    here = str(Path(__file__).parent)
    return f"import sys; sys.path.append({here!r}); import halted; halted.install({module!r}, {n_done})\n"


def install(module: str, n_done: int) -> None:
    """Halt this process, and the children in which it extracts."""
    from tal.pipeline import supervising

    paths = f"import sys; sys.path[:] = {sys.path!r}; import halted; halted.halt({module!r}, {n_done})\n"
    command = [sys.executable, "-c", f"{paths}from tal.pipeline import worker; worker.main()"]
    supervising._command = lambda: command
    halt(module, n_done)


def halt(module: str, n_done: int) -> None:
    """Let calls of a module's `write` wait for ever once there were so many."""
    target: Any = importlib.import_module(module)
    write, calls = target.write, itertools.count()

    def halting(*given: Any) -> Any:
        while next(calls) >= n_done:
            time.sleep(0.05)  # not long: a signal that comes just before is heard after it
        return write(*given)

    target.write = halting
