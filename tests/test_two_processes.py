"""Two processes that extract the same videos into one folder at the same time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import clips
from patience import WAIT_S

from tal import shards

SETS = ("weights=random:0", "streams=[rgb]", "fps=5", "short_side=32", "crop=0", "length=8", "stride=8")


def test_two_processes_share_the_videos_and_leave_whole_shards(tmp_path: Path) -> None:
    names = [f"v{i}" for i in range(4)]
    (tmp_path / "videos").mkdir()
    for i, name in enumerate(names):
        clips.write(tmp_path / "videos" / f"{name}.mp4", range(10 * i, 10 * i + 50), size=(48, 32))
    call = [sys.executable, "-m", "cli.app", "extract", "videos", "--json", "--quiet"]
    call += [f"--set=extract.{text}" for text in SETS] + ["--set=extract.calibration_videos=1"]
    environment = {
        **os.environ,
        "TAL_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "OMP_NUM_THREADS": "1",
    }
    both = [
        subprocess.Popen(call, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [one.communicate(timeout=WAIT_S) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    reports = [json.loads(out) for out, _ in said]
    assert sorted(reports[0]["made"] + reports[1]["made"]) == names  # each video by one of them
    for report in reports:
        assert list(report["shards"]) == names and not report["failures"]
    assert sorted(p.name for p in (tmp_path / "features").iterdir() if p.is_file()) == [
        f"{name}.safetensors" for name in names
    ]
    for name in names:
        assert shards.read(tmp_path / "features" / f"{name}.safetensors").grid.n_snippets == 1  # 10 frames at 5 fps
