"""A data set of 60 videos with one instance each, and the report of it."""

from __future__ import annotations

import json
from pathlib import Path

from diagnosed import found, video

from tal.annotations import Truth, VideoTruth
from tal.diagnosis import diagnose
from tal.evaluation import evaluate
from tal.report import Page, write
from tal.report.dataset import overview
from tal.results import Results
from tal.settings import EvaluateSettings
from tal.timelines import Timeline

N_VIDEOS = 60
SETTINGS = EvaluateSettings(tiou=(0.3, 0.5, 0.7))
QUIET = "no class is likely"


def made_up(odd: str = "jump") -> tuple[Results, Truth]:
    """Return videos `clip i` with one instance each; every fifth is found at half its place, `clip 7` not at all."""
    truths: dict[str, VideoTruth] = {}
    listed = {}
    for i in range(N_VIDEOS):
        label = odd if i % 2 else "dive"
        truths[f"clip {i}"] = video((label, 10, 20), duration_s=60.0 + i, subset="")
        end_s = 16 if i % 5 == 0 else 20
        listed[f"clip {i}"] = () if i == 7 else found((label, 10, end_s, (i + 1) / 100))
    return Results(listed, {"tool": odd, "empty": {"clip 7": QUIET}}), Truth(truths)


def run_folder(folder: Path, loss: str = "class") -> Path:
    lines = [
        {"network": name, "step": 20 * i, "losses": {loss: 1.0 / i, "other": 0.001 / i}, "seconds": 1.0 * i}
        for name in ("rgb", "flow")
        for i in range(1, 30)
    ]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (folder / "config.yaml").write_text("train: {steps: 600, lr: 0.01, decay_at: [0.5]}")
    return folder


def written(folder: Path, results: Results, truth: Truth | None, run: Path | None = None) -> Path:
    real = {name: one.instances for name, one in truth.videos.items()} if truth else {}
    timelines = [
        Timeline(name, 60.0 + n, listed, real.get(name), reason="" if listed else QUIET)
        for n, (name, listed) in enumerate(results.by_video.items())
    ]
    if truth is None:
        figures = overview(results, run=run)
    else:
        evaluation, diagnosis = evaluate(results, truth, SETTINGS), diagnose(results, truth)
        figures = overview(results, truth, evaluation=evaluation, diagnosis=diagnosis, run=run)
    write(Page("A data set", timelines, figures), folder / "report.html")
    return folder / "report.html"
