"""How fast the command line answers: help, import, a run with nothing to do, a changed threshold.

The data are rendered by the demo; times are the least of several runs, since other work only adds to them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

from _process import tal

from tal.bench import Row
from tal.progress import Progress

SMALL = ["--weights", "random:0", "--set", "extract.short_side=32", "--set", "extract.crop=0", "--set", "extract.fps=5"]
TRAINING = ["--set", "train.steps=50", "--set", "extract.length=8", "--set", "extract.stride=8", "--quiet"]


def run(quick: bool, progress: Progress) -> list[Row]:
    """Measure each command several times."""
    times = 3 if quick else 7
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        least = min(tal("--help", cwd=work, cache=work / "cache").seconds for _ in range(times))
        rows = [Row("tal --help", least, "s", goal="< 0.4 s", met=least < 0.4)]
        loaded = _loaded_by_import()
        rows.append(Row("heavy modules loaded by import tal", loaded, "modules", goal="0", met=loaded == 0))
        return rows + _chain(work, times, progress)


def _loaded_by_import() -> int:
    code = "import sys, tal; print(sum(m in sys.modules for m in ('torch', 'cv2', 'av', 'numpy', 'decord')))"
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)


def _chain(work: Path, times: int, progress: Progress) -> list[Row]:
    from tal.demo.scripts import DemoOptions
    from tal.demo.videos import render

    data = render(work, DemoOptions(n_train=6, n_test=5, fps=Fraction(5)), progress)
    command = ["run", str(data.videos), "-l", str(data.labels), "-a", str(data.annotations), "-o", str(work / "out")]
    command += [*SMALL, *TRAINING]

    def measure(*more: str) -> float:
        return tal(*command, *more, cwd=work, cache=work / "cache").seconds

    first = measure()
    before = _made(work)
    second = min(measure() for _ in range(times))
    remade = len(_made(work) - before)
    changed = measure("--set", "localize.thresholds=[0.31]")
    stages = sorted({path.parts[-4] for path in _made(work) - before})
    only = set(stages) <= {"evaluate", "localize"} and "localize" in stages
    return [
        Row("first tal run", first, "s"),
        Row("second tal run", second, "s", first, "< 3 s", second < 3),
        Row("entries remade by the second run", remade, "entries", goal="0", met=remade == 0),
        Row("tal run after a threshold changed", changed, "s", first),
        Row(f"stages remade: {', '.join(stages)}", len(stages), "stages", goal="only localize, evaluate", met=only),
    ]


def _made(work: Path) -> set[Path]:
    """Return everything that a stage left behind: cache entries and shards with their modification times."""
    shards = {p / str(p.stat().st_mtime_ns) / "x" / "x" for p in (work / "out" / "features").glob("*.safetensors")}
    return set((work / "cache").glob("*/??/*/entry.json")) | shards
