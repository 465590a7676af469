"""Detections and ground truth -> mAP."""

from __future__ import annotations

from pathlib import Path

from tal import config
from tal import evaluation as protocols
from tal.annotations import Truth, read_truth
from tal.evaluation import Evaluation, videosets
from tal.progress import Progress, Silent
from tal.results import Results, read_results
from tal.settings import Settings


def evaluate(
    detections: Path | str | Results,
    truth: Path | str | Truth,
    settings: Settings | None = None,
    *,
    progress: Progress | None = None,
) -> Evaluation:
    """Compare detections with ground truth under a named protocol.

    Args:
        detections: ActivityNet-style JSON, THUMOS14 text lines, or results that were read.
        truth: ActivityNet-style JSON, a THUMOS14 folder, or truth that was read.
        settings: Its `evaluate` section counts; default: ActivityNet protocol, tIoU 0.1:0.7:0.1.
        progress: Who is told.

    Raises:
        AnnotationError: If a file is not what it should be; names file and entry.
        ConfigError: If the subset or the set of videos is not known, or the subset must be named.
    """
    chosen = (settings or config.load()).evaluate
    if chosen.videos:
        videosets.named(chosen.videos)  # a wrong name is told before anything is read
    with (progress or Silent()).task("evaluate", 3, "steps") as bar:
        bar.advance(0, "reading detections")
        found = read_results(Path(detections)) if isinstance(detections, str | Path) else detections
        bar.advance(1, "reading ground truth")
        known = read_truth(Path(truth)) if isinstance(truth, str | Path) else truth
        bar.advance(1, "matching")
        evaluation = protocols.evaluate(found, known, chosen)
        bar.advance()
    return evaluation
