"""Planted shards with labels, and settings of a short training, for tests of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from planted import Listener, training_videos

from tal import config
from tal.settings import Settings

QUICK = ["method.hidden=8", "train.fusion=rgb", "train.steps=12", "train.batch_size=4", "train.n_snippets=20"]
QUICK += ["runtime.device=cpu", "runtime.checkpoint_every=5"]
OPTIONS = [part for text in QUICK for part in ("--set", text)]


@dataclass(frozen=True)
class Data:
    """Planted shards and their labels."""

    features: Path
    labels: Path

    def places(self) -> list[Path | str]:
        return ["-f", self.features, "-l", self.labels]


def make_data(folder: Path) -> Data:
    videos = training_videos(folder / "features", 6, ["rgb"])
    rows = [f"{video.name},{label}" for video in videos for label in video.labels]
    (folder / "labels.csv").write_text("\n".join(["video,label", *rows]) + "\n")
    return Data(folder / "features", folder / "labels.csv")


def load(more: Sequence[str] = ()) -> Settings:
    return config.load(sets=[*QUICK, *more])


def trainings(listener: Listener) -> int:
    """Return how many networks were trained or gone on with."""
    return sum(unit == "updates" for _, _, unit in listener.tasks)
