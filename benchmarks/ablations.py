"""The papers' main ablations on features drawn on THUMOS14's real annotations: does what helped them help here?

The tables of ``configs/ablations`` that carry each paper's claims, on data seed 0, three trainings per row with shipped
settings; mAP at the table's tIoU under the ActivityNet protocol. Peers are the papers' numbers on real features, often
of another network, so that only the order of a table's rows can be compared: it is counted in pairs of means. Trainings
are kept in the cache, so an interrupted measurement goes on. ``TAL_BENCH_SEEDS=2`` takes fewer trainings per row,
``TAL_BENCH_METHODS=stpn,cmcs`` fewer methods. `--quick`: one training of 30 updates per row: a check that it runs.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from _thumos import ANNOTATIONS, World, world

from tal import config, pipeline
from tal.bench import Row
from tal.pipeline.ablation_reports import TableReport
from tal.progress import Progress
from tal.settings import Settings

TABLES = {
    "stpn": ("figure 5",),
    "cmcs": ("table 4",),
    "ecm": ("table 4",),
    "cpmn": ("table 3",),
    "assg": ("table 1", "table 2"),
    "best": ("one left out",),
}


def run(quick: bool, progress: Progress) -> list[Row]:
    """Run the tables."""
    data, rows = world(0), []
    n_seeds = 1 if quick else int(os.environ.get("TAL_BENCH_SEEDS", "3"))
    wanted = os.environ.get("TAL_BENCH_METHODS", ",".join(TABLES)).split(",")
    with TemporaryDirectory() as folder:
        labels = _labels(data, Path(folder))
        for name in wanted:
            report = pipeline.ablate(
                data.folder, labels, ANNOTATIONS, _settings(name, quick),
                rows=TABLES[name], n_seeds=n_seeds, progress=progress,
            )  # fmt: skip
            rows += [row for table in report.tables for row in _rows(name, table, quick)]
    return rows


def _settings(name: str, quick: bool) -> Settings:
    steps = 30 if quick else config.load(name).train.steps
    shared = {"train.last": 3, "train.last_every": max(1, steps // 20)}  # as in `tal bench methods`, trained once
    return config.load(name, options={"train.steps": steps, "evaluate.protocol": "activitynet", **shared})


def _labels(data: World, folder: Path) -> Path:
    path = folder / "labels.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("video", "label"))
        rows.writerows((video, label) for video, found in data.labels.by_video.items() for label in found)
    return path


def _rows(method: str, one: TableReport, quick: bool) -> Iterator[Row]:
    where = f"{method}, {one.table.source}"
    for row in one.rows:
        if row.error:
            raise RuntimeError(f"{where}, {row.row.name}: {row.error}")
        average = 100 * sum(row.average) / len(row.average)
        yield Row(f"{where}: {row.row.name}, {one.table.metric}", 100 * sum(row.map) / len(row.map), "%", row.row.paper)
        if row.deviation is not None:
            yield Row(f"{where}: {row.row.name}, deviation", 100 * row.deviation, "%")
        yield Row(f"{where}: {row.row.name}, average", average, "%")
    if n := len(one.compared):
        kept = n - len(one.otherwise)
        yield Row(f"{where}: pairs in the paper's order", kept, "pairs", n, "all", None if quick else kept == n)
