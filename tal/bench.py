"""Benchmarks of one form: ours and a peer measured in the same run, as a table or JSON.

A benchmark is a file ``benchmarks/NAME.py`` with a docstring and ``run(quick, progress) -> list[Row]``; it is
``NAME_.py`` where NAME is also a package, which scripts in that folder would no longer find.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tal.errors import ConfigError, suggest
from tal.files import shipped
from tal.progress import Progress


@dataclass(frozen=True)
class Row:
    """One measured figure.

    Attributes:
        name: What was measured.
        ours: Our figure.
        peer: The peer's figure, if there is one.
        unit: Unit of both.
        goal: What was aimed at, in words.
        met: Whether it was reached; None where there is no goal.
    """

    name: str
    ours: float
    unit: str
    peer: float | None = None
    goal: str = ""
    met: bool | None = None

    @property
    def ratio(self) -> float | None:
        """Ours over the peer's."""
        return self.ours / self.peer if self.peer else None


@dataclass(frozen=True)
class Result:
    """All figures of a benchmark and the machine they come from."""

    benchmark: str
    machine: str
    rows: Sequence[Row]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        rows = [{**asdict(row), "ratio": row.ratio} for row in self.rows]
        return {"benchmark": self.benchmark, "machine": self.machine, "rows": rows}

    def cells(self) -> list[list[str]]:
        """Return the table's rows."""
        met = {None: "", True: "yes", False: "no"}
        return [
            [r.name, _figure(r.ours), _figure(r.peer), _figure(r.ratio), r.unit, r.goal, met[r.met]] for r in self.rows
        ]


def available() -> dict[str, str]:
    """Return every benchmark's name and the first line of its docstring."""
    found = {}
    for path in sorted(shipped("benchmarks").glob("[!_]*.py")):
        about = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[path.stem.rstrip("_")] = about.partition("\n")[0]
    return found


def run(name: str, quick: bool, progress: Progress) -> Result:
    """Run one benchmark.

    Raises:
        ConfigError: If there is none of that name.
    """
    if name not in available():
        raise ConfigError(f"unknown benchmark '{name}'{suggest(name, available())}")
    folder = shipped("benchmarks")
    (path,) = (folder / f"{name}{end}.py" for end in ("", "_") if (folder / f"{name}{end}.py").exists())
    return Result(name, machine(), _load(path)(quick, progress))


def _load(path: Path) -> Callable[[bool, Progress], list[Row]]:
    spec = importlib.util.spec_from_file_location(f"tal_benchmark_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # data classes look their module up there
    sys.path.append(str(path.parent))  # benchmarks share helpers beside them
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    measure: Callable[[bool, Progress], list[Row]] = module.run
    return measure


def machine() -> str:
    """Describe this machine in a few words."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
