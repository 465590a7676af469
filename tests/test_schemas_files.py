"""What the pipeline writes fits the shipped schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from planted import CLASSES, settings, training_videos
from safetensors import safe_open

import tal
from tal import schemas
from tal.annotations import Instance, Labels, Truth, VideoTruth
from tal.cache import Cache
from tal.demo import scripts
from tal.evaluation import Evaluation
from tal.pipeline import Run
from tal.results import Results, write_results
from tal.settings import EvaluateSettings
from tal.types import Segment


def check(name: str, tree: Any) -> None:
    Draft202012Validator(schemas.load(name)).validate(tree)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("planted")


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    videos = training_videos(folder / "features")
    labels = Labels({video.name: video.labels for video in videos})
    return tal.train(folder / "features", labels, settings(), runs=folder / "runs", cache=Cache(folder / "cache"))


@pytest.fixture(scope="module")
def results(run: Run, folder: Path) -> Results:
    return tal.localize([], run.path, features=folder / "features", cache=Cache(folder / "cache"))


def metadata(path: Path, key: str) -> Any:
    with safe_open(str(path), framework="numpy") as file:
        return json.loads(file.metadata()[key])


def test_a_run_folder(run: Run) -> None:
    check("config", yaml.safe_load((run.path / "config.yaml").read_text()))
    check("environment", json.loads((run.path / "environment.json").read_text()))
    check("model-header", metadata(run.model, "tal-model"))
    lines = run.metrics.read_text().splitlines()
    assert len(lines) == 2  # two networks of 12 updates, a line each
    for line in lines:
        check("metrics", json.loads(line))


def test_shards(run: Run, folder: Path) -> None:
    paths = list((folder / "features").glob("*.safetensors"))
    assert len(paths) == run.n_videos
    for path in paths:
        check("shard-header", metadata(path, "tal"))


def test_detections(results: Results, tmp_path: Path) -> None:
    assert len(results) > 0
    write_results(tmp_path / "d.json", results)
    check("detections", json.loads((tmp_path / "d.json").read_text()))


def evaluated(results: Results, protocol: str) -> Evaluation:
    videos = {v: VideoTruth(None, "", (Instance(CLASSES[0], Segment(0, 3)),), (Segment(4, 5),)) for v in results.videos}
    return tal.evaluate(results, Truth(videos), tal.Settings(evaluate=EvaluateSettings(protocol=protocol)))


@pytest.mark.parametrize("protocol", ["activitynet", "thumos14", "wtalc", "snippet"])
def test_evaluations(results: Results, protocol: str) -> None:
    found = evaluated(results, protocol)
    check("evaluation", json.loads(json.dumps(found.to_dict())))


def test_the_demo_writes_truth_that_fits() -> None:
    options = scripts.DemoOptions(n_train=5, n_test=5)
    tree = scripts.ground_truth(scripts.plan(options), options.fps)
    check("truth", tree)
    check("labels", tree)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("environment", {"trained_under": [{"tal": "1"}]}),
        ("metrics", {"network": "rgb", "step": 0, "losses": {}, "seconds": 0}),
        ("shard-header", {"format": 2}),
        ("model-header", {"classes": []}),
        ("evaluation", {"map": [1.5]}),
    ],
)
def test_what_they_refuse(name: str, wrong: Any, run: Run, results: Results, folder: Path) -> None:
    whole: dict[str, Any] = {
        "environment": json.loads((run.path / "environment.json").read_text()),
        "metrics": json.loads(run.metrics.read_text().splitlines()[0]),
        "shard-header": metadata(next((folder / "features").glob("*.safetensors")), "tal"),
        "model-header": metadata(run.model, "tal-model"),
        "evaluation": evaluated(results, "activitynet").to_dict(),
    }
    validator = Draft202012Validator(schemas.load(name))
    assert validator.is_valid(whole[name])
    assert not validator.is_valid({**whole[name], **wrong})
    assert not validator.is_valid({**whole[name], "unheard": 1})
    for key in whole[name]:
        assert not validator.is_valid({k: v for k, v in whole[name].items() if k != key})
