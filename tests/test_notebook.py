"""The first notebook runs, from rendered videos to a timeline and an mAP; what is stored in it is small and whole."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from patience import WAIT_S

nbformat = pytest.importorskip("nbformat", reason="needs nbformat")

PATH = Path(__file__).parents[1] / "docs/notebooks/first-steps.ipynb"


def read() -> Any:
    return nbformat.read(PATH, as_version=4)


def shown(notebook: Any) -> list[str]:
    """Return what code cells show, HTML before text."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            found.append("".join(data.get("text/html") or data.get("text/plain") or output.get("text", "")))
    return found


def check(notebook: Any) -> None:
    """A timeline with truth and attention, tables of the stages, and a mean average precision that is not nothing."""
    text = "\n".join(shown(notebook))
    (timeline,) = (one for one in shown(notebook) if "<svg" in one)
    assert "truth, " in timeline and "score " in timeline and ">attention<" in timeline
    assert "did you mean 'train.steps'?" in text
    for words in ("15 shards", "trained model", "activitynet protocol, subset test: 5 videos"):
        assert words in text
    (average,) = re.findall(r"average mAP ([0-9.]+) %", text)
    assert 2 < float(average) <= 100


def test_what_is_stored_is_small_and_whole() -> None:
    notebook = read()
    nbformat.validate(notebook)
    assert PATH.stat().st_size < 100_000
    check(notebook)
    kinds = {output["output_type"] for cell in notebook.cells for output in cell.get("outputs", [])}
    assert "error" not in kinds
    text = PATH.read_text()
    assert "/home/" not in text and "/tmp" not in text and "/root" not in text


RUN = f"""
import sys, nbformat, nbclient
from traitlets.config import Config
notebook = nbformat.read(sys.argv[1], as_version=4)
options = dict(timeout=4 * {WAIT_S}, startup_timeout={WAIT_S}, kernel_name="python3")
place = {{"transport": "ipc", "ip": sys.argv[4]}}  # a port that was free may be taken when it is used
options["config"] = Config(KernelManager=place)
nbclient.NotebookClient(notebook, resources={{"metadata": {{"path": sys.argv[2]}}}}, **options).execute()
nbformat.write(notebook, sys.argv[3])
"""


def test_the_notebook_runs(tmp_path: Path) -> None:
    pytest.importorskip("nbclient", reason="needs nbclient")
    with TemporaryDirectory() as short:  # names of sockets have at most 107 bytes
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(PATH), str(tmp_path), str(tmp_path / "ran.ipynb"), f"{short}/kernel"],
            env={**os.environ, "IPYTHONDIR": str(tmp_path / "ipython"), "JUPYTER_RUNTIME_DIR": short},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    check(nbformat.read(tmp_path / "ran.ipynb", as_version=4))
