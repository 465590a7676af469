"""Detections and ground truth -> why detections fail."""

from __future__ import annotations

from pathlib import Path

from tal import config
from tal import diagnosis as studies
from tal.annotations import Truth, read_truth
from tal.diagnosis import DiagnoseSettings, Diagnosis
from tal.evaluation import videosets
from tal.progress import Progress, Silent
from tal.results import Results, read_results
from tal.settings import Settings

DEFAULT_TIOU = (0.5,)


def diagnose(
    detections: Path | str | Results,
    truth: Path | str | Truth,
    settings: Settings | None = None,
    options: DiagnoseSettings | None = None,
    *,
    plots: Path | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """Tell why detections fail: kinds of errors, what fixing them would gain, and which instances are hard.

    Args:
        detections: ActivityNet-style JSON, THUMOS14 text lines, or results that were read.
        truth: ActivityNet-style JSON, a THUMOS14 folder, CSV, or truth that was read.
        settings: Its `evaluate` section counts, but for the protocol, which is always ``activitynet``; where it sets
            no thresholds, tIoU 0.5.
        options: Buckets and bounds; default: the study's for ActivityNet.
        plots: Folder for four pictures, as PNG and SVG; default: none are drawn.
        progress: Who is told.

    Raises:
        AnnotationError: If a file is not what it should be; names file and entry.
        ConfigError: If the subset or the set of videos is not known, or the subset must be named.
        StorageError: If the pictures cannot be written.
    """
    chosen = (settings or config.load()).evaluate
    if "tiou" not in chosen.model_fields_set:
        chosen = chosen.model_copy(update={"tiou": DEFAULT_TIOU})
    if chosen.videos:
        videosets.named(chosen.videos)  # a wrong name is told before anything is read
    with (progress or Silent()).task("diagnose", 3 if plots is None else 4, "steps") as bar:
        bar.advance(0, "reading detections")
        found = read_results(Path(detections)) if isinstance(detections, str | Path) else detections
        bar.advance(1, "reading ground truth")
        known = read_truth(Path(truth)) if isinstance(truth, str | Path) else truth
        bar.advance(1, "matching")
        diagnosis = studies.diagnose(found, known, chosen, options)
        if plots is not None:
            bar.advance(1, "drawing")
            from tal.diagnosis.plots import write

            write(diagnosis, plots)
        bar.advance()
    return diagnosis
