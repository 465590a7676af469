"""The page on file formats: each example is valid, is read by our readers, and looks like what is really written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from planted import settings, training_videos
from safetensors import safe_open

import tal
from tal import config, methods, schemas
from tal.annotations import Labels, read_labels, read_truth
from tal.cache import Cache
from tal.files import digest_of
from tal.pipeline import Run
from tal.results import read_results
from tal.types import Detection, Segment, SnippetGrid

PAGE = (Path(__file__).parents[1] / "docs/formats.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"<!-- example: (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)
EXAMPLES = dict(BLOCK.findall(PAGE))


def example(name: str) -> Any:
    return json.loads(EXAMPLES[name])


def written(name: str, folder: Path, suffix: str = ".json") -> Path:
    path = folder / f"{name}{suffix}"
    path.write_text(EXAMPLES[name], encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("formats")


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    videos = training_videos(folder / "features", n_videos=4)
    labels = Labels({video.name: video.labels for video in videos})
    return tal.train(folder / "features", labels, settings(), runs=folder / "runs", cache=Cache(folder / "cache"))


def test_every_schema_is_named_and_has_an_example() -> None:
    assert set(schemas.names()) <= set(EXAMPLES)
    for name in schemas.names():
        assert f"`{name}`" in PAGE


@pytest.mark.parametrize("name", [name for name in schemas.names() if name != "config"])
def test_examples_fit_their_schemas(name: str) -> None:
    Draft202012Validator(schemas.load(name)).validate(example(name))


def test_the_settings_are_loaded(tmp_path: Path) -> None:
    Draft202012Validator(schemas.load("config")).validate(yaml.safe_load(EXAMPLES["config"]))
    loaded = config.load(files=[written("config", tmp_path, ".yaml")])
    assert loaded.train.lr == 1e-4
    assert methods.resolve(loaded.method).model_dump()["branches"] == 2


def test_labels_are_read_the_same_from_both_forms(tmp_path: Path) -> None:
    expected = Labels({"garden": ("dig",), "kitchen": ("pour", "stir")})
    assert read_labels(written("labels-csv", tmp_path, ".csv")) == expected
    assert read_labels(written("labels", tmp_path)) == expected


def test_truth_is_read_the_same_from_both_forms(tmp_path: Path) -> None:
    from_json = read_truth(written("truth", tmp_path)).videos
    assert from_json["garden"].instances == ()
    assert read_truth(written("truth-csv", tmp_path, ".csv")).videos == {"kitchen": from_json["kitchen"]}


def test_detections_are_read(tmp_path: Path) -> None:
    found = read_results(written("detections", tmp_path))
    assert found["kitchen"][1] == Detection("stir", Segment(9.6, 14.72), 0.4) and found["garden"] == ()
    text = read_results(written("detections-text", tmp_path, ".txt"))
    assert text["video_test_0000004"][0] == Detection("CricketBowling", Segment(1.5, 4.0), 0.91)


def test_the_evaluation_is_that_of_the_detections_against_the_truth(tmp_path: Path) -> None:
    chosen = config.load(sets=["evaluate.tiou=[0.5, 0.75]"])
    found = tal.evaluate(written("detections", tmp_path), written("truth", tmp_path), chosen)
    assert found.to_dict() == example("evaluation")


def metadata(path: Path) -> dict[str, Any]:
    with safe_open(str(path), framework="numpy") as file:
        return {key: json.loads(text) for key, text in file.metadata().items()}


def test_headers_have_the_entries_of_real_ones(run: Run, folder: Path) -> None:
    real = metadata(folder / "features" / "v0.safetensors")
    assert set(real) == {"tal"} and set(real["tal"]) == set(example("shard-header"))
    assert SnippetGrid.from_dict(example("shard-header")["grid"]).to_dict() == example("shard-header")["grid"]
    model = metadata(run.model)
    assert set(model) == {"tal-model"} and set(model["tal-model"]) == set(example("model-header"))


def test_a_run_folder_holds_what_the_page_says(run: Run) -> None:
    section = PAGE[PAGE.index("## Run folder") : PAGE.index("**The model.**")]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([a-z]+\.[a-z]+)`", row)}
    assert {path.name for path in run.path.iterdir()} | {"detections.json", "evaluation.json"} == named


def test_activations_have_the_tensors_of_the_page(run: Run, folder: Path) -> None:
    tal.localize([], run.path, features=folder / "features", activations=folder / "a", cache=Cache(folder / "cache"))
    with safe_open(str(folder / "a" / "v0.safetensors"), framework="numpy") as file:
        names = set(file.keys())
    section = PAGE[PAGE.index("## Activations") : PAGE.index("## Settings")]
    assert names == {f"{n}/{part}" for n in ("rgb", "flow") for part in re.findall(r"\| `N/(\w+)`", section)}


def test_cache_entries_look_so(run: Run, folder: Path) -> None:
    tal.localize([], run.path, features=folder / "features", cache=Cache(folder / "cache"))
    (path, *_) = (folder / "cache" / "activate").glob("??/*/entry.json")
    entry, shown = json.loads(path.read_text()), example("cache-entry")
    assert set(entry) == set(shown) and set(entry["preimage"]) == set(shown["preimage"])
    assert set(entry["files"]) == set(shown["files"])
    assert path.parent.name == digest_of(entry["preimage"]) and path.parent.parent.name == path.parent.name[:2]


def test_the_message_of_the_page_is_the_readers(tmp_path: Path) -> None:
    tree = {"results": {"kitchen": [{"label": "x", "segment": [5, 2], "score": 1}]}}
    (tmp_path / "detections.json").write_text(json.dumps(tree))
    with pytest.raises(tal.TalError) as caught:
        read_results(tmp_path / "detections.json")
    assert str(caught.value).partition("results.kitchen[0]")[2] in PAGE
