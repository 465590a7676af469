"""The readers of what strangers write, under changed files: inputs a second, and what was found, which must be nothing.

Each reader of ``_parsers.py`` runs in a process of its own, with 3 GiB of room and 20 s for an input. With atheris
(``pip install tal[fuzz]``) the changes are led by the code that an input reaches; without it they are made at random.
``TAL_FUZZ_MINUTES=60`` takes another time for all readers together, 10 minutes by default; ``TAL_FUZZ_ONLY=npy,config``
some of them. An input that a reader fails at is kept under ``TAL_FUZZ_KEEP``, or the folder of temporary files.
`--quick`: 2 s for each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from _parsers import PARSERS

from tal.bench import Row
from tal.errors import ConfigError, suggest
from tal.progress import Progress

START_S = 120
"""What a process may take beside its time: importing PyTorch, making good files, one slow input."""


def run(quick: bool, progress: Progress) -> list[Row]:
    """Try all readers one after the other."""
    names = [name for name in os.environ.get("TAL_FUZZ_ONLY", "").split(",") if name] or sorted(PARSERS)
    for name in names:
        if name not in PARSERS:
            raise ConfigError(f"TAL_FUZZ_ONLY: unknown reader '{name}'{suggest(name, PARSERS)}")
    seconds = 2.0 if quick else 60 * float(os.environ.get("TAL_FUZZ_MINUTES", "10")) / len(names)
    keep = Path(os.environ.get("TAL_FUZZ_KEEP", tempfile.gettempdir()))
    guided = find_spec("atheris") is not None
    progress.say(f"{'led by coverage' if guided else 'at random: atheris is not installed'}; findings go to {keep}")
    rows, n_all, n_found = [], 0, 0
    with progress.task("fuzz", len(names), "readers") as bar:
        for name in names:
            n_inputs, finding = _one(name, seconds, guided, keep)
            if finding:
                progress.say(f"{name}: {finding}")
            rows.append(
                Row(f"{name}, inputs in {seconds:g} s", float(n_inputs), "inputs", goal="no finding", met=not finding)
            )
            n_all, n_found = n_all + n_inputs, n_found + bool(finding)
            bar.advance(1, name)
    return [
        *rows,
        Row("all inputs", float(n_all), "inputs"),
        Row("readers with findings", float(n_found), "", goal="0", met=not n_found),
    ]


def _one(name: str, seconds: float, guided: bool, keep: Path) -> tuple[int, str]:
    """Run one reader; return how many inputs it got, and what was found, empty for nothing."""
    script = Path(__file__).with_name("_fuzz_one.py")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(script), name, str(seconds), folder, str(keep), "guided" if guided else "random"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + START_S, check=False)
        except subprocess.TimeoutExpired:
            return 0, f"hung, or took {START_S} s more than it was given"
        told = Path(folder) / "told.json"
        values = json.loads(told.read_text()) if told.exists() else {"n": 0, "finding": "died"}
        if done.returncode and not values["finding"]:
            values["finding"] = (done.stderr.strip().splitlines() or ["died"])[-1][:200]
    return values["n"], values["finding"]
