"""The whole path on real pixels: mAP of `tal run` on untrimmed Weizmann videos with random I3D weights.

40 training and 20 test videos are composed of real clips of people performing 8 labelled actions (two more serve as
background); test people are not in training. Features come from randomly initialised I3D networks whose BatchNorm
statistics are calibrated on the first videos, so this shows that decode, flow, I3D, training, localization and
evaluation carry signal, not what Kinetics weights would reach. Peer: the same localizer on uniformly random scores,
mean of 5 draws. `--quick`: 6 and 3 videos at a lower rate, smaller frames, short training: a check that it runs, too
small for its figures to mean anything. Features and models are kept under the cache folder, so a second measurement
is quick.
"""

from __future__ import annotations

import numpy as np
from _data import weizmann

import tal
from tal import config, localization, shards
from tal.annotations import Truth, read_truth
from tal.bench import Row
from tal.cache import Cache
from tal.evaluation import Evaluation
from tal.pipeline import RunReport
from tal.progress import Progress
from tal.results import Results
from tal.settings import LocalizeSettings, Settings
from tal.types import Activations

SNIPPETS = ["extract.crop=0", "extract.length=8", "extract.stride=4"]
# Stream, weight decay and threshold rule were chosen by localizing the training videos, never the test people.
CHOSEN = ["train.fusion=flow", "train.weight_decay=0.01", "localize.rule=max", "localize.thresholds=[0.3]"]
FULL = [*SNIPPETS, *CHOSEN, "extract.short_side=64", "extract.fps=12.5", "train.steps=1000", "train.n_snippets=64"]
QUICK = [*SNIPPETS, *CHOSEN, "extract.short_side=36", "extract.fps=3", "train.steps=300", "train.n_snippets=48"]
DRAWS = 5


def run(quick: bool, progress: Progress) -> list[Row]:
    """Run the pipeline and the random baseline on the test people."""
    settings = config.load(sets=[*(QUICK if quick else FULL), "extract.weights=random:0"])
    cache = Cache()
    folder = cache.root / "bench" / ("weizmann-quick" if quick else "weizmann")
    data = folder / "data"
    if not (data / "labels.csv").exists():  # written last
        weizmann(data, *((6, 3) if quick else (40, 20)))
    truth = data / "annotations.json"
    report = tal.run(
        data / "videos", data / "labels.csv", settings, annotations=truth, out=folder, cache=cache, progress=progress
    )
    random = [_random(report, read_truth(truth), settings, seed) for seed in range(DRAWS)]
    ours = report.evaluation
    if ours is None:
        raise ValueError("the run was not evaluated")
    rows = [
        Row(f"mAP at tIoU {t:g}", 100 * ours.map[i], "%", 100 * float(np.mean([r.map[i] for r in random])))
        for i, t in enumerate(ours.tiou)
    ]
    peer = 100 * float(np.mean([r.average for r in random]))
    goal, met = ("", None) if quick else ("above random", 100 * ours.average > peer)
    return [*rows, Row("mAP, average", 100 * ours.average, "%", peer, goal, met)]


def _random(report: RunReport, truth: Truth, settings: Settings, seed: int) -> Evaluation:
    """Evaluate the localizer on snippets that are scored at random."""
    rng, classes = np.random.default_rng(seed), report.run.classes
    cutting = LocalizeSettings(class_threshold=0.0, thresholds=(0.5,), score="signal", scale=1)
    found = {}
    for name, path in report.extraction.shards.items():
        about = shards.header(path)
        values = rng.random((about.grid.n_snippets, len(classes)), np.float32)
        one = Activations(values, np.ones(len(classes), np.float32), values, np.ones(len(values), np.float32))
        found[name] = localization.localize({"rgb": one}, about.grid, classes, cutting, about.duration_s).detections
    chosen = settings.evaluate.model_copy(update={"subset": "test"})
    return tal.evaluate(Results(found), truth, settings.model_copy(update={"evaluate": chosen}))
