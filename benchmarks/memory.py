"""Peak memory of extraction against the length of the video.

A real clip is looped to 640x360 at 25 fps, 2 hours against 2 minutes. Both streams are extracted at 25 fps, every
frame and every pair, from frames scaled to a short side of 32 px: the decoder sees the full size, and flow and I3D end
in minutes. Peer: the short video. ``TAL_BENCH_SECONDS=1800`` takes another length for the long one; 2 hours take half
an hour on two cores. `--quick`: 2 minutes against 20 seconds, RGB only.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from _data import SHARED, loop, need
from _process import tal

from tal.bench import Row
from tal.progress import Progress

GOAL = 1.2
SMALL = ["--weights", "random:0", "--set", "extract.short_side=32", "--set", "extract.crop=0", "--quiet"]


def run(quick: bool, progress: Progress) -> list[Row]:
    """Extract both videos, each in its own process, and compare peak memory."""
    lengths_s = (20, 120) if quick else (120, int(os.environ.get("TAL_BENCH_SECONDS", "7200")))
    extra = ["--set", "extract.streams=[rgb]"] if quick else []
    with tempfile.TemporaryDirectory() as folder, progress.task("memory", 2, "videos") as bar:
        work, peaks = Path(folder), []
        for seconds in lengths_s:
            clip = need(SHARED / "data" / "actions" / "single" / "mmaction2_demo.mp4")
            video = loop(clip, work / f"{seconds}.mp4", seconds)
            out = ["--out", str(work / f"features{seconds}")]
            peaks.append(tal("extract", str(video), *out, *SMALL, *extra, cwd=work, cache=work / "cache").peak_mib)
            bar.advance(1, f"{seconds} s of video")
    short, long = peaks
    name = f"peak memory, {lengths_s[1]} s of video against {lengths_s[0]} s"
    return [Row(name, long, "MiB", short, f"ratio <= {GOAL}", long / short <= GOAL)]
