"""Real commands on one folder, with real engines, of which one is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import clips
import halted
import small
from patience import WAIT_S, until

from tal import shards
from tal.cache import Cache
from tal.ledger import Ledger
from tal.pipeline import extract

SETS = ("extract.streams=[rgb]", "extract.fps=5", "extract.stride=8", "extract.calibration_videos=1", "runtime.batch=1")
NAMES = [f"v{i:02}" for i in range(12)]
IN_FLIGHT = 6
TAL = "from cli.app import main; main()"


def content(folder: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in folder.glob(f"*{shards.SUFFIX}")}


def inodes(folder: Path) -> dict[str, int]:
    return {path.stem: path.stat().st_ino for path in folder.glob(f"*{shards.SUFFIX}")}


def start(folder: Path, code: str = TAL) -> subprocess.Popen[str]:
    given = [f"--set={text}" for text in (*small.SETS, *SETS) if text.startswith(("extract.", "runtime."))]
    here = {**os.environ, "TAL_CACHE": str(folder / "cache"), "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-c", code, "extract", "videos", "-o", "shared", "--json", "--quiet", *given],
        cwd=folder,
        env={**here, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_of_two_commands_on_one_folder_one_is_killed_and_the_other_takes_over(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    for i, name in enumerate(NAMES):
        clips.write(tmp_path / "videos" / f"{name}.mp4", range(10 * i, 10 * i + 300), size=(48, 32))
    settings = small.settings(*SETS)
    extract(tmp_path / "videos", tmp_path / "alone", settings, cache=Cache(tmp_path / "cache"))
    killed = start(tmp_path, halted.before("tal.shards", 1) + TAL)  # it has a video, and never makes its shard
    until(lambda: content(tmp_path / "shared"), lambda: killed.poll() is None)
    other = start(tmp_path)
    until(lambda: len(content(tmp_path / "shared")) > 1, lambda: other.poll() is None)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    finished = inodes(tmp_path / "shared")
    out, said = other.communicate(timeout=WAIT_S)
    assert (killed.returncode, other.returncode) == (-signal.SIGKILL, 0), said
    assert 0 < len(finished) < len(NAMES)
    report = json.loads(out)
    assert list(report["shards"]) == NAMES and not report["failures"]
    assert finished.items() <= inodes(tmp_path / "shared").items()
    assert not list((tmp_path / "shared").glob(".*.part"))
    assert content(tmp_path / "shared") == content(tmp_path / "alone")
    with Ledger(tmp_path / "shared") as ledger:
        assert sum(one.attempts for one in ledger.records().values()) <= len(NAMES) + IN_FLIGHT
