"""Several seeds and grids of settings: what is asked for, what the runs are called, what is done again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from planted import Killed, Listener
from small import tal as command
from swept import OPTIONS, Data, load, make_data, trainings

import tal
from tal import models
from tal.cache import Cache
from tal.errors import ConfigError, ModelError
from tal.methods._base import Batch
from tal.methods.stpn import Network
from tal.pipeline.sweeps import MAX_NAME, Axis, Variant, parse_axis, plan, safe, train_all


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return make_data(tmp_path_factory.mktemp("runs"))


# The grid


def test_a_grid_has_every_combination_under_a_name_of_its_own() -> None:
    axes = [parse_axis("train.lr=1e-3,1e-4"), parse_axis("method.hidden=8,16")]
    found = plan(load, "mine", axes, (0, 3))
    assert [one.name for one in found] == [
        f"mine-train.lr={lr}-method.hidden={hidden}-seed{seed}"
        for lr in ("1e-3", "1e-4")
        for hidden in (8, 16)
        for seed in (0, 3)
    ]
    assert [(one.settings.train.lr, one.settings.method["hidden"], one.settings.train.seed) for one in found] == [
        (lr, hidden, seed) for lr in (1e-3, 1e-4) for hidden in (8, 16) for seed in (0, 3)
    ]
    assert all(one.settings.train.steps == 12 for one in found)


def test_without_a_grid_there_is_one_run_of_the_plain_name() -> None:
    assert plan(load) == (Variant("stpn", load()),)
    assert [one.name for one in plan(load, seeds=(4,))] == ["stpn-seed4"]
    assert [one.name for one in plan(load, axes=[parse_axis("train.seed=1,2")])] == ["stpn-seed1", "stpn-seed2"]


def test_a_name_depends_on_its_own_values_alone() -> None:
    few = plan(load, axes=[parse_axis("localize.thresholds=[0.5],[0.1,0.2]")])
    more = plan(load, axes=[parse_axis("localize.thresholds=[0.7],[0.5],[0.1,0.2]")])
    assert [one.name for one in more[1:]] == [one.name for one in few]


@given(st.lists(st.text(min_size=1, max_size=12), min_size=2, max_size=6, unique=True))
def test_values_in_names_are_safe_and_differ(values: list[str]) -> None:
    names = [safe(value) for value in values]
    assert len(set(names)) == len(values)
    assert all(
        re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._,+~-]*|-[A-Za-z0-9._,+~-]*|[~+,][A-Za-z0-9._,+~-]*", n) for n in names
    )


def test_a_long_name_is_cut_and_still_differs() -> None:
    axes = [Axis("train.guide", ("x" * 300, "x" * 301))]
    names = [one.name for one in plan(load, "run", axes, (12,))]
    assert len(set(names)) == 2
    assert all(len(name) == MAX_NAME + len("-seed12") and name.endswith("-seed12") for name in names)


@pytest.mark.parametrize(
    ("axes", "seeds", "message"),
    [
        (["train.lr=0.001,1e-3"], (), "--sweep: s-train.lr=0.001 and s-train.lr=1e-3 have the same settings; does an"),
        (["train.lr=1,2", "train.lr=3"], (), "--sweep: train.lr is set twice; name each key once"),
        (["train.seed=1,2"], (3,), "--sweep: train.seed is set twice; name each key once, and seeds by --seeds or"),
        (["train.guide=a,A"], (), "--sweep: two runs would share the folder s-train.guide=A; write the values"),
        (["train.lrr=1,2"], (), "--set: unknown key 'train.lrr'; did you mean 'train.lr'?"),
        (["train.lr=1,fast"], (), "--set: train.lr: input should be a valid number"),
        (["train.steps=" + ",".join(map(str, range(1, 102)))], tuple(range(100)), "10100 runs; at most 10000 at once"),
    ],
)
def test_a_grid_that_cannot_be(axes: list[str], seeds: tuple[int, ...], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(load, "s", [parse_axis(text) for text in axes], seeds)
    assert str(caught.value).startswith(message)


def test_an_option_that_sets_the_swept_key_is_told(data: Data, tmp_path: Path) -> None:
    done = command("train", *data.places(), "--seed", 3, "--sweep", "train.seed=0,1", cwd=tmp_path, cache=tmp_path)
    assert done.returncode == 2 and "stpn-seed0 and stpn-seed1 have the same settings" in done.stderr
    done = command("train", *data.places(), "--seed", 3, "--seeds", "0-1", cwd=tmp_path, cache=tmp_path)
    assert (done.returncode, done.stderr) == (2, "tal: --seed and --seeds; give one of them\n")


# The runs


def test_each_run_is_what_it_would_be_alone(data: Data, tmp_path: Path) -> None:
    options = ["--seeds", "0,3", "--sweep", "method.hidden=8,16", "--name", "mine"]
    done = command("train", *data.places(), *OPTIONS, *options, cwd=tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    names = [f"mine-method.hidden={hidden}-seed{seed}" for hidden in (8, 16) for seed in (0, 3)]
    assert done.stdout.splitlines() == [f"runs/{name}" for name in names]
    assert f"4 runs: {names[0]} ... {names[3]}\nrun 1 of 4: {names[0]}\n" in done.stderr
    assert f"stpn, {names[0]}, trained on 6 videos, 3 classes\n" in done.stderr
    assert sorted(path.name for path in (tmp_path / "runs" / names[1]).iterdir()) == [
        "advice.json",
        "config.yaml",
        "environment.json",
        "metrics.jsonl",
        "model.safetensors",
    ]
    for name, hidden, seed in ((names[1], 8, 3), (names[2], 16, 0)):
        how = load([f"method.hidden={hidden}", f"train.seed={seed}"])
        alone = tal.train(data.features, data.labels, how, runs=tmp_path / "alone", cache=Cache(tmp_path / "other"))
        assert (tmp_path / "runs" / name / "model.safetensors").read_bytes() == alone.model.read_bytes()
    assert len({(tmp_path / "runs" / name / "model.safetensors").read_bytes() for name in names}) == 4
    again = command("train", *data.places(), *OPTIONS, *options, cwd=tmp_path, cache=tmp_path / "cache")
    assert again.stdout == done.stdout and again.stderr.count("was trained before on 6 videos") == 4


def test_settings_of_localization_alone_share_a_training(data: Data, tmp_path: Path) -> None:
    listener = Listener()
    variants = plan(load, axes=[parse_axis("localize.nms=0.3,0.4,0.5")])
    report = train_all(
        variants, data.features, data.labels, runs=tmp_path, cache=Cache(tmp_path / "cache"), progress=listener
    )
    assert trainings(listener) == 1 and [run.cached for run in report.runs.values()] == [False, True, True]
    kept = [models.read_meta(run.path).settings["localize"]["nms"] for run in report.runs.values()]
    assert kept == [0.3, 0.4, 0.5]


def test_a_sweep_that_was_killed_in_its_second_run_goes_on_there(data: Data, tmp_path: Path) -> None:
    def go(listener: Listener, cache: str) -> dict[str, Path]:
        variants = plan(load, seeds=(0, 1, 2))
        report = train_all(
            variants,
            data.features,
            data.labels,
            runs=tmp_path / "runs",
            cache=Cache(tmp_path / cache),
            progress=listener,
        )
        return {name: run.model for name, run in report.runs.items()}

    with pytest.raises(Killed):
        go(Listener(kill_at=12 + 7), "cache")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["stpn-seed0"]
    second = Listener()
    found = go(second, "cache")
    assert trainings(second) == 2  # the finished one is not begun again
    assert second.notes.count("from checkpoint") == 1 and second.updates == 24
    assert list(found) == ["stpn-seed0", "stpn-seed1", "stpn-seed2"]
    contents = {name: model.read_bytes() for name, model in found.items()}
    assert {name: model.read_bytes() for name, model in go(Listener(), "undisturbed").items()} == contents


@pytest.fixture
def nine_units_break(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the loss of trainings with 9 hidden units infinite."""
    sound = Network.objectives

    def broken(self: Network, batch: Batch) -> Iterator[dict[str, torch.Tensor]]:
        for losses in sound(self, batch):
            nine = any(9 in values.shape for values in self.parameters())
            yield {key: value * (torch.inf if nine else 1) for key, value in losses.items()}

    monkeypatch.setattr(Network, "objectives", broken)


@pytest.mark.usefixtures("nine_units_break")
def test_a_run_that_fails_stops_no_other(data: Data, tmp_path: Path) -> None:
    done = command(
        *("train", *data.places(), *OPTIONS, "--sweep", "method.hidden=8,9,10"), cwd=tmp_path, cache=tmp_path / "cache"
    )
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["runs/stpn-method.hidden=8", "runs/stpn-method.hidden=10"]
    reason = "rgb, update 1: loss 'class' is inf; lower train.lr, or look at the features"
    assert done.stderr.endswith(f"  stpn-method.hidden=9: {reason}\ntal: 1 of 3 runs failed\n")
    assert not (tmp_path / "runs" / "stpn-method.hidden=9").exists()


@pytest.mark.usefixtures("nine_units_break")
def test_what_is_wrong_with_all_runs_is_one_line(data: Data, tmp_path: Path) -> None:
    variants = plan(lambda more: load(["method.hidden=9", *more]), seeds=(0, 1))
    with pytest.raises(ModelError, match=r"^rgb, update 1: loss 'class' is inf"):
        train_all(variants, data.features, data.labels, runs=tmp_path, cache=Cache(tmp_path / "cache"))


def test_a_hyper_parameter_that_is_not_known_is_told_before_anything_is_trained(data: Data, tmp_path: Path) -> None:
    variants = (Variant("good", load()), Variant("bad", load(["method.hiden=3"])))
    listener = Listener()
    with pytest.raises(ConfigError, match=r"unknown key 'method\.hiden'; did you mean 'method\.hidden'\?"):
        train_all(
            variants, data.features, data.labels, runs=tmp_path, cache=Cache(tmp_path / "cache"), progress=listener
        )
    assert trainings(listener) == 0
