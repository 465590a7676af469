"""How long an evaluation of 200,000 detections takes, per protocol, beside loops that follow the definition.

Drawn like a dense output on THUMOS14's test set: 212 videos, 3,400 instances of 20 classes, 200,000 detections, half of
them around an instance of their class, half anywhere in videos of their class; 10 thresholds, 0.1 to 0.95. Timed is
`evaluate()` from `Results` and `Truth` in memory to the finished `Evaluation` (matching, AP, recall, video mAP, frame
accuracy); reading files is not. CPU time of the one thread that works, the least of five runs.

Peer: plain loops over the same objects, as evaluation scripts are usually written, on every 20th detection, all
instances and one threshold, without recall, video mAP and frame accuracy. Its figure is that time times 200, since the
loops' work grows with detections times thresholds. Both must say the same mAP on that part.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from _plain_evaluation import plain_ap

from tal.annotations import Instance, Truth, VideoTruth
from tal.bench import Row
from tal.evaluation import evaluate
from tal.progress import Progress
from tal.results import Results
from tal.settings import EvaluateSettings
from tal.settings.protocols import PROTOCOLS
from tal.types import Detection, Segment

N_VIDEOS, N_CLASSES, N_INSTANCES, N_DETECTIONS, SHARE = 212, 20, 3_400, 200_000, 20
TIOU = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
DURATION_S = 220.0
GOAL_S = 1.0


def run(quick: bool, progress: Progress) -> list[Row]:
    """Measure each protocol."""
    truth, results = draw(20_000 if quick else N_DETECTIONS)
    part = Results({name: found[::SHARE] for name, found in results.by_video.items()})
    rows = []
    with progress.task("evaluation", len(PROTOCOLS), "protocols") as bar:
        for name in PROTOCOLS:
            rows += _measure(name, truth, results, part, quick)
            bar.advance(1, name)
    return rows


def _measure(name: str, truth: Truth, results: Results, part: Results, quick: bool) -> list[Row]:
    whole, single = EvaluateSettings(protocol=name, tiou=TIOU), EvaluateSettings(protocol=name, tiou=(0.5,))
    seconds = min(_seconds(lambda: evaluate(results, truth, whole)) for _ in range(1 if quick else 5))
    plain: list[float] = []
    plain_seconds = _seconds(lambda: plain.extend(plain_ap(truth, part, name, 0.5, c) for c in truth.classes))
    apart = abs(float(np.mean(plain)) - evaluate(part, truth, single).average)
    n = sum(len(found) for found in results.by_video.values())
    what = f"{name}: {n} detections, {N_INSTANCES} instances, {len(TIOU)} thresholds"
    met = None if quick else seconds < GOAL_S
    return [
        Row(what, seconds, "s", plain_seconds * SHARE * len(TIOU), f"< {GOAL_S:g} s", met),
        Row(f"{name}: difference to plain loops, mAP at 0.5", 100 * apart, "%", goal="0", met=apart < 1e-9),
    ]


def _seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def draw(n_detections: int, seed: int = 0) -> tuple[Truth, Results]:
    """Draw ground truth and detections; times in seconds."""
    rng = np.random.default_rng(seed)
    home = rng.integers(N_CLASSES, size=N_VIDEOS)  # most videos show one class
    video = np.sort(rng.integers(N_VIDEOS, size=N_INSTANCES))
    label = np.where(rng.random(N_INSTANCES) < 0.9, home[video], rng.integers(N_CLASSES, size=N_INSTANCES))
    start = rng.random(N_INSTANCES) * DURATION_S
    length = rng.gamma(2.0, 2.0, N_INSTANCES) + 0.3
    truth = _truth(video, label, start, start + length)
    of = np.sort(rng.integers(N_INSTANCES, size=n_detections))
    near = rng.random(n_detections) < 0.5
    first = np.where(near, start[of] + rng.normal(0, 2, n_detections), rng.random(n_detections) * DURATION_S)
    first = np.maximum(first, 0)
    spans = np.where(near, length[of] * rng.uniform(0.5, 2, n_detections), rng.gamma(2, 4, n_detections))
    labels = np.where(near, label[of], home[video[of]])
    found: dict[str, list[Detection]] = {name: [] for name in truth.videos}
    columns = (video[of], labels, first, first + spans, rng.random(n_detections))
    for v, c, s, e, score in zip(*(column.tolist() for column in columns), strict=True):
        found[f"video_{v:04d}"].append(Detection(f"class {c}", Segment(s, e), score))
    return truth, Results({name: tuple(listed) for name, listed in found.items()})


def _truth(video: np.ndarray, label: np.ndarray, start: np.ndarray, end: np.ndarray) -> Truth:
    """Return the ground truth; every fifth video has ambiguous time."""
    real: dict[str, list[Instance]] = {f"video_{n:04d}": [] for n in range(N_VIDEOS)}
    for v, c, s, e in zip(video.tolist(), label.tolist(), start.tolist(), end.tolist(), strict=True):
        real[f"video_{v:04d}"].append(Instance(f"class {c}", Segment(s, e)))
    vague = (Segment(DURATION_S / 2, DURATION_S / 2 + 3),)
    return Truth(
        {name: VideoTruth(2 * DURATION_S, "test", tuple(listed), vague if n % 5 == 0 else ())
         for n, (name, listed) in enumerate(real.items())}
    )  # fmt: skip
