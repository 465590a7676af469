"""Features on THUMOS14's real annotations as shards: what a method reaches on them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tal import pipeline, shards
from tal.annotations import Labels, Truth, read_truth
from tal.cache import Cache
from tal.errors import InputError
from tal.evaluation import Evaluation, evaluate
from tal.files import sha256_file
from tal.pipeline.context import context
from tal.pipeline.learning import Run
from tal.pipeline.localizing import localize_shards
from tal.progress import Progress
from tal.settings import Settings
from tal.types import Features, SnippetGrid

SHARED = Path(__file__).resolve().parents[2] / "shared"
GENERATOR = SHARED / "bench" / "thumos_like.py"
ANNOTATIONS = SHARED / "data" / "annotations" / "thumos14.json"


@dataclass(frozen=True)
class World:
    """One seed of the generator: shards of all videos, labels to train on, ground truth to test with.

    Attributes:
        folder: Where the shards lie.
        labels: What happens somewhere in each training video.
        tests: Names of the test videos.
        truth: Ground truth of all.
    """

    folder: Path
    labels: Labels
    tests: tuple[str, ...]
    truth: Truth


def world(seed: int, dim: int = 256, cache: Cache | None = None) -> World:
    """Make the features of a seed, or find them where they were made before.

    Raises:
        InputError: If the generator and the annotations are not at hand.
    """
    if not GENERATOR.exists():
        raise InputError(f"{GENERATOR}: not there; this benchmark needs the generator and THUMOS14's annotations")
    root = (cache or Cache()).root / "bench"
    folder = root / f"thumos-{sha256_file(GENERATOR)[:8]}-{seed}-{dim}"
    if not (folder / "videos.json").exists():  # written last
        _generate(folder, seed, dim)
    index = json.loads((folder / "videos.json").read_text())
    labels = {name: tuple(one["labels"]) for name, one in index.items() if one["subset"] == "train"}
    tests = tuple(name for name, one in index.items() if one["subset"] == "test")
    return World(folder, Labels(labels), tests, read_truth(ANNOTATIONS))


def _generate(folder: Path, seed: int, dim: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as aside:
        given = [str(ANNOTATIONS), "--seed", str(seed), "--dim", str(dim)]
        subprocess.run(
            [sys.executable, str(GENERATOR), aside, "--annotations", *given], check=True, stdout=subprocess.DEVNULL
        )
        index = json.loads((Path(aside) / "videos.json").read_text())
        for name, about in index.items():
            with np.load(Path(aside) / f"{name}.npz") as arrays:
                _write(folder / f"{name}{shards.SUFFIX}", arrays, float(about["duration_s"]), seed)
        (folder / "videos.json").write_text(json.dumps(index))


def _write(path: Path, arrays: Mapping[str, np.ndarray], duration_s: float, seed: int) -> None:
    streams = {name: arrays[name].astype(np.float32) for name in ("rgb", "flow")}
    features = Features(
        streams,
        SnippetGrid(len(arrays["rgb"])),
        duration_s,
        arrays["motion"],
        {"generator": "thumos_like", "seed": seed},
    )
    shards.write(path, features, f"thumos_like {seed} {path.stem}")


def learn(data: World, settings: Settings, progress: Progress, name: str = "run", cache: Cache | None = None) -> Run:
    """Train on the training videos; a training that was done before is found in the cache."""
    cache = cache or Cache()
    runs = cache.root / "bench" / "runs"
    return pipeline.train(data.folder, data.labels, settings, name=name, runs=runs, cache=cache, progress=progress)


def score(data: World, model: Path, settings: Settings, progress: Progress, cache: Cache | None = None) -> Evaluation:
    """Localize the test videos and evaluate under the ActivityNet protocol, unless the settings say otherwise."""
    files = {name: data.folder / f"{name}{shards.SUFFIX}" for name in data.tests}
    results, _ = localize_shards(files, model, context(settings, cache or Cache(), progress))
    return evaluate(results, data.truth, settings.evaluate)
