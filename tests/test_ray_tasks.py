"""Several trainings and evaluations on a cluster: what they make is what they make one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import small
import swept
import torch
from ray_made import Raylets

from tal.cache import Cache
from tal.errors import TalError
from tal.pipeline import evaluate
from tal.pipeline.ray_cluster import RayOptions
from tal.pipeline.ray_tasks import evaluate_all, train_all_on_ray
from tal.pipeline.sweeps import parse_axis, plan, train_all

TRUTH = {"a": [("run", 0.0, 4.0)], "b": [("jump", 2.0, 6.0)]}


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Compute as a task with one core does."""
    n = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n)


def write_truth(path: Path) -> Path:
    database = {
        name: {
            "subset": "test",
            "duration": 10.0,
            "annotations": [{"label": label, "segment": [start, end]} for label, start, end in spans],
        }
        for name, spans in TRUTH.items()
    }
    path.write_text(json.dumps({"database": database}))
    return path


def write_detections(path: Path, shift: float) -> Path:
    results = {
        name: [{"label": label, "score": 0.9, "segment": [start + shift, end + shift]} for label, start, end in spans]
        for name, spans in TRUTH.items()
    }
    path.write_text(json.dumps({"results": results}))
    return path


@pytest.mark.usefixtures("one_thread")
def test_runs_of_a_sweep_are_the_same_on_a_cluster(tmp_path: Path, raylets: Raylets) -> None:
    data = swept.make_data(tmp_path)
    variants = plan(swept.load, "s", [parse_axis("train.lr=1e-3,1e-4")], (0, 1))
    here = train_all(variants, data.features, data.labels, runs=tmp_path / "here", cache=Cache(tmp_path / "c1"))
    after, detections = list[str](), [write_detections(tmp_path / f"d{i}.json", i / 2) for i in range(3)]
    with raylets.joined():
        there = train_all_on_ray(
            variants,
            data.features,
            data.labels,
            runs=tmp_path / "there",
            cache=Cache(tmp_path / "c2"),
            after=lambda run: after.append(run.path.name),
            options=RayOptions(cpus=1),
        )
        found = evaluate_all(
            [*detections, tmp_path / "none.json"],
            write_truth(tmp_path / "truth.json"),
            swept.load(),
            options=RayOptions(),
        )
    assert list(there.runs) == [one.name for one in variants] == list(here.runs) and not there.failures
    assert sorted(after) == sorted(there.runs)
    for name, run in there.runs.items():
        assert run.path == tmp_path / "there" / name
        assert run.model.read_bytes() == here.runs[name].model.read_bytes()
    for path in detections:
        one = found[path]
        assert not isinstance(one, TalError)
        assert one.to_dict() == evaluate(path, tmp_path / "truth.json", swept.load()).to_dict()
    assert isinstance(found[tmp_path / "none.json"], TalError) and "none.json" in str(found[tmp_path / "none.json"])


def test_several_files_are_evaluated_in_a_line_each(tmp_path: Path) -> None:
    write_truth(tmp_path / "truth.json")
    for name, shift in (("right", 0.0), ("late", 2.0)):
        write_detections(tmp_path / f"{name}.json", shift)
    given = ["evaluate", "right.json", "late.json", "truth.json", "--tiou", "0.5"]
    done = small.tal(*given, cwd=tmp_path, cache=tmp_path / "cache")
    lines = {line.split()[1]: line.split()[3] for line in done.stdout.splitlines() if ".json" in line}
    assert done.returncode == 0 and lines == {"right.json": "100.00", "late.json": "0.00"}  # IoU 1 and 1/3
    as_json = small.tal(*given, "--json", cwd=tmp_path, cache=tmp_path / "cache")
    assert [one["detections"] for one in json.loads(as_json.stdout)] == ["right.json", "late.json"]
    bad = small.tal("evaluate", "right.json", "none.json", "truth.json", cwd=tmp_path, cache=tmp_path / "cache")
    assert bad.returncode == 1 and "tal: 1 of 2 files failed" in bad.stderr
    csv = small.tal(*given, "--csv", cwd=tmp_path, cache=tmp_path / "cache")
    assert (csv.returncode, csv.stderr) == (2, "tal: --csv and --latex show one file; name one, or use --json\n")
