"""The first notebook runs, from rendered videos to a timeline and an mAP; what is stored in it is small and whole."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

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


def test_the_notebook_runs(tmp_path: Path) -> None:
    pytest.importorskip("nbclient", reason="needs nbclient")
    code = (
        "import sys, nbformat, nbclient\n"
        "notebook = nbformat.read(sys.argv[1], as_version=4)\n"
        "resources = {'metadata': {'path': sys.argv[2]}}\n"
        "nbclient.NotebookClient(notebook, timeout=300, kernel_name='python3', resources=resources).execute()\n"
        "nbformat.write(notebook, sys.argv[3])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(PATH), str(tmp_path), str(tmp_path / "ran.ipynb")],
        env={**os.environ, "IPYTHONDIR": str(tmp_path / "ipython"), "JUPYTER_RUNTIME_DIR": str(tmp_path / "jupyter")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    check(nbformat.read(tmp_path / "ran.ipynb", as_version=4))
