"""Learning from another model: trained first, found, or read from files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from planted import CLASSES, Listener, settings, training_videos
from safetensors.numpy import save_file

from tal import models, pipeline
from tal.annotations import Labels
from tal.cache import Cache
from tal.errors import ConfigError, InputError, ModelError
from tal.methods._base import LabelledVideo
from tal.methods.stpn import Network
from tal.pipeline import guides
from tal.pipeline.learning import Run
from tal.settings import Settings
from tal.trainset import TrainingVideo
from tal.types import Activations


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[TrainingVideo]:
    return training_videos(tmp_path_factory.mktemp("features"))


@pytest.fixture(autouse=True)
def willing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have STPN take a guide, whose word it does not need."""
    monkeypatch.setattr(Network, "GUIDE", "optional")


@pytest.fixture(scope="module")
def guide(videos: list[TrainingVideo], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of STPN."""
    return learn(videos, settings(), tmp_path_factory.mktemp("guide"))


def learn(videos: list[TrainingVideo], how: Settings, folder: Path, listener: Listener | None = None) -> Run:
    labels = Labels({video.name: video.labels for video in videos})
    cache = Cache(folder / "cache")
    return pipeline.train(
        videos[0].shard.parent, labels, how, runs=folder / "runs", cache=cache, progress=listener or Listener()
    )


def guided(name: str | Path, **train: object) -> Settings:
    return settings(guide=str(name), **train)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[LabelledVideo]:
    """What networks are told in `prepare`."""
    found: list[LabelledVideo] = []

    def prepare(self: Network, videos: Iterable[LabelledVideo]) -> None:
        found.extend(videos)

    monkeypatch.setattr(Network, "prepare", prepare)
    return found


def test_a_run_guides_with_what_it_says(
    videos: list[TrainingVideo], guide: Run, heard: list[LabelledVideo], tmp_path: Path
) -> None:
    learn(videos, guided(guide.path), tmp_path)
    networks = models.load(guide.path).networks
    for video, network in ((heard[3], networks["rgb"]), (heard[9 + 3], networks["flow"])):
        expected = network.activate(torch.from_numpy(video.features))
        assert video.guide is not None
        assert np.array_equal(video.guide.signal, expected.signal)
        assert np.array_equal(video.guide.scores, expected.scores)


def test_a_named_method_is_trained_first_on_the_same_streams(
    videos: list[TrainingVideo], heard: list[LabelledVideo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = settings(fusion="flow", steps=7, seed=3)
    monkeypatch.setattr(guides.config, "load", lambda name, options: quick if options["train.seed"] == 3 else None)
    listener = Listener()
    learn(videos, guided("stpn", fusion="flow", seed=3), tmp_path, listener)
    assert [title for title in listener.tasks if title[2] == "updates"] == [
        ("train flow", 7, "updates"),
        ("train flow", 12, "updates"),
    ]
    assert listener.said == ["stpn learns from stpn, which is trained first"]
    assert [video.guide is None for video in heard] == [True] * 9 + [False] * 9


def test_the_guide_not_its_place_determines_the_training(
    videos: list[TrainingVideo], guide: Run, tmp_path: Path
) -> None:
    assert not learn(videos, guided(guide.path), tmp_path).cached
    elsewhere = tmp_path / "elsewhere.safetensors"
    elsewhere.write_bytes(guide.model.read_bytes())
    assert learn(videos, guided(elsewhere), tmp_path).cached
    other = learn(videos, settings(seed=5), tmp_path / "other")
    assert not learn(videos, guided(other.path), tmp_path).cached


def write(folder: Path, videos: list[TrainingVideo], lengths: dict[str, int], network: str = "rgb") -> Path:
    folder.mkdir()
    for video in videos:
        values = np.full((lengths[video.name], 3), 0.25, np.float32)
        one = Activations(values, values[0], values, values[:, 0])
        save_file({f"{network}/{key}": v for key, v in vars(one).items()}, folder / f"{video.name}.safetensors")
    return folder


@pytest.fixture
def lengths(videos: list[TrainingVideo]) -> dict[str, int]:
    from tal import shards

    return {video.name: shards.header(video.shard).grid.n_snippets for video in videos}


def test_files_guide_as_well(
    videos: list[TrainingVideo], heard: list[LabelledVideo], lengths: dict[str, int], tmp_path: Path
) -> None:
    folder = write(tmp_path / "cas", videos, lengths)
    learn(videos, guided(folder, fusion="rgb"), tmp_path)
    assert all(video.guide and (video.guide.signal == 0.25).all() for video in heard)


@pytest.mark.usefixtures("heard")
def test_files_that_do_not_fit_are_told(videos: list[TrainingVideo], lengths: dict[str, int], tmp_path: Path) -> None:
    short = write(tmp_path / "short", videos, {**lengths, "v3": 2})
    with pytest.raises(ModelError) as caught:
        learn(videos, guided(short, fusion="rgb"), tmp_path)
    assert str(caught.value) == (
        f"{short}/v3.safetensors: 2 snippets, features have {lengths['v3']}; make them for these features"
    )
    (short / "v5.safetensors").unlink()
    with pytest.raises(InputError) as missing:
        learn(videos, guided(short, fusion="rgb"), tmp_path)
    assert (
        str(missing.value) == f"{short}: no activations of the video 'v5'; write them with 'tal localize --activations'"
    )
    flow = write(tmp_path / "flow", videos, lengths, "flow")
    with pytest.raises(ModelError, match="nothing for the network rgb, but flow; choose another"):
        learn(videos, guided(flow, fusion="rgb"), tmp_path)


@pytest.mark.usefixtures("heard")
def test_a_guide_of_other_streams_or_classes_is_told(videos: list[TrainingVideo], guide: Run, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        learn(videos, guided(guide.path, fusion="early"), tmp_path)
    assert str(caught.value) == (
        "the guide has no network for rgb+flow, but rgb, flow; train it with the same train.fusion"
    )
    fewer = [video for video in videos if CLASSES[2] not in video.labels]
    with pytest.raises(ModelError, match="a guide for other classes; train it on the same labels"):
        learn(fewer, guided(guide.path), tmp_path)


def test_a_guide_that_is_nothing_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        guides.kind_of("stpm")
    assert str(caught.value) == (
        "train.guide: 'stpm' is no method, run folder, model or folder of activations; did you mean 'stpn'?"
    )


def test_kinds_of_guides(guide: Run, tmp_path: Path) -> None:
    assert [guides.kind_of(str(one)) for one in ("", "stpn", guide.path, guide.model, tmp_path)] == [
        "none",
        "method",
        "model",
        "model",
        "folder",
    ]


def test_a_method_that_learns_from_labels_alone_refuses_a_guide(
    videos: list[TrainingVideo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Network, "GUIDE", "none")
    with pytest.raises(ConfigError) as caught:
        learn(videos, guided("stpn"), tmp_path)
    assert str(caught.value) == "stpn learns from labels alone; leave train.guide empty"
