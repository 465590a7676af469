"""Training sets: what is refused, in which words, and what stays in memory."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from planted import CLASSES, DIM, training_videos, write_shard

from tal import shards
from tal.errors import InputError, ShardError, TalError
from tal.progress import Silent
from tal.trainset import TrainingSet, TrainingVideo
from tal.types import SnippetGrid


@pytest.fixture
def videos(tmp_path: Path) -> list[TrainingVideo]:
    return training_videos(tmp_path)


def refusal(videos: list[TrainingVideo], *classes: str) -> TalError:
    with pytest.raises(TalError) as caught:
        TrainingSet(videos, classes)
    assert "\n" not in str(caught.value)
    return caught.value


def test_classes_come_from_the_labels_and_videos_are_sorted(videos: list[TrainingVideo]) -> None:
    data = TrainingSet(videos[::-1])
    assert data.classes == CLASSES
    assert [video.name for video in data.videos] == [f"v{i}" for i in range(9)]
    assert data.labels[:3].tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert data.dims == {"rgb": DIM, "flow": DIM}
    assert len(data) == 9


def test_order_of_classes_is_the_one_given(videos: list[TrainingVideo]) -> None:
    assert TrainingSet(videos, ("wave", "bend", "jack")).labels[0].tolist() == [0, 1, 1]


def test_no_videos() -> None:
    assert str(refusal([])) == "no videos to train on; name some that have both features and labels"


def test_video_without_label(videos: list[TrainingVideo]) -> None:
    videos[3] = replace(videos[3], labels=())
    assert str(refusal(videos)) == "video 'v3' has no label; label it or leave it out"


def test_video_listed_twice(videos: list[TrainingVideo]) -> None:
    assert str(refusal([*videos, videos[4]])) == "video 'v4' is listed twice"


def test_misspelt_class(videos: list[TrainingVideo]) -> None:
    videos[0] = replace(videos[0], labels=("jakc",))
    assert str(refusal(videos, *CLASSES)) == "video 'v0': unknown class 'jakc'; did you mean 'jack'?"


def test_class_without_videos(videos: list[TrainingVideo]) -> None:
    error = refusal(videos, *CLASSES, "run")
    assert str(error) == "class 'run' has no training video; add one or leave the class out"
    assert isinstance(error, InputError)


def test_missing_shard(videos: list[TrainingVideo]) -> None:
    videos[2].shard.unlink()
    error = refusal(videos)
    assert str(videos[2].shard) in str(error)
    assert isinstance(error, ShardError)


def test_shards_of_different_dimension(videos: list[TrainingVideo]) -> None:
    write_shard(videos[5].shard, {"rgb": np.ones((9, 7)), "flow": np.ones((9, DIM))})
    expected = f"{videos[5].shard}: rgb 7-d, but 'v0' has rgb 12-d; extract all with the same settings"
    assert str(refusal(videos)) == expected


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        (SnippetGrid(9, stride=8), "16 frames every 8 at 25 fps"),
        (SnippetGrid(9, length=32), "32 frames every 16 at 25 fps"),
        (SnippetGrid(9, fps=Fraction(30)), "16 frames every 16 at 30 fps"),
    ],
)
def test_shards_of_different_grid(videos: list[TrainingVideo], grid: SnippetGrid, words: str) -> None:
    write_shard(videos[5].shard, {"rgb": np.ones((9, DIM)), "flow": np.ones((9, DIM))}, grid)
    expected = (
        f"{videos[5].shard}: {words}, but 'v0' has 16 frames every 16 at 25 fps; extract all with the same settings"
    )
    assert str(refusal(videos)) == expected


def test_start_of_the_grid_may_differ(videos: list[TrainingVideo]) -> None:
    write_shard(videos[5].shard, {"rgb": np.ones((9, DIM)), "flow": np.ones((9, DIM))}, SnippetGrid(9, offset=4))
    assert len(TrainingSet(videos)) == 9


def test_stream_that_one_video_lacks(videos: list[TrainingVideo]) -> None:
    write_shard(videos[5].shard, {"rgb": np.ones((9, DIM))})
    data = TrainingSet(videos)
    assert data.dims == {"rgb": DIM}
    data.check(["rgb"], Silent())
    with pytest.raises(InputError, match=r"v5\.safetensors: no flow stream; extract it, or choose another"):
        data.check(["rgb", "flow"], Silent())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite(videos: list[TrainingVideo], value: float) -> None:
    flow = np.ones((9, DIM), np.float32)
    flow[4, 2] = value
    write_shard(videos[5].shard, {"rgb": np.ones((9, DIM)), "flow": flow})
    data = TrainingSet(videos)
    data.check(["rgb"], Silent())
    with pytest.raises(ShardError, match=r"v5\.safetensors: flow features are empty or not finite; run 'tal extract'"):
        data.check(["flow"], Silent())


def test_video_without_snippets(videos: list[TrainingVideo]) -> None:
    write_shard(videos[5].shard, {"rgb": np.ones((0, DIM))})
    with pytest.raises(ShardError, match=r"v5\.safetensors: rgb features are empty or not finite"):
        TrainingSet(videos).check(["rgb"], Silent())


def test_memory_is_bounded_and_the_longest_unused_goes_first(
    videos: list[TrainingVideo], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    sound = shards.read_stream

    def watched(path: Path, stream: str) -> np.ndarray:
        read.append(path.stem)
        return sound(path, stream)

    monkeypatch.setattr(shards, "read_stream", watched)
    size = TrainingSet(videos).features(0, "rgb").nbytes
    for video in videos[:3]:
        write_shard(video.shard, {"rgb": np.ones((size // 4 // DIM, DIM))})
    data = TrainingSet(videos, cache_bytes=2 * size)
    read.clear()
    for index in (0, 1, 0, 2, 0, 1):  # 2 pushes 1 out, not 0
        data.features(index, "rgb")
    assert read == ["v0", "v1", "v2", "v1"]


def test_no_memory_gives_the_same_features(videos: list[TrainingVideo]) -> None:
    ample, none = TrainingSet(videos), TrainingSet(videos, cache_bytes=0)
    chosen = np.array([[0, 3, 3], [1, 2, 17]])
    one, two = (data.sample(["rgb", "flow"], np.array([4, 1]), chosen) for data in (ample, none))
    assert np.array_equal(one, two)
    assert np.array_equal(one[1, 2, DIM:], ample.features(1, "flow")[17])


def test_features_cannot_be_changed_by_accident(videos: list[TrainingVideo]) -> None:
    with pytest.raises(ValueError, match="read-only"):
        TrainingSet(videos).features(0, "rgb")[0] = 0
