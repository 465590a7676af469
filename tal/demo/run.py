"""The demo: render the videos, then run the pipeline on them as a user would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from tal import config
from tal.cache import Cache
from tal.demo.scripts import DemoOptions
from tal.demo.videos import DemoSet, render
from tal.files import shipped
from tal.pipeline import ReportOptions, RunReport, run
from tal.pipeline import report as make_report
from tal.progress import Progress

OPTIONS = DemoOptions(n_train=20, n_test=10, fps=Fraction(10))  # what two CPU cores extract in about two minutes


@dataclass(frozen=True)
class DemoReport:
    """What the demo made.

    Attributes:
        report: What the pipeline did.
        paths: What a reader may want to open, by name.
    """

    report: RunReport
    paths: Mapping[str, Path]


def run_demo(
    out: Path, files: Sequence[Path], sets: Sequence[str], cache: Cache | None = None, progress: Progress | None = None
) -> DemoReport:
    """Render the demo's videos below `out`, unless they are there, run all stages on them and write a report.

    Args:
        out: Folder for everything.
        files: YAML files laid over ``configs/demo.yaml``.
        sets: ``key=value`` settings laid over those.
        cache: Where stages' outputs are kept.
        progress: Who is told.
    """
    settings = config.load(files=[shipped("configs") / "demo.yaml", *files], sets=sets)
    data = DemoSet(out / "videos", out / "labels.csv", out / "annotations.json")
    if not data.annotations.exists():  # written last, so the videos are whole
        data = render(out, OPTIONS, progress)
    report = run(
        data.videos, data.labels, settings, annotations=data.annotations, out=out, cache=cache, progress=progress
    )
    page = make_report(
        report.run.path, out / "report.html", truth=data.annotations, videos=[data.videos],
        options=ReportOptions(title="The demo of tal"), cache=cache, progress=progress,
    )  # fmt: skip
    return DemoReport(report, {"report": page.path, **_paths(data, report)})


def _paths(data: DemoSet, report: RunReport) -> dict[str, Path]:
    return {
        "videos": data.videos,
        "labels": data.labels,
        "truth": data.annotations,
        "features": next(iter(report.extraction.shards.values())).parent,
        "model": report.run.model,
        "detections": report.detections,
        "evaluation": report.detections.with_name("evaluation.json"),
    }
