"""Localizing videos of which only shards are there."""

from __future__ import annotations

from pathlib import Path

import pytest
from planted import Listener, settings, training_videos

from tal import pipeline
from tal.annotations import Labels
from tal.cache import Cache
from tal.errors import ConfigError, InputError
from tal.pipeline import LocalizeBatchError
from tal.pipeline.learning import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("world")
    (folder / "features").mkdir()
    labels = Labels({video.name: video.labels for video in training_videos(folder / "features", 6)})
    how = settings(steps=30)
    return pipeline.train(folder / "features", labels, how, runs=folder / "runs", cache=Cache(folder / "cache"))


def features(run: Run) -> Path:
    return run.path.parents[1] / "features"


def test_all_shards_of_a_folder_are_localized(run: Run, tmp_path: Path) -> None:
    found = pipeline.localize([], run.path, features=features(run), cache=Cache(tmp_path))
    assert sorted(found.by_video) == sorted(path.stem for path in features(run).glob("*.safetensors"))


def test_a_damaged_shard_does_not_stop_the_others(run: Run, tmp_path: Path) -> None:
    for path in features(run).glob("*.safetensors"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    victim = min(tmp_path.glob("*.safetensors"))
    victim.write_bytes(victim.read_bytes()[:50])
    with pytest.raises(LocalizeBatchError) as caught:
        pipeline.localize([], run.path, features=tmp_path, cache=Cache(tmp_path / "cache"), progress=Listener())
    assert set(caught.value.failures) == {victim.stem}
    assert len(caught.value.results.by_video) == 5


def test_a_folder_without_shards_is_told(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        pipeline.localize([], run.path, features=tmp_path, cache=Cache(tmp_path))
    assert str(caught.value) == f"{tmp_path}: no shards; make some with 'tal extract' or 'tal import-features'"


def test_nothing_to_localize_is_told() -> None:
    from cli.localizing import localize

    with pytest.raises(ConfigError) as caught:
        localize()
    assert str(caught.value) == "nothing to localize; name videos, or a model with --model and shards with --features"
