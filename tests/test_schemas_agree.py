"""What is broken is refused by the schema and by the reader, or by neither, but for what only two values tell."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tal import config, methods, schemas
from tal.annotations import read_labels, read_truth
from tal.errors import AnnotationError, ConfigError
from tal.results import read_results
from tal.settings import Settings

MANY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
Reader = Callable[[Any], Any]
VALIDATORS = {name: Draft202012Validator(schemas.load(name)) for name in schemas.names()}


def fits(name: str, tree: Any) -> bool:
    return VALIDATORS[name].is_valid(tree)


CROSSING = re.compile(r"before it starts|two videos are named|no labels|several subsets")
TEXTS = st.sampled_from(["", " ", "1.5", " 2 ", "1e2", "-1", "abc", "inf", "nan", "v", "v.mp4", "run"])
NUMBERS = st.sampled_from([0, 1, 2.5, -1, -0.5, 1e9, 3])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Return every container of a tree with each of its keys."""
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree))) if isinstance(tree, list) else []
    return [(tree, key) for key in keys] + [place for key in keys for place in places(tree[key])]


@st.composite
def broken(draw: st.DrawFn, whole: Any) -> Any:
    """Return a tree in which one or two values were replaced, removed or added."""
    tree = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 2))):
        container, key = draw(st.sampled_from(places(tree) or [({}, "x")]))
        kind = draw(st.sampled_from(["replace", "remove", "add"]))
        if kind == "remove":
            del container[key]
        elif kind == "replace":
            container[key] = draw(VALUES)
        elif isinstance(container, dict):
            container[draw(TEXTS)] = draw(VALUES)
        else:
            container.insert(draw(st.integers(0, len(container))), draw(VALUES))
    return tree


DETECTION = {"label": "run", "segment": [1.0, 2.5], "score": 0.75}
DETECTIONS = {
    "version": "tal 1",
    "results": {"a.mp4": [DETECTION, {"label": "x", "segment": [0, 1], "score": 1}], "b": []},
    "external_data": {"used": True, "details": "pre-trained"},
    "provenance": {"method": "stpn"},
}
TRUTH = {
    "version": "1.3",
    "database": {
        "v1": {
            "subset": "training",
            "duration": "12.5",
            "annotations": [{"label": "run", "segment": ["1.0", 2.5]}, {"label": "Ambiguous", "segment": [3, 3]}],
        },
        "v2": {"duration": None, "annotations": [{"label": "jump", "segment": [0, 4.25]}]},
    },
}


def outcome(read: Reader, path: Path, tree: Any) -> str:
    """Return what the reader says about a file, empty if it is content."""
    path.write_text(json.dumps(tree))
    try:
        read(path)
    except AnnotationError as error:
        return str(error)
    return ""


def agree(name: str, read: Reader, path: Path, tree: Any) -> None:
    said = outcome(read, path, tree)
    if CROSSING.search(said):
        return
    assert fits(name, tree) == (not said), said or "the reader is content"


@MANY
@given(tree=broken(DETECTIONS))
def test_detections_are_refused_by_both_or_by_neither(tmp_path: Path, tree: Any) -> None:
    agree("detections", read_results, tmp_path / "d.json", tree)


@MANY
@given(tree=broken(TRUTH))
def test_truth_is_refused_by_both_or_by_neither(tmp_path: Path, tree: Any) -> None:
    agree("truth", read_truth, tmp_path / "t.json", tree)


@MANY
@given(tree=broken(TRUTH))
def test_labels_are_refused_by_both_or_by_neither(tmp_path: Path, tree: Any) -> None:
    agree("labels", read_labels, tmp_path / "l.json", tree)


@pytest.mark.parametrize(
    ("name", "tree", "good"),
    [
        ("detections", DETECTIONS, True),
        ("detections", {"results": {}}, True),
        ("detections", {"results": {"v": [{**DETECTION, "frame": 3}]}}, True),
        ("detections", {"results": {"v": [{**DETECTION, "score": "0.5"}]}}, False),
        ("detections", {"results": {"v": [{**DETECTION, "segment": [1, 2, 3]}]}}, False),
        ("detections", {"results": {"": []}}, False),
        ("truth", TRUTH, True),
        ("truth", {"database": {}}, False),
        ("truth", {"database": {"v": {"annotations": [{"label": "run"}]}}}, False),
        ("labels", {"database": {"v": {"annotations": [{"label": "run"}]}}}, True),
        ("labels", {"database": {"v": {"annotations": [{"label": " "}]}}}, False),
    ],
)
def test_known_cases(tmp_path: Path, name: str, tree: Any, good: bool) -> None:
    read: dict[str, Reader] = {"detections": read_results, "truth": read_truth, "labels": read_labels}
    assert fits(name, tree) == good
    path = tmp_path / "f.json"
    assert (outcome(read[name], path, tree) == "") == good


# Settings

LEAVES = [None, -1, 0.37, 5, 10**6, "nonsense", [], ["nonsense"], [0.5], {}, {"a": 1}]
WHOLE = Settings().model_dump(mode="json")


def dotted(tree: dict[str, Any], prefix: str = "") -> list[str]:
    inner = [dotted(v, f"{prefix}{k}.") for k, v in tree.items() if isinstance(v, dict)]
    return [*(f"{prefix}{k}" for k in tree), *(name for names in inner for name in names)]


def nested(key: str, value: Any) -> Any:
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def settings_accept(tree: Any, path: Path) -> bool:
    path.write_text(yaml.safe_dump(tree))
    try:
        methods.resolve(config.load(files=[path]).method)
    except ConfigError:
        return False
    return True


KEYS = [*dotted(WHOLE), "train.lrr", "trian", "method.beta", "method.pool", "method.stages", "extract.flow.qualty"]


@MANY
@given(key=st.sampled_from(KEYS), value=st.sampled_from(LEAVES))
def test_settings_are_refused_by_both_or_by_neither(tmp_path: Path, key: str, value: Any) -> None:
    tree = nested(key, value)
    if key == "method.stages":
        tree = {"method": {"name": "cpmn", "stages": value}}
    assert fits("config", tree) == settings_accept(tree, tmp_path / "c.yaml"), (key, value)


@pytest.mark.parametrize(
    ("tree", "good"),
    [
        ({}, True),
        ({"extract": {"fps": "30000/1001"}}, True),
        ({"extract": {"fps": 29.97}}, True),
        ({"extract": {"fps": "fast"}}, False),
        ({"extract": {"size": [340, 256], "streams": ["rgb"]}}, True),
        ({"extract": {"size": [340]}}, False),
        ({"evaluate": {"tiou": "0.1:0.7:0.1"}}, True),
        ({"evaluate": {"tiou": "all", "protocol": "thumos14"}}, True),
        ({"evaluate": {"tiou": [0.5, 1.5]}}, False),
        ({"evaluate": {"protocol": "thumos"}}, False),
        ({"method": {"name": "cmcs", "branches": 2}}, True),
        ({"method": {"name": "cmcs", "mined": 2}}, False),
        ({"method": {"name": "cmcs", "branches": 65}}, False),
        ({"train": {"decay_at": [0.5, 1]}}, False),
    ],
)
def test_known_settings(tmp_path: Path, tree: Any, good: bool) -> None:
    assert fits("config", tree) == good
    assert settings_accept(tree, tmp_path / "c.yaml") == good


def test_what_only_settings_together_tell_the_reader_alone_refuses(tmp_path: Path) -> None:
    tree = {"extract": {"short_side": 100, "crop": 224}}
    assert fits("config", tree)
    assert not settings_accept(tree, tmp_path / "c.yaml")
