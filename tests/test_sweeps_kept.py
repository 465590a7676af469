"""What runs leave behind beside the model: the environment of the training, and scalars for TensorBoard."""

from __future__ import annotations

import getpass
import json
import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from planted import CLASSES, Killed, Listener
from small import Done
from small import tal as command
from swept import OPTIONS, Data, load, make_data

import tal
from tal import checkpoints, models
from tal.cache import Cache
from tal.errors import BackendError
from tal.pipeline import environments


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return make_data(tmp_path_factory.mktemp("runs"))


# The environment


def trained_under(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "environment.json").read_text())["trained_under"]
    return found


def test_a_run_says_what_it_was_trained_under(data: Data, tmp_path: Path) -> None:
    run = tal.train(data.features, data.labels, load(), runs=tmp_path, cache=Cache(tmp_path / "cache"))
    (found,) = trained_under(run.path)
    assert found == {
        "tal": models.tool_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": f"CPython {platform.python_version()}",
        "platform": found["platform"],
        "cpu": environments.cpu_name(),
        "cpu_instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": "cpu",
    }
    assert found["platform"].startswith(f"{platform.system()} {platform.machine()}")


def test_no_user_host_or_path_is_named(data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = f"6.1-built-by-{getpass.getuser()}"
    monkeypatch.setattr(platform, "node", lambda: "secrethost")
    monkeypatch.setattr(platform, "uname", lambda: platform.uname_result("Linux", "secrethost", release, "v", "x86_64"))
    run = tal.train(data.features, data.labels, load(), runs=tmp_path, cache=Cache(tmp_path / "cache"))
    text = (run.path / "environment.json").read_text()
    assert (
        "secrethost" not in text and release not in text and str(tmp_path) not in text and str(Path.home()) not in text
    )
    assert "Linux x86_64" in text
    assert {key for one in trained_under(run.path) for key in one} <= {
        *("tal", "torch", "numpy", "python", "platform", "cpu", "cpu_instructions", "threads", "device", "gpu", "cuda")
    }


def test_the_processors_name(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: Made-up CPU @ 3 GHz\nprocessor\t: 1\nmodel name\t: B\n"
    )
    assert environments.cpu_name(tmp_path / "cpuinfo") == "Made-up CPU @ 3 GHz"
    assert environments.cpu_name(tmp_path / "none") != ""


@dataclass
class Elsewhere:
    """Pretends to be one machine after the other."""

    now: str = "first"
    asked: list[str] = field(default_factory=list)

    def __call__(self, device: str) -> dict[str, str | int]:
        self.asked.append(device)
        return {"cpu": self.now}


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    machine = Elsewhere()
    monkeypatch.setattr(environments, "describe", machine)
    return machine


def test_a_run_from_the_cache_names_the_environment_of_its_training(
    data: Data, tmp_path: Path, elsewhere: Elsewhere
) -> None:
    cache = Cache(tmp_path / "cache")
    tal.train(data.features, data.labels, load(), runs=tmp_path / "a", cache=cache)
    elsewhere.now = "second"
    copied = tal.train(data.features, data.labels, load(), runs=tmp_path / "b", cache=cache)
    assert copied.cached and trained_under(copied.path) == [{"cpu": "first"}]
    anew = tal.train(data.features, data.labels, load(), runs=tmp_path / "b", cache=Cache(cache.root, force=True))
    assert not anew.cached and trained_under(anew.path) == [{"cpu": "second"}]


def test_a_training_that_went_on_elsewhere_names_both(data: Data, tmp_path: Path, elsewhere: Elsewhere) -> None:
    cache = Cache(tmp_path / "cache")

    def go(kill_at: int = 0) -> Path:
        listener = Listener(kill_at=kill_at)
        return tal.train(data.features, data.labels, load(), runs=tmp_path, cache=cache, progress=listener).path

    with pytest.raises(Killed):
        go(kill_at=2)  # before the first checkpoint: nothing of it is used
    elsewhere.now = "second"
    with pytest.raises(Killed):
        go(kill_at=7)
    with pytest.raises(Killed):
        go(kill_at=8)
    elsewhere.now = "third"
    assert trained_under(go()) == [{"cpu": "second"}, {"cpu": "third"}]


def test_a_training_kept_from_before_environments_were_recorded_names_none(data: Data, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    first = tal.train(data.features, data.labels, load(), runs=tmp_path / "a", cache=cache)
    (entry,) = cache.entries("train")
    record = json.loads((entry.path / "entry.json").read_text())
    del record["files"]["environment.json"]
    (entry.path / "environment.json").unlink()
    (entry.path / "entry.json").write_text(json.dumps(record))
    again = tal.train(data.features, data.labels, load(), runs=tmp_path / "a", cache=cache)
    assert again.cached and again.path == first.path and trained_under(again.path) == []


def test_the_environment_is_in_no_key(data: Data, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    tal.train(data.features, data.labels, load(), runs=tmp_path, cache=cache)
    (entry,) = cache.entries("train")
    assert set(entry.preimage) == {"stage", "version", "method", "train", "videos"}
    assert not (entry.path / checkpoints.FILE).exists()


# TensorBoard


class Board:
    """Stands in for TensorBoard's writer: what it is given goes to a file."""

    def __init__(self, log_dir: str, filename_suffix: str) -> None:
        Path(log_dir).mkdir(parents=True, exist_ok=True)
        n = len(list(Path(log_dir).iterdir()))
        self.path, self.lines = Path(log_dir) / f"events.out.tfevents.{n}.host{filename_suffix}", []

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        self.path.write_text(json.dumps(self.lines))

    def add_scalar(self, tag: str, scalar_value: float, global_step: int, walltime: float) -> None:
        self.lines.append([tag, scalar_value, global_step, walltime])


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Board
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)


def train_with_board(data: Data, folder: Path, *more: object) -> Done:
    options = [*data.places(), *OPTIONS, "--tensorboard", "board", *more]
    return command("train", *options, cwd=folder, cache=folder / "cache")


@pytest.mark.usefixtures("board")
def test_tensorboard_gets_the_metrics_of_each_run_once(data: Data, tmp_path: Path) -> None:
    long = ("--seeds", "0,1", "--set", "train.steps=25")
    assert train_with_board(data, tmp_path, *long).returncode == 0
    (tmp_path / "board" / "stpn-seed1" / "mine.txt").write_text("")
    assert train_with_board(data, tmp_path, *long).returncode == 0  # replaced, not added
    for name in ("stpn-seed0", "stpn-seed1"):
        (file,) = (tmp_path / "board" / name).glob("events*")
        lines = [json.loads(line) for line in (tmp_path / "runs" / name / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [20, 25]
        assert json.loads(file.read_text()) == [
            [f"rgb/{loss}", value, line["step"], line["seconds"]]
            for line in lines
            for loss, value in line["losses"].items()
        ]
    assert (tmp_path / "board" / "stpn-seed1" / "mine.txt").exists()


def test_a_missing_tensorboard_is_told_before_anything_is_trained(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    done = train_with_board(data, tmp_path)
    assert done.returncode == BackendError.exit_code
    assert done.stderr == "tal: TensorBoard is not installed; pip install tal[tensorboard]\n"
    assert not (tmp_path / "runs").exists()


def test_classes_of_the_planted_data_are_all_there(data: Data, tmp_path: Path) -> None:
    run = tal.train(data.features, data.labels, load(), runs=tmp_path, cache=Cache(tmp_path / "cache"))
    assert (run.method, run.classes, run.n_videos) == ("stpn", CLASSES, 6)
    assert run.metrics == tmp_path / "stpn" / "metrics.jsonl" and run.metrics.is_file()
