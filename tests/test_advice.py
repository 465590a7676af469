"""What will hurt a training is said before it, and nothing is said of what will not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import write_shard
from small import tal
from swept import OPTIONS

from tal.advice import Advice, Material, Sketch, advise
from tal.annotations import Labels
from tal.pipeline.advising import advise_training
from tal.shards import ShardHeader
from tal.types import SnippetGrid

Rows = Mapping[str, Sequence[str]]
GOOD: dict[str, tuple[str, ...]] = {f"v{i:02d}": (("jump", "run")[i % 2],) for i in range(20)}


def header(duration_s: float = 60.0, n_snippets: int = 90) -> ShardHeader:
    return ShardHeader("key", "digest", SnippetGrid(n_snippets), duration_s, {}, {"rgb": (n_snippets, 4)})


def codes(labels: Rows, **more: object) -> list[str]:
    return [one.code for one in said(labels, **more)]


def said(labels: Rows, **more: object) -> tuple[Advice, ...]:
    by_video = {video: tuple(names) for video, names in labels.items()}
    return advise(Material(Labels(by_video), **more))  # type: ignore[arg-type]


def test_nothing_is_said_of_good_labels() -> None:
    assert said(GOOD, headers=dict.fromkeys(GOOD, header())) == ()


def test_one_video_and_one_class() -> None:
    assert codes({"v": ["jump"]}) == ["one video"]
    (one,) = said({video: ["jump"] for video in GOOD})
    assert str(one) == (
        "every video has the one label 'jump', so nothing shows what it is not; "
        "add videos of other actions under labels of their own"
    )


def test_a_class_in_every_video_and_classes_that_are_never_apart() -> None:
    (one,) = said({video: [*labels, "person"] for video, labels in GOOD.items()})
    assert one.text == "'person' is in each of the 20 videos, so nothing shows what it is not"
    (two,) = said({video: [*labels, "start"] if "run" in labels else labels for video, labels in GOOD.items()})
    assert two.text == "'run' and 'start' occur in the same 10 videos, so nothing tells them apart"


def test_few_videos_are_counted_by_class() -> None:
    labels = dict(list(GOOD.items())[:19])
    assert [str(one) for one in said(labels)] == [
        "1 of 2 classes have fewer than 10 videos ('run': 9); expect weak and unsteady results; "
        "published ones rest on 10 to 20 (THUMOS14) or 50 (ActivityNet), a rule of thumb"
    ]
    many = {f"v{i}": [f"c{chr(97 + i // 2) * 5}"] for i in range(20)}
    assert said(many)[0].text == (
        "10 of 10 classes have fewer than 10 videos ('caaaaa': 2, 'cbbbbb': 2, 'cccccc': 2 and 7 more)"
    )


def test_imbalance() -> None:
    labels: Rows = {**{f"a{i}": ["jump"] for i in range(100)}, **{f"b{i}": ["run"] for i in range(10)}}
    (one,) = said(labels)
    assert one.text == "'jump' has 100 videos and 'run' 10: the rare one will seldom be found"
    assert codes({video: names for video, names in labels.items() if video != "a0"}) == []


def test_labels_in_two_spellings() -> None:
    labels = {f"v{i:02d}": [("High Jump", "HighJump", "run")[i % 3]] for i in range(30)}
    (one,) = said(labels)
    assert str(one) == (
        "'High Jump' and 'HighJump' look like one label in two spellings; 'tal label --check' shows the lines"
    )


def test_short_videos_show_no_background() -> None:
    assert codes(GOOD, headers=dict.fromkeys(GOOD, header(10.0, 15))) == ["no background"]
    assert codes(GOOD, headers=dict.fromkeys(GOOD, header(10.1, 15))) == []
    assert codes(GOOD, headers=dict.fromkeys(GOOD, header(60.0, 7))) == ["few snippets"]


def sketches(values: Mapping[str, np.ndarray]) -> dict[str, Sketch]:
    return {video: Sketch((), np.asarray(value, np.float32)) for video, value in values.items()}


def test_videos_that_are_nearly_the_same_are_found_among_others() -> None:
    rng = np.random.default_rng(0)
    values = {video: 100 + rng.normal(size=64) for video in GOOD}  # a large offset that all share
    values["v07"] = values["v02"] + 0.01 * rng.normal(size=64)
    headers = {video: header(60 + 0.01 * i) for i, video in enumerate(GOOD)}
    (one,) = said(GOOD, headers=headers, sketches=sketches(values))
    assert (
        str(one)
        == "'v02' and 'v07' are nearly the same video under different labels; label them alike, or leave one out"
    )
    alike = {**GOOD, "v07": GOOD["v02"], "v00": GOOD["v01"]}
    assert said(alike, headers=headers, sketches=sketches(values))[-1].remedy == "leave one out: it counts twice"
    apart = {**headers, "v07": header(70.0)}
    assert said(GOOD, headers=apart, sketches=sketches(values)) == ()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.5, 100), st.floats(0, 0.24))
def test_a_twin_is_found_wherever_its_length_lies(seed: int, length_s: float, apart_s: float) -> None:
    rng = np.random.default_rng(seed)
    values = {"a": rng.normal(size=16), "c": rng.normal(size=16), "d": rng.normal(size=16)}
    values["b"] = values["a"]
    lengths = {"a": length_s, "b": length_s + apart_s, "c": length_s + 5, "d": length_s + 9}
    labels = {video: ["jump"] for video in values}
    found = said(labels, headers={v: header(s) for v, s in lengths.items()}, sketches=sketches(values))
    assert "'a' and 'b' are nearly the same video" in [one.text for one in found]


def test_what_has_no_label_is_told_but_harmless() -> None:
    (one,) = said(GOOD, unlabelled=("w2", "w1"))
    assert str(one) == (
        "features of 2 videos without a label are not learnt from ('w1' and 'w2'); fine if kept for testing"
    )


# From files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for i, video in enumerate([*GOOD, "still", "twin", "test"]):
        values = np.abs(rng.normal(size=(30 + i, 8))).astype(np.float32)
        if video == "still":
            values[:] = values[0]
        if video == "v03":
            kept = values
        if video == "twin":
            values = kept
        write_shard(tmp_path / f"features/{video}.safetensors", {"rgb": values})
    rows = [f"{video},{labels[0]}" for video, labels in {**GOOD, "still": ["jump"], "twin": ["run"]}.items()]
    (tmp_path / "labels.csv").write_text("\n".join(["video,label", *rows]))
    return tmp_path


def test_features_are_looked_at(folder: Path) -> None:
    assert [one.text for one in advise_training(folder / "labels.csv", folder / "features")] == [
        "the rgb features of 'still' are the same in all snippets",
        "'twin' and 'v03' are nearly the same video",
        "features of 1 video without a label are not learnt from ('test')",
    ]


def test_what_cannot_be_read_is_left_to_the_training(folder: Path) -> None:
    (folder / "features/still.safetensors").write_bytes(b"damaged")
    (folder / "features/v03.safetensors").unlink()
    codes = [one.code for one in advise_training(folder / "labels.csv", folder / "features")]
    assert codes == ["unlabelled"]


def test_training_says_it_once_and_keeps_it(folder: Path) -> None:
    arguments = ["-l", "labels.csv", "--set", "train.steps=2", "--seeds", "0,1", "--quiet"]
    done = tal("train", *OPTIONS, *arguments, cwd=folder, cache=folder / "cache")
    assert done.returncode == 0
    notes = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert len(notes) == 3
    assert notes[0] == (
        "note: the rgb features of 'still' are the same in all snippets; "
        "look at the video: 'tal probe' tells whether it can be read"
    )
    for seed in (0, 1):
        kept = json.loads((folder / f"runs/stpn-seed{seed}/advice.json").read_text())
        assert [one["code"] for one in kept] == ["constant features", "twins", "unlabelled"]
