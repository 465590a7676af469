"""A described data set of a few videos: its description, published rows, and copies in several layouts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from planted import CLASSES, annotation, planted

from tal import datasets, shards
from tal.datasets import published
from tal.datasets.findings import Finding
from tal.pipeline import DataReport, check_data
from tal.types import Features, SnippetGrid

LENGTHS_S = {"train": {1: 64.0, 2: 80.0, 3: 96.0, 4: 128.0, 5: 200.0, 6: 320.0}, "test": {1: 72.0, 2: 88.0, 3: 240.0}}
NAMES = {split: [f"clip_{split}_{n:02d}" for n in lengths] for split, lengths in LENGTHS_S.items()}
VIDEOS = [*NAMES["train"], *NAMES["test"]]
DURATIONS_S = {f"clip_{split}_{n:02d}": d for split, lengths in LENGTHS_S.items() for n, d in lengths.items()}


def description(**changes: Any) -> dict[str, Any]:
    """The description of nine videos with one instance each and three classes; `changes` replace its fields."""
    splits = {
        split: {
            "subsets": [split, f"{split}ing"],
            "n_videos": len(lengths),
            "n_instances": len(lengths),
            "template": f"clip_{split}_{{:02d}}",
            "durations_s": lengths,
        }
        for split, lengths in LENGTHS_S.items()
    }
    tree = {
        "title": "TINY",
        "protocol": "activitynet",
        "tiou": "0.3:0.7:0.2",
        "name": "clip_(train|test)_[0-9]{2}",
        "classes": list(CLASSES),
        "n_classes": 3,
        "fps": 30,
        "splits": splits,
        "sets": {
            "tiny-3": {"split": "test", "n_videos": 3, "n_instances": 3},
            "tiny-2": {"split": "test", "without": ["clip_test_03"], "n_videos": 2, "n_instances": 2},
        },
        "files": [{"pattern": "truth*.json", "form": "ActivityNet JSON"}],
        "grids": [
            {"name": "usual", "fps": 25, "stride": 16},
            {"name": "dense", "fps": "native", "stride": 4},
        ],
    }
    return {**tree, **changes}


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, rows: Any = (), **changes: Any) -> None:
    """Let descriptions and published rows be looked for in a folder; write ``tiny`` there."""
    for module in (datasets, published):
        monkeypatch.setattr(module, "shipped", lambda name: folder / name)
    for name, tree in (("data", description(**changes)), ("published", {"rows": list(rows)})):
        (folder / "configs" / name).mkdir(parents=True, exist_ok=True)
        (folder / "configs" / name / "tiny.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))


def n_snippets(duration_s: float, fps: float = 25, stride: int = 16, length: int = 16) -> int:
    """How many whole snippets a video has."""
    return int((duration_s * fps - length) // stride + 1)


def write_shards(
    folder: Path, counts: Mapping[str, int], claimed_fps: Fraction = Fraction(25), dim: int = 4, **about: Any
) -> None:
    """Write a shard of both streams for each video; the shards claim a rate."""
    for video, n in counts.items():
        values = np.full((n, dim), 0.5, np.float32)
        features = Features({"rgb": values, "flow": values}, SnippetGrid(n, claimed_fps), 0.0, None, about)
        shards.write(folder / f"{video}{shards.SUFFIX}", features, "key")


def right_counts(fps: float = 25) -> dict[str, int]:
    """Snippets of every video at a rate."""
    return {video: n_snippets(duration, fps) for video, duration in DURATIONS_S.items()}


def database(split: str | None = None) -> dict[str, Any]:
    """The entries of a whole annotation file, or of one split: one instance per video, classes in turn."""
    found = {}
    for i, video in enumerate(VIDEOS):
        of = video.split("_")[1]
        segment = [10.0, 20.0 + i]
        entry = {"subset": of, "annotations": [{"label": CLASSES[i % 3], "segment": segment}]}
        if split in {None, of}:
            found[video] = {**entry, "duration": DURATIONS_S[video]}
    return found


def write_truth(path: Path, entries: Mapping[str, Any]) -> Path:
    """Write entries as ActivityNet JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"database": entries}))
    return path


def write_planted(folder: Path) -> dict[str, Any]:
    """Write shards in which one action is planted per video; return the annotations that tell where."""
    rng, found = np.random.default_rng(0), {}
    for i, video in enumerate(VIDEOS):
        values, where = planted(rng, [i % 3], 24)
        grid, about = SnippetGrid(24), {"generator": "planted"}
        streams = {"rgb": values, "flow": values * 0.5}
        shards.write(folder / f"{video}{shards.SUFFIX}", Features(streams, grid, 24 * 0.64, None, about), "key")
        about = {"subset": video.split("_")[1], "duration": 24 * 0.64}
        found[video] = {**about, "annotations": [annotation(where, i % 3)]}
    return found


def lines(report: DataReport, level: str, part: str = "") -> list[str]:
    """The lines of one level, and of one part of a copy."""
    return [one.line for one in report.findings if one.level == level and part in {"", one.part}]


def problem(root: Path, part: str = "") -> Finding:
    """The only problem of a copy."""
    (found,) = [one for one in check_data("tiny", root).findings if one.level == "problem"]
    assert part in {"", found.part}
    return found


def write_npy(folder: Path, counts: dict[str, int], dim: int = 4) -> None:
    """BaS-Net's layout: split/stream/video.npy."""
    for video, n in counts.items():
        for stream in ("rgb", "flow"):
            path = folder / video.split("_")[1] / stream / f"{video}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, np.full((n, dim), 0.5, np.float32))


def row(title: str, map_: Sequence[float] = (30.0,), **about: Any) -> dict[str, Any]:
    """A published row of STPN on the tiny data set."""
    features = {"network": "i3d", "fps": 25, "stride": 16}
    usual = {"method": "stpn", "who": "paper", "source": "table 1", "protocol": "activitynet", "videos": "tiny-3"}
    return {**usual, "title": title, "features": features, "tiou": 0.5, "map": list(map_), **about}


ROWS = [
    row("paper"),
    row("code", who="public code", videos="tiny-2", deviation=1.0),
    row("kit", protocol="thumos14"),
    row("vague", protocol="", videos=""),
]


@dataclass(frozen=True)
class Copy:
    """A copy with planted actions, a cache that tests share, and where it is described."""

    root: Path
    cache: Path
    described: Path


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set is described."""
    install(tmp_path / "described", monkeypatch)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a copy; empty."""
    (tmp_path / "copy").mkdir()
    return tmp_path / "copy"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy with planted actions; nothing has been done with it yet."""
    folder = tmp_path_factory.mktemp("reproduce")
    write_truth(folder / "copy" / "truth.json", write_planted(folder / "copy" / "features"))
    return Copy(folder / "copy", folder / "cache", folder / "described")


@pytest.fixture
def data(made: Copy, monkeypatch: pytest.MonkeyPatch) -> Copy:
    """The same, described, with published rows."""
    install(made.described, monkeypatch, rows=ROWS)
    return made
