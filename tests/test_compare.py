"""Comparing runs and detections: what is compared, what the numbers are, what is told."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean, stdev

import compared
import numpy as np
import pytest
from annotated import detections
from compared import FEW, Data, written
from planted import CLASSES, Listener

import tal
from tal import config
from tal.annotations import read_truth
from tal.bootstrap import Interval
from tal.errors import ConfigError, InputError, ModelError
from tal.pipeline import Resampling, compare
from tal.pipeline.context import context
from tal.pipeline.localizing import localize_shards

data = compared.data  # a fixture


# Planted data


def test_a_trained_model_beats_an_untrained_one(data: Data) -> None:
    found = data.compare("good-seed0", "new", how=Resampling(1000))
    (pair,) = found.pairs
    assert pair.significant and pair.difference.value > 0.2
    assert 0 < pair.difference.low < pair.difference.value < pair.difference.high and pair.difference.other_sign == 0
    (turned,) = data.compare("new", "good-seed0", how=Resampling(1000)).pairs
    assert (turned.difference.low, turned.difference.high) == (-pair.difference.high, -pair.difference.low)


def test_a_model_does_not_beat_itself(data: Data) -> None:
    (pair,) = data.compare("good-seed0/", "good-seed0/model.safetensors").pairs
    assert pair.difference == Interval(0, 0, 0, 0) and not pair.significant


def test_numbers_are_those_of_the_stages_one_by_one(data: Data) -> None:
    found = data.compare("good", "new")
    known = read_truth(data.truth)
    files = {name: data.features / f"{name}.safetensors" for name in known.select("test").videos}
    expected = []
    for name in ("good-seed0", "good-seed1"):
        settings = tal.pipeline.model_settings(data.folder / "runs" / name)
        results = localize_shards(files, data.folder / "runs" / name, context(settings, data.cache, None))[0]
        expected.append(tal.evaluate(results, known, config.load(options={"evaluate.subset": "test"})))
    (line, _) = found.lines
    assert line.members == tuple(str(data.folder / "runs" / f"good-seed{i}") for i in (0, 1))
    assert line.map == tuple(tuple(one.map.tolist()) for one in expected)
    assert line.average.value == pytest.approx(fmean(one.average for one in expected))
    assert line.average_deviation == pytest.approx(stdev(one.average for one in expected))
    both = np.array([one.map for one in expected])
    assert line.mean == pytest.approx(both.mean(axis=0)) and line.deviation == pytest.approx(both.std(axis=0, ddof=1))
    assert line.average.low < line.average.value < line.average.high
    assert found.lines[1].deviation is None and found.lines[1].average_deviation is None
    assert (found.subset, found.n_videos, found.n_instances) == ("test", 20, 20)


def test_what_was_localized_is_not_localized_again(data: Data) -> None:
    data.compare("good", "new")
    entries = {entry.key for entry in data.cache.entries("localize")}
    listener = Listener()
    data.compare("good", "new", progress=listener)
    assert {entry.key for entry in data.cache.entries("localize")} == entries
    assert [title for title, _, _ in listener.tasks] == ["compare"]


def test_resamples_are_a_function_of_the_seed(data: Data) -> None:
    first, again, other = (data.compare("good-seed0", "new", how=Resampling(50, seed)) for seed in (1, 1, 2))
    assert first == again
    assert first.pairs[0].difference.value == other.pairs[0].difference.value and first != other
    wide, narrow = (data.compare("good-seed0", "new", how=Resampling(200, 0, c)).pairs[0] for c in (0.99, 0.5))
    assert wide.difference.low < narrow.difference.low < narrow.difference.high < wide.difference.high


def test_one_line_against_all_others(data: Data) -> None:
    runs = str(data.folder / "runs")
    every = data.compare("good", "new", "good-seed0")
    assert [(pair.first, pair.second) for pair in every.pairs] == [
        (f"{runs}/good", f"{runs}/new"),
        (f"{runs}/good", f"{runs}/good-seed0"),
        (f"{runs}/new", f"{runs}/good-seed0"),
    ]
    some = data.compare("good", "new", "good-seed0", against=f"{runs}/new")
    assert [(pair.first, pair.second) for pair in some.pairs] == [
        (f"{runs}/good", f"{runs}/new"),
        (f"{runs}/good-seed0", f"{runs}/new"),
    ]
    with pytest.raises(ConfigError, match=rf"^--against: nothing is called '{runs}/nev'; did you mean '{runs}/new'\?$"):
        data.compare("good", "new", against=f"{runs}/nev")


# The command


def test_the_tables(data: Data) -> None:
    done = data.command("runs/good", "runs/new", "-a", "truth.json", "-f", "features", "--subset", "test", "-q")
    assert done.returncode == 0, done.stderr
    found = data.compare("good", "new", how=Resampling())
    assert "activitynet protocol, subset test: 20 videos, 20 instances" in done.stdout
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line]
    good, first = found.lines[0], next(i for i, row in enumerate(rows) if row[0] == "runs/good")
    limits = f"{100 * good.average.low:.2f} to {100 * good.average.high:.2f}"
    assert rows[first] == [
        *("runs/good", "2", *(f"{100 * mean:.2f}" for mean in good.mean)),
        *(f"{100 * good.average.value:.2f}", limits),
    ]
    assert good.deviation is not None and good.average_deviation is not None
    spread = [f"± {100 * value:.2f}" for value in (*good.deviation, good.average_deviation)]
    assert rows[first + 1] == ["", "", *spread, ""]
    one = found.pairs[0].difference
    assert rows[-1] == [
        *("runs/good", "less runs/new", f"{100 * one.value:+.2f}"),
        *(f"{100 * one.low:+.2f} to {100 * one.high:+.2f}", "0.0 %"),
    ]
    assert "intervals: 1000 resamples of the videos, seed 0\n" in done.stderr


def test_json_holds_everything(data: Data) -> None:
    options = ["-a", "truth.json", "-f", "features", "--subset", "test", "--json", "-q"]
    options += ["--resamples", 200, "--seed", 4, "--tiou", 0.5, "--confidence", 0.9]
    done = data.command("runs/good-seed*", "runs/new", *options)
    found = json.loads(done.stdout)
    assert [(line["name"], len(line["members"])) for line in found["lines"]] == [("runs/good", 2), ("runs/new", 1)]
    assert found["bootstrap"] == {"resamples": 200, "seed": 4, "confidence": 0.9} and found["tiou"] == [0.5]
    (pair,) = found["pairs"]
    assert (pair["first"], pair["second"], pair["significant"]) == ("runs/good", "runs/new", True)
    value = found["lines"][0]["average"]["value"] - found["lines"][1]["average"]["value"]
    assert pair["value"] == pytest.approx(value) and pair["low"] < value < pair["high"]
    assert found["protocol"] == "activitynet" and found["n_videos"] == 20


def test_named_groups_and_seeds_that_stand_alone(data: Data) -> None:
    options = ["-a", "truth.json", "-f", "features", "--subset", "test", "--resamples", 10, "--json", "-q"]
    alone = json.loads(data.command("runs/good", "--each", *options).stdout)
    assert [line["name"] for line in alone["lines"]] == ["runs/good-seed0", "runs/good-seed1"]
    named = json.loads(data.command("--group", "mixed=runs/good-seed0,runs/new", "runs/new", *options).stdout)
    assert [(line["name"], line["members"]) for line in named["lines"]] == [
        ("runs/new", ["runs/new"]),
        ("mixed", ["runs/good-seed0", "runs/new"]),
    ]


# What is told


def test_the_subset_is_that_of_the_detections_or_of_the_features(data: Data, tmp_path: Path) -> None:
    file = written(tmp_path / "mine.json", v30=detections([(0, 10, 0.5)], CLASSES[0]))
    assert compare([file], data.truth, resampling=FEW).subset == "test"
    assert (
        compare([file, data.folder / "runs" / "new"], data.truth, features=data.features, resampling=FEW).n_videos == 20
    )
    with pytest.raises(ConfigError) as caught:
        compare([data.folder / "runs" / "new"], data.truth, features=data.features, cache=data.cache)
    assert str(caught.value) == (
        "which subset of the ground truth is to be compared (test, train)? choose one with --subset"
    )
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "v31.safetensors").write_bytes((data.features / "v31.safetensors").read_bytes())
    alone = compare([data.folder / "runs" / "new"], data.truth, features=tmp_path / "some", resampling=FEW)
    assert alone.subset == "test" and len(alone.lines[0].missing) == 19


def test_what_cannot_be_compared(data: Data, tmp_path: Path) -> None:
    run = data.folder / "runs" / "new"
    with pytest.raises(
        InputError, match=r"^.*/new: to compare a run, name the folder of the test videos' features with"
    ):
        compare([run], data.truth)
    settings = config.load(options={"evaluate.subset": "test"})
    with pytest.raises(InputError, match=r"no features of the videos of subset 'test'; extract them$"):
        compare([run], data.truth, settings, features=tmp_path)
    with pytest.raises(InputError, match=r"^none: no run folder, no detections file, and no seeds of a run; check the"):
        compare(["none"], data.truth)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"no model")
    with pytest.raises(ModelError, match="not a model or cut short"):
        compare([tmp_path / "broken"], data.truth, settings, features=data.features)
    with pytest.raises(ConfigError, match=r"^nothing to compare; name run folders or detections files$"):
        compare([], data.truth)
    for how in (Resampling(0), Resampling(confidence=1.0), Resampling(seed=-1)):
        with pytest.raises(ConfigError, match="draw at least once"):
            compare([run], data.truth, features=data.features, resampling=how)
