"""How large the report of a 30-minute video with 20 classes is, and how soon it can be used in Chromium.

Two networks with CAS, signal and attention over 2,812 snippets (25 frames per second, stride 16), 1,000 detections and
200 true instances of 20 classes; a second report is that of 200 such videos of three minutes. No video is embedded and
there are no thumbnails. Times are the browser's own, from the start of the navigation to the frame after the page is
built, in a browser that has opened a page before; the least of several, since other work only adds to them.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tal.annotations import Instance
from tal.bench import Row
from tal.errors import BackendError
from tal.progress import Progress
from tal.report import Page, write
from tal.timelines import Curves, Timeline
from tal.types import Detection, Segment

LABELS = tuple(f"class {k}" for k in range(20))
GOAL_MB, GOAL_S = 3.0, 1.0
INTERACTIVE = "performance.getEntriesByName('tal-interactive').map((mark) => mark.startTime)"


def run(quick: bool, progress: Progress) -> list[Row]:
    """Measure size, writing and time until the page can be used."""
    n_videos, times = (20, 3) if quick else (200, 9)
    rows = []
    with tempfile.TemporaryDirectory() as folder, progress.task("report", 2, "reports") as bar:
        for what, name, minutes, n in (
            ("30 minutes, 20 classes", "one", 30, 1),
            (f"{n_videos} videos", "all", 3, n_videos),
        ):
            path = Path(folder) / f"{name}.html"
            timelines = list(_timelines(n, minutes))
            start = time.process_time()
            write(Page(what, timelines), path)
            seconds, megabytes = time.process_time() - start, path.stat().st_size / 1e6
            single = n == 1
            rows += [
                _row(f"{what}: size", megabytes, "MB", GOAL_MB if single else None),
                _row(f"{what}: writing, CPU", seconds, "s", None),
                _row(f"{what}: until it can be used", _interactive_s(path, times), "s", GOAL_S),
            ]
            bar.advance(1, what)
    return rows


def _row(name: str, value: float, unit: str, goal: float | None) -> Row:
    if goal is None:
        return Row(name, value, unit)
    return Row(name, value, unit, goal=f"< {goal:g} {unit}", met=value < goal)


def _interactive_s(path: Path, times: int) -> float:
    """Return the least time until the page can be used, seconds."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise BackendError("the benchmark needs a browser; install 'playwright' (extra dev) and chromium") from error
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        raise BackendError("the benchmark needs a browser; install 'chromium'")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        return min(_opened_s(page, path) for _ in range(times))


def _opened_s(page: Any, path: Path) -> float:
    page.goto("about:blank")
    page.goto(path.as_uri())
    while not (found := page.evaluate(INTERACTIVE)):
        page.wait_for_timeout(10)
    return float(found[0]) / 1000


def _timelines(n: int, minutes: int) -> Iterator[Timeline]:
    rng = np.random.default_rng(0)
    for k in range(n):
        yield _timeline(f"video_{k:04d}", 60.0 * minutes, rng)


def _timeline(name: str, duration_s: float, rng: np.random.Generator) -> Timeline:
    t = int(duration_s * 25) // 16
    n_found, n_real = round(duration_s / 1.8), round(duration_s / 9)
    found = (
        Detection(LABELS[k % 20], _segment(rng, duration_s), float(score))
        for k, score in enumerate(rng.random(n_found))
    )
    real = tuple(Instance(LABELS[k % 20], _segment(rng, duration_s)) for k in range(n_real))
    both = {network: _curves(t, rng) for network in ("rgb", "flow")}
    return Timeline(name, duration_s, tuple(sorted(found, key=lambda d: -d.score)), real, both)


def _segment(rng: np.random.Generator, duration_s: float) -> Segment:
    start_s = rng.uniform(0, duration_s - 10)
    return Segment(start_s, start_s + rng.uniform(1, 10))


def _curves(t: int, rng: np.random.Generator) -> Curves:
    def drawn() -> Any:
        return rng.normal(size=t).astype(np.float32)

    times_s = (np.arange(t) + 0.5) * 16 / 25
    return Curves(times_s, {label: drawn() for label in LABELS}, {label: drawn() for label in LABELS}, drawn())
