"""What the overview tells of a run: losses, learning rate, settings; and what it says of damaged files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from diagnosed import found

from tal import config
from tal.errors import AnnotationError, ConfigError
from tal.report.dataset import MAX_ROWS, MAX_TEXT, overview
from tal.report.dataset_training import MAX_POINTS, training
from tal.results import Results

PROVENANCE = {
    "tal": "1",
    "empty": {"quiet": "no class is likely"},
    "localize": {"nms": 0.5, "thresholds": [0.1, 0.2], "on": True},
}
RESULTS = Results({"a": found(("dive", 0, 10, 0.9)), "quiet": ()}, PROVENANCE)


def run_folder(path: Path, n_lines: int, settings: str | None = None, extra: str = "") -> Path:
    path.mkdir(exist_ok=True)
    lines = [
        {
            "network": name,
            "step": 20 * (i + 1),
            "losses": {"class": 1.0 / (i + 1), "<b>": 2.0},
            "seconds": 0.5 * (i + 1),
        }
        for name in ("rgb", "flow")
        for i in range(n_lines)
    ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + extra)
    if settings is not None:
        (path / "config.yaml").write_text(settings)
    return path


def test_training_curves_of_each_network(tmp_path: Path) -> None:
    run = run_folder(tmp_path, 3, "train: {steps: 60, lr: 0.01, decay: 0.1, decay_at: [0.5]}")
    rgb, flow = training(run) or []
    assert (rgb["network"], flow["network"]) == ("rgb", "flow")
    assert rgb["steps"] == [20, 40, 60]
    assert rgb["losses"] == {"<b>": [2.0, 2.0, 2.0], "class": [1.0, 0.5, 0.33333]}
    assert rgb["lr"] == [0.01, 0.001, 0.001]
    assert rgb["seconds"] == 1.5
    assert (training(run_folder(tmp_path / "bare", 3)) or [])[0]["lr"] is None


def test_long_trainings_are_averaged(tmp_path: Path) -> None:
    n = 2 * MAX_POINTS + 1
    curve = (training(run_folder(tmp_path, n)) or [])[0]
    assert len(curve["steps"]) <= MAX_POINTS
    assert curve["steps"][-1] == 20 * n
    assert curve["losses"]["class"][0] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3, abs=1e-4)


def test_a_run_gives_its_settings_and_environment(tmp_path: Path) -> None:
    run = run_folder(tmp_path, 1, "train: {lr: 0.01}\nlocalize: {thresholds: [0.1, 0.2], fuse: null}")
    (run / "environment.json").write_text('{"trained_under": [{"cpu": "x", "threads": 2}]}')
    data = overview(RESULTS, run=run)
    assert data["settings"] == [["train.lr", "0.01"], ["localize.thresholds", "0.1, 0.2"], ["localize.fuse", ""]]
    assert data["environment"] == [["trained_under[0].cpu", "x"], ["trained_under[0].threads", "2"]]
    assert data["provenance"] == [
        ["tal", "1"], ["localize.nms", "0.5"], ["localize.thresholds", "0.1, 0.2"], ["localize.on", "true"],
    ]  # fmt: skip
    assert overview(RESULTS, run=tmp_path / "none")["training"] is None


def test_long_provenance_is_cut() -> None:
    rows = overview(Results({}, {"text": "x" * 1000, **{f"k{i}": i for i in range(MAX_ROWS + 9)}}))["provenance"]
    assert rows[0] == ["text", "x" * MAX_TEXT + "…"]
    assert rows[-1] == ["…", "10 more"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ('{"network": "rgb", "step": 20, "seconds": 1}', "'losses'"),
        ('{"network": "rgb", "step": 20, "seconds": 1, "losses": {"class": "high"}}', "class"),
        ('{"network": "rgb", "step": 20, "seconds": 1, "losses": {"class": NaN}}', "class"),
    ],
)
def test_damaged_metrics_are_told_by_line(tmp_path: Path, line: str, said: str) -> None:
    run = run_folder(tmp_path, 1, extra=line + "\n")
    with pytest.raises(AnnotationError, match=said) as caught:
        training(run)
    assert str(caught.value).startswith(f"{run / 'metrics.jsonl'}, line 3")
    assert "\n" not in str(caught.value)


def test_settings_that_are_none_are_told(tmp_path: Path) -> None:
    run = run_folder(tmp_path, 1, "train: {lrr: 0.1}")
    with pytest.raises(ConfigError, match=r"unknown key 'train\.lrr'"):
        overview(RESULTS, run=run)


def test_what_training_writes_is_what_is_read(tmp_path: Path) -> None:
    """The settings of a published run hold all keys; the learning rate follows its own schedule."""
    tree = config.load("cmcs", sets=["train.steps=40", "train.decay_at=[0.5]", "train.lr=0.002", "train.decay=0.5"])
    run = run_folder(tmp_path, 2, json.dumps(tree.model_dump(mode="json", exclude={"runtime"})))
    assert (training(run) or [])[0]["lr"] == [0.002, 0.001]
