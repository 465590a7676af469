"""Timelines: put together from detections, truth, shards, activations and videos, one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reported import film
from safetensors.numpy import save_file

from tal import shards
from tal.annotations import Instance, Truth, VideoTruth
from tal.errors import InputError, ModelError
from tal.localization import Located
from tal.pipeline.timelines import gather
from tal.results import Results
from tal.timelines import Timeline
from tal.types import Activations, Detection, Features, Segment, SnippetGrid

A, B = Detection("a", Segment(1, 2), 0.4), Detection("b", Segment(3, 5), 0.8)
GRID = SnippetGrid(12, fps=Fraction(10), length=10, stride=5, offset=2)
"""Snippet i is the half second around (0.2 + 0.25 + 0.25) + i / 2 seconds."""


def activations(n: int = 12, n_classes: int = 2, seed: int = 0, attention: bool = True) -> Activations:
    rng = np.random.default_rng(seed)
    cas, signal = (rng.normal(size=(n, n_classes)).astype(np.float32) for _ in range(2))
    weights = rng.random(n).astype(np.float32) if attention else np.ones(n, np.float32)
    return Activations(cas, np.ones(n_classes, np.float32), signal, weights)


def store(folder: Path, video: str, by_network: Mapping[str, Activations]) -> None:
    folder.mkdir(exist_ok=True)
    parts = {f"{name}/{key}": value for name, one in by_network.items() for key, value in vars(one).items()}
    save_file(parts, folder / f"{video}.safetensors")


def shard(folder: Path, video: str, rgb: np.ndarray | None = None, decode: Mapping[str, Any] | None = None) -> Path:
    values = np.ones((12, 4), np.float32) if rgb is None else rgb
    about = {"video": {"decode": dict(decode)}} if decode else {}
    path = folder / f"{video}.safetensors"
    shards.write(path, Features({"rgb": values}, GRID, 6.5, None, about), "key")
    return path


@dataclass
class Model:
    """A model that counts how often it is asked."""

    asked: list[str] = field(default_factory=list)
    identity: str = "model"
    classes: tuple[str, ...] = ("a", "b")

    @property
    def provenance(self) -> dict[str, Any]:
        return {"model": {"classes": list(self.classes)}}

    def activate(self, features: Features) -> dict[str, Activations]:
        self.asked.append("activate")
        return {"rgb": activations(len(features.streams["rgb"]), len(self.classes))}

    def locate(self, *_: Any) -> Located:
        raise AssertionError("timelines show detections, they make none")


def one(results: Results | None = None, **material: Any) -> Timeline:
    (timeline,) = gather(Results({"v": (A, B)}) if results is None else results, **material)
    return timeline


def test_detections_alone_make_a_timeline() -> None:
    assert one() == Timeline("v", 5.0, (B, A))  # the best first; the last thing ends it


def test_truth_is_sorted_and_its_ambiguous_time_is_marked() -> None:
    late, early = Instance("a", Segment(7, 8)), Instance("b", Segment(0, 1))
    found = one(truth=Truth({"v": VideoTruth(9.0, "test", (late, early), (Segment(4, 6),))}))
    assert found.truth == (early, late)
    assert found.duration_s == 9
    assert [(mark.kind, mark.segment) for mark in found.marks] == [("ambiguous", Segment(4, 6))]


def test_a_video_that_the_truth_does_not_know_has_none() -> None:
    assert one(truth=Truth({"other": VideoTruth(9.0, "test", ())})).truth is None
    assert one(truth=Truth({"v": VideoTruth(None, "test", ())})).truth == ()


def test_shards_tell_length_gaps_damage_and_cuts(tmp_path: Path) -> None:
    rgb = np.repeat(np.eye(4, dtype=np.float32)[:2], [5, 7], axis=0)  # turns to another direction at snippet 5
    decode = {
        **{"n_claimed": 60, "n_decoded": 50, "n_bad_packets": 2, "n_damaged": 1},
        **{"gaps": [[1.0, 2.5]], "n_frames": 65, "end_s": 6.5},
    }
    shard(tmp_path, "v", rgb, decode)
    found = one(features=tmp_path)
    assert found.duration_s == 6.5
    assert [(mark.kind, mark.segment, mark.text) for mark in found.marks] == [
        ("damage", Segment(0, 6.5), "2 bad packets, 1 damaged frames; where is not recorded"),
        ("gap", Segment(1, 2.5), "no pictures for 1.50 s"),
        ("shot", Segment(2.95, 2.95), "the features change: perhaps a cut"),  # 0.2 + 0.25 + 5 / 2 seconds
    ]


def test_a_folder_of_activations_gives_curves_at_the_middles_of_snippets(tmp_path: Path) -> None:
    said = {"rgb": activations(), "flow": activations(seed=1)}
    store(tmp_path / "said", "v", said)
    (tmp_path / "features").mkdir()
    shard(tmp_path / "features", "v")
    results = Results({"v": (A,)}, {"model": {"classes": ["a", "b"]}, "localize": {"streams": "each"}})
    found = one(results, activations=tmp_path / "said", features=tmp_path / "features").curves
    assert list(found) == ["rgb", "flow"]
    np.testing.assert_allclose(found["flow"].times_s, 0.7 + np.arange(12) / 2)
    for network, curves in found.items():
        for c, label in enumerate("ab"):
            np.testing.assert_array_equal(curves.cas[label], said[network].cas[:, c])
            np.testing.assert_array_equal(curves.signal[label], said[network].signal[:, c])
        np.testing.assert_array_equal(curves.attention, said[network].attention)


def test_streams_that_were_fused_are_one_curve(tmp_path: Path) -> None:
    said = {"rgb": activations(), "flow": activations(seed=1)}
    store(tmp_path, "v", said)
    how = {"streams": "fused", "alpha": 0.25}
    results = Results({"v": (A,)}, {"model": {"classes": ["a", "b"]}, "localize": how})
    found = one(results, activations=tmp_path).curves
    assert list(found) == ["fused"]
    mean = 0.25 * said["rgb"].cas[:, 1] + 0.75 * said["flow"].cas[:, 1]  # STPN, eq. 7
    np.testing.assert_allclose(found["fused"].cas["b"], mean, rtol=1e-6)


def test_without_a_shard_snippets_lie_as_in_training(tmp_path: Path) -> None:
    store(tmp_path, "v", {"rgb": activations(40)})
    grid = {"fps": "10", "length": 10, "stride": 10}
    results = Results({"v": (A,)}, {"model": {"classes": ["a", "b"]}, "features": {"grid": grid}})
    found = one(results, activations=tmp_path)
    np.testing.assert_allclose(found.curves["rgb"].times_s, np.arange(40) + 0.5)
    assert found.duration_s == 40


def test_attention_of_ones_is_none(tmp_path: Path) -> None:
    store(tmp_path, "v", {"rgb": activations(attention=False)})
    results = Results({"v": (A,)}, {"model": {"classes": ["a", "b"]}})
    assert one(results, activations=tmp_path).curves["rgb"].attention is None


def test_a_model_is_asked_once_for_each_shard(tmp_path: Path) -> None:
    shard(tmp_path, "v")
    model = Model()
    first, second = (one(model=model, features=tmp_path) for _ in range(2))
    assert model.asked == ["activate"]
    assert first.curves["rgb"].cas["a"].tolist() == second.curves["rgb"].cas["a"].tolist()
    assert one(model=model).curves == {}  # nothing to compute them from


def test_of_many_classes_only_those_that_occur_have_curves(tmp_path: Path) -> None:
    shard(tmp_path, "v")
    model = Model(classes=("b", *(f"class {k}" for k in range(400)), "a"))
    assert sorted(one(model=model, features=tmp_path).curves["rgb"].cas) == ["a", "b"]


def test_timelines_are_made_when_they_are_asked_for(tmp_path: Path) -> None:
    for name in ("v", "w"):
        shard(tmp_path, name)
    model = Model()
    found = gather(Results({"v": (A,), "w": (B,)}), model=model, features=tmp_path)
    assert model.asked == []
    assert next(found).video == "v"
    assert model.asked == ["activate"]


def test_videos_are_found_by_name_and_tell_their_length(tmp_path: Path) -> None:
    source = film(tmp_path / "v.mp4", seconds=3)
    found = one(videos=[tmp_path])
    assert found.source == source
    assert found.duration_s == pytest.approx(3.0, abs=0.11)


def test_a_video_that_cannot_be_read_is_still_a_source(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_text("no video")
    found = one(videos=[tmp_path])
    assert (found.source, found.duration_s) == (tmp_path / "v.mp4", 5.0)


def test_why_nothing_was_found_is_passed_on() -> None:
    results = Results({"v": ()}, {"empty": {"v": "no class reached the score 0.1"}})
    assert one(results) == Timeline("v", 0.0, reason="no class reached the score 0.1")


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    store(tmp_path / "said", "v", {"rgb": activations(7, 3)})
    (tmp_path / "features").mkdir()
    shard(tmp_path / "features", "v")
    with pytest.raises(InputError, match="nothing names the classes of these activations; name the model with --model"):
        gather(Results({"v": ()}), activations=tmp_path / "said")
    three, two = ({"model": {"classes": list(names)}} for names in ("abc", "ab"))
    with pytest.raises(ModelError, match="activations of 'v' have 7 snippets, its features 12; make them for these"):
        one(Results({"v": ()}, three), activations=tmp_path / "said", features=tmp_path / "features")
    with pytest.raises(ModelError, match="activations of 'v' know 3 classes, the model 2; name the model that made"):
        one(Results({"v": ()}, two), activations=tmp_path / "said")
    with pytest.raises(InputError, match="no such folder of activations; 'tal localize --activations' writes one"):
        gather(Results({"v": ()}, two), activations=tmp_path / "none")
    with pytest.raises(InputError, match="no such folder of features; run 'tal extract' first"):
        gather(Results({"v": ()}), features=tmp_path / "none")
