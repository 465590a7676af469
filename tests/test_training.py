"""Training: it learns, it is repeatable, and a run that was killed ends as one that was not."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted import CLASSES, DIM, Killed, Listener, planted, settings, training_videos
from safetensors.numpy import load_file

from tal import config, models, shards
from tal.errors import BackendError, ConfigError, InputError, ModelError
from tal.methods._base import Batch, LabelledVideo
from tal.methods.stpn import Network
from tal.progress import Silent
from tal.settings import Settings
from tal.training import TrainingSet, TrainingVideo, fit
from tal.types import Features, SnippetGrid


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    return TrainingSet(training_videos(tmp_path_factory.mktemp("shards")), CLASSES)


@pytest.fixture(scope="module")
def straight(data: TrainingSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of both streams that nobody interrupted."""
    return run(data, settings(), tmp_path_factory.mktemp("straight"))


def run(data: TrainingSet, how: Settings, work: Path, listener: Listener | None = None) -> Path:
    work.mkdir(exist_ok=True)
    fit(data, how, work, listener or Silent())
    return work


def weights(work: Path) -> dict[str, np.ndarray]:
    return load_file(work / "model.safetensors")


def metrics(work: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (work / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def same(one: Path, two: Path) -> bool:
    return (one / "model.safetensors").read_bytes() == (two / "model.safetensors").read_bytes()


def test_planted_actions_are_learned_and_found(tmp_path: Path) -> None:
    data = TrainingSet(training_videos(tmp_path, 24, ["rgb"]), CLASSES)
    how = settings(fusion="rgb", steps=250, batch_size=8, n_snippets=30, lr=2e-2)
    model = models.load(run(data, how, tmp_path / "run"))
    rng = np.random.default_rng(99)  # other videos than those of the training
    for actions in ([0], [1], [2], [0, 2]):
        features, where = planted(rng, actions, 60)
        found = model.activate(Features({"rgb": features}, SnippetGrid(60), 38.4))["rgb"]
        peaks = (found.attention[:, None] * found.cas).argmax(axis=0)
        assert all(where[peaks[action], action] for action in actions)
        assert found.scores[actions].min() > max(np.delete(found.scores, actions))


def test_run_leaves_model_and_metrics_only(straight: Path) -> None:
    assert sorted(path.name for path in straight.iterdir()) == ["metrics.jsonl", "model.safetensors"]
    assert [(line["network"], line["step"]) for line in metrics(straight)] == [("rgb", 12), ("flow", 12)]
    assert set(metrics(straight)[0]["losses"]) == {"class", "sparsity"}


def test_metrics_are_means_over_twenty_updates(data: TrainingSet, tmp_path: Path) -> None:
    listener = Listener()
    lines = metrics(run(data, settings(fusion="rgb", steps=45), tmp_path, listener))
    totals = [float(note.removeprefix("loss ")) for note in listener.notes]
    assert [line["step"] for line in lines] == [20, 40, 45]
    means = [np.mean(totals[:20]), np.mean(totals[20:40]), np.mean(totals[40:])]
    assert [sum(line["losses"].values()) for line in lines] == pytest.approx(means, abs=1e-4)


def test_progress_has_one_task_per_network(data: TrainingSet, tmp_path: Path) -> None:
    listener = Listener()
    run(data, settings(), tmp_path, listener)
    assert listener.tasks == [
        ("check features", 9, "videos"),
        ("train rgb", 12, "updates"),
        ("train flow", 12, "updates"),
    ]
    assert listener.updates == 24
    assert listener.said == []


@pytest.mark.parametrize("kill_at", [3, 5, 8, 12, 14, 17, 24])
def test_killed_run_ends_as_one_that_was_not(data: TrainingSet, straight: Path, tmp_path: Path, kill_at: int) -> None:
    with pytest.raises(Killed):
        run(data, settings(), tmp_path, Listener(kill_at))
    assert not (tmp_path / "model.safetensors").exists()
    run(data, settings(), tmp_path)
    assert same(tmp_path, straight)
    assert metrics(tmp_path) == metrics(straight)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_killed_again_and_again(data: TrainingSet, straight: Path, tmp_path: Path) -> None:
    for kill_at in (2, 4, 7, 11, 12):  # a resumed run counts what its checkpoint has
        with pytest.raises(Killed):
            run(data, settings(every=1), tmp_path, Listener(kill_at))
    run(data, settings(every=1), tmp_path)
    assert same(tmp_path, straight)
    assert metrics(tmp_path) == metrics(straight)


def test_signal_that_cannot_be_caught(data: TrainingSet, straight: Path, tmp_path: Path) -> None:
    videos = [(video.name, str(video.shard), video.labels) for video in data.videos]
    script = f"""
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
import planted
from tal.training import TrainingSet, TrainingVideo, fit
videos = [TrainingVideo(name, Path(shard), labels) for name, shard, labels in {videos!r}]
class Deadly(planted.Listener):
    def die(self):
        os.kill(os.getpid(), signal.SIGKILL)
fit(TrainingSet(videos, planted.CLASSES), planted.settings(), Path({str(tmp_path)!r}), Deadly(kill_at=18))
"""
    ended = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert (tmp_path / "checkpoint.pt").exists()
    listener = Listener()
    run(data, settings(), tmp_path, listener)
    assert [title for title, _, _ in listener.tasks] == ["check features", "train flow"]
    assert listener.updates == 12
    assert same(tmp_path, straight)
    assert metrics(tmp_path) == metrics(straight)


@pytest.mark.parametrize("harm", ["cut", "flip", "noise", "empty", "pickle"])
def test_damaged_checkpoint_is_left_aside(data: TrainingSet, straight: Path, tmp_path: Path, harm: str) -> None:
    with pytest.raises(Killed):
        run(data, settings(), tmp_path, Listener(kill_at=18))
    path = tmp_path / "checkpoint.pt"
    content = bytearray(path.read_bytes())
    if harm == "flip":
        content[_inside_largest_record(path)] ^= 1
    new = {"cut": content[:-40], "noise": b"\x00\x01" * 500, "empty": b"", "pickle": b"\x80\x04K\x01."}
    path.write_bytes(bytes(new.get(harm, content)))
    listener = Listener()
    run(data, settings(), tmp_path, listener)
    assert listener.said == [f"{path}: damaged checkpoint, training starts anew"]
    assert same(tmp_path, straight)
    assert metrics(tmp_path) == metrics(straight)


def test_half_written_files_of_a_killed_run_are_removed(data: TrainingSet, tmp_path: Path) -> None:
    (tmp_path / ".checkpoint.pt.4711.part").write_bytes(b"half")
    run(data, settings(fusion="rgb", steps=1), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.jsonl", "model.safetensors"]


def test_checkpoint_executes_nothing(data: TrainingSet, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "executed",))

    torch.save({"fingerprint": Evil()}, tmp_path / "checkpoint.pt")
    listener = Listener()
    run(data, settings(fusion="rgb", steps=1), tmp_path, listener)
    assert not (tmp_path / "executed").exists()
    assert listener.said == [f"{tmp_path / 'checkpoint.pt'}: damaged checkpoint, training starts anew"]


def test_checkpoint_of_another_run_is_left_aside(data: TrainingSet, straight: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(data, settings(lr=0.5), tmp_path, Listener(kill_at=8))
    listener = Listener()
    run(data, settings(), tmp_path, listener)
    assert listener.said == [f"{tmp_path / 'checkpoint.pt'}: checkpoint of another run, training starts anew"]
    assert same(tmp_path, straight)


def test_how_often_checkpoints_are_written_changes_nothing(data: TrainingSet, straight: Path, tmp_path: Path) -> None:
    assert same(run(data, settings(every=1), tmp_path), straight)


def test_seed_decides(data: TrainingSet, straight: Path, tmp_path: Path) -> None:
    other = weights(run(data, settings(seed=1), tmp_path))
    assert not np.allclose(other["rgb/classifier.weight"], weights(straight)["rgb/classifier.weight"], atol=1e-2)


def test_order_in_which_videos_are_given_does_not_matter(data: TrainingSet, straight: Path, tmp_path: Path) -> None:
    assert same(run(TrainingSet(data.videos[::-1], CLASSES), settings(), tmp_path), straight)


def test_one_stream_alone_is_the_same_network_as_in_late_fusion(
    data: TrainingSet, straight: Path, tmp_path: Path
) -> None:
    both = weights(straight)
    for stream in ("rgb", "flow"):
        alone = weights(run(data, settings(fusion=stream), tmp_path / stream))
        assert set(alone) == {key for key in both if key.startswith(stream)}
        assert all(np.array_equal(alone[key], both[key]) for key in alone)


def test_early_fusion_reads_both_streams_side_by_side(data: TrainingSet, tmp_path: Path) -> None:
    meta = models.read_meta(run(data, settings(fusion="early"), tmp_path))
    assert meta.networks == {"rgb+flow": 2 * DIM}
    assert meta.streams == {"rgb": DIM, "flow": DIM}
    assert weights(tmp_path)["rgb+flow/classifier.weight"].shape == (3, 2 * DIM)


def test_model_knows_how_it_was_made(data: TrainingSet, straight: Path) -> None:
    meta = models.read_meta(straight)
    assert meta.method == {
        "name": "stpn",
        "hidden": 8,
        "attention": True,
        "beta": 1e-4,
        "pool": "mean",
        "precision": "auto",
    }
    assert meta.classes == CLASSES
    assert meta.features == {"settings": {"fps": "25"}, "grid": {"fps": "25", "length": 16, "stride": 16}}
    assert Settings.model_validate(meta.settings).train == settings().train
    assert "runtime" not in meta.settings


def test_callers_random_numbers_are_left_alone(data: TrainingSet, straight: Path, tmp_path: Path) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    run(data, settings(), tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert same(tmp_path, straight)


def test_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(
    data: TrainingSet, straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Batch] = []
    sound = Network.objectives

    def broken(self: Network, batch: Batch) -> Iterator[dict[str, torch.Tensor]]:
        seen.append(batch)
        for losses in sound(self, batch):
            yield {**losses, "class": losses["class"] * torch.nan} if len(seen) == 8 else losses

    monkeypatch.setattr(Network, "objectives", broken)
    with pytest.raises(ModelError) as caught:
        run(data, settings(), tmp_path)
    cause = "rgb, update 8: loss 'class' is nan; lower train.lr, or look at the features"
    assert str(caught.value) == f"{cause}; the checkpoint of update 5 is kept"
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 5
    monkeypatch.undo()
    assert same(run(data, settings(), tmp_path), straight)


def test_learning_rate_that_is_far_too_high_is_told(data: TrainingSet, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^rgb, update \d+: .*; lower train\.lr[^\n]*$"):
        run(data, settings(lr=1e38), tmp_path)


def test_each_yielded_objective_gets_its_own_step(
    data: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice(self: Network, batch: Batch) -> Iterator[dict[str, torch.Tensor]]:
        for name in ("first", "second"):
            yield {name: self.classifier.bias.sum()}

    monkeypatch.setattr(Network, "objectives", twice)
    bias = weights(run(data, settings(fusion="rgb", steps=1, lr=0.125), tmp_path))["rgb/classifier.bias"]
    np.testing.assert_allclose(bias, -0.25, rtol=1e-5)  # Adam moves by lr per step under a constant gradient
    assert set(metrics(tmp_path)[0]["losses"]) == {"first", "second"}


def test_batches_hold_the_snippets_they_name(
    data: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Batch] = []
    sound = Network.objectives

    def watched(self: Network, batch: Batch) -> Iterator[dict[str, torch.Tensor]]:
        seen.append(batch)
        return sound(self, batch)

    monkeypatch.setattr(Network, "objectives", watched)
    run(data, settings(fusion="early", steps=9), tmp_path)
    for batch in seen:
        assert batch.features.shape == (4, 20, 2 * DIM)
        for row, (video, chosen) in enumerate(zip(batch.aux["video"], batch.aux["snippet"], strict=True)):
            expected = np.concatenate([data.features(int(video), s)[chosen] for s in ("rgb", "flow")], axis=1)
            assert np.array_equal(batch.features[row].numpy(), expected)
            named = {CLASSES[c] for c in batch.labels[row].nonzero()[:, 0]}
            assert named == set(data.videos[int(video)].labels)
    visits = torch.cat([batch.aux["video"] for batch in seen])  # 9 updates of 4: four epochs of 9 videos
    assert all(sorted(epoch.tolist()) == list(range(9)) for epoch in visits.split(9))


def test_prepare_sees_every_video_once_before_the_first_update(
    data: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[LabelledVideo] = []

    def look(self: Network, videos: Iterator[LabelledVideo]) -> None:
        seen.extend(videos)

    monkeypatch.setattr(Network, "prepare", look)
    run(data, settings(fusion="early", steps=1), tmp_path)
    assert [video.features.shape for video in seen] == [(header.grid.n_snippets, 2 * DIM) for header in data.headers]
    assert np.array_equal(np.stack([video.labels for video in seen]), data.labels)
    assert all(video.motion is None for video in seen)


def test_missing_stream_is_told_before_training(tmp_path: Path) -> None:
    videos = training_videos(tmp_path, streams=["rgb"])
    with pytest.raises(InputError) as caught:
        run(TrainingSet(videos), settings(), tmp_path / "run")
    assert str(caught.value) == (f"{videos[0].shard}: no flow stream; extract it, or choose another train.fusion")


def test_misspelt_hyper_parameter_is_told_before_training(data: TrainingSet, tmp_path: Path) -> None:
    wrong = settings().model_copy(update={"method": {"name": "stpn", "bta": 1e-3}})
    with pytest.raises(ConfigError, match=r"unknown key 'method\.bta'; did you mean 'method\.beta'\?"):
        run(data, wrong, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_device_that_is_not_there(data: TrainingSet, tmp_path: Path) -> None:
    how = settings().model_copy(update={"runtime": settings().runtime.model_copy(update={"device": "cuda:63"})})
    with pytest.raises(BackendError, match="device 'cuda:63' is not on this machine"):
        run(data, how, tmp_path)


@pytest.mark.gpu
def test_killed_run_goes_on_on_a_gpu(data: TrainingSet, straight: Path, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        (pytest.fail if os.environ.get("TAL_REQUIRE_GPU") == "1" else pytest.skip)("needs a CUDA device")
    on_gpu = settings().runtime.model_copy(update={"device": "cuda"})
    how = settings().model_copy(update={"runtime": on_gpu})
    with pytest.raises(Killed):
        run(data, how, tmp_path, Listener(kill_at=8))
    trained, on_cpu = models.load(run(data, how, tmp_path), "cuda"), models.load(straight)
    features = Features({s: data.features(0, s) for s in ("rgb", "flow")}, data.headers[0].grid, 20)
    for name, found in trained.activate(features).items():
        np.testing.assert_allclose(found.scores, on_cpu.activate(features)[name].scores, atol=0.05)


def test_standardised_training_ignores_the_features_offset_and_scale(tmp_path: Path) -> None:
    """Features shifted and stretched per dimension give the same model outputs when they are standardised."""
    rng = np.random.default_rng(0)
    shift, stretch = rng.normal(0, 50, 6).astype(np.float32), rng.uniform(0.5, 20, 6).astype(np.float32)
    scores = []
    for name, change in (("plain", lambda x: x), ("changed", lambda x: x * stretch + shift)):
        folder = tmp_path / name
        videos = [_video(folder, i, change) for i in range(6)]
        sets = ["train.fusion=rgb", "train.standardise=true", "train.steps=30", "train.n_snippets=8"]
        (folder / "work").mkdir()
        fit(TrainingSet(videos), config.load(sets=sets), folder / "work", Silent())
        model = models.load(folder / "work")
        scores.append(model.activate(shards.read(videos[0].shard))["rgb"].cas)
    assert np.allclose(*scores, atol=0.02)


def _video(folder: Path, i: int, change: Callable[[np.ndarray], np.ndarray]) -> TrainingVideo:
    values = np.random.default_rng([1, i]).standard_normal((10, 6)).astype(np.float32)
    path = folder / f"v{i}.safetensors"
    shards.write(path, Features({"rgb": change(values).astype(np.float32)}, SnippetGrid(10), 6.4), "key")
    return TrainingVideo(f"v{i}", path, (("a", "b")[i % 2],))


def _inside_largest_record(path: Path) -> int:
    """Return the place of a byte that matters; zip files have padding, too."""
    with zipfile.ZipFile(path) as archive:
        record = max(archive.infolist(), key=lambda info: info.file_size)
    name_length, extra_length = struct.unpack_from("<HH", path.read_bytes(), record.header_offset + 26)
    return int(record.header_offset + 30 + name_length + extra_length + record.file_size // 2)
