"""A training that was killed ends as one that was not; checkpoints that are no good are left aside."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trained
from planted import Killed, Listener, settings
from trained import metrics, run, same

from tal import models
from tal.training import TrainingSet
from tal.types import Features

data, straight = trained.data, trained.straight  # fixtures


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


def _inside_largest_record(path: Path) -> int:
    """Return the place of a byte that matters; zip files have padding, too."""
    with zipfile.ZipFile(path) as archive:
        record = max(archive.infolist(), key=lambda info: info.file_size)
    name_length, extra_length = struct.unpack_from("<HH", path.read_bytes(), record.header_offset + 26)
    return int(record.header_offset + 30 + name_length + extra_length + record.file_size // 2)


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
