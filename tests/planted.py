"""Small feature shards in which actions are planted, and listeners that watch or stop a training."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tal import shards
from tal.settings import Settings
from tal.trainset import TrainingVideo
from tal.types import Features, SnippetGrid

CLASSES = ("bend", "jack", "wave")
DIM = 12
SNIPPET_S = 16 / 25


def write_shard(path: Path, streams: dict[str, np.ndarray], grid: SnippetGrid | None = None, **about: Any) -> Path:
    """Write a shard of given streams."""
    n = len(next(iter(streams.values())))
    provenance = {"settings": {"fps": "25"}, "video": {"name": path.stem}, **about}
    features = Features(streams, grid or SnippetGrid(n), n * 0.64, None, provenance)
    shards.write(path, features, "key")
    return path


def planted(rng: np.random.Generator, actions: Sequence[int], n: int, dim: int = DIM) -> tuple[np.ndarray, np.ndarray]:
    """Return features (n, dim) and where they are planted, (n, C): class c lives in channel c, noise in all."""
    features = np.abs(rng.normal(size=(n, dim))).astype(np.float32) * 0.3
    where = np.zeros((n, len(CLASSES)), bool)
    starts = rng.permutation(n // 6)[: len(actions)] * 6
    for action, start in zip(actions, starts, strict=True):
        where[start : start + 4, action] = True
        features[start : start + 4, action] += 2
    return features, where


def training_videos(folder: Path, n_videos: int = 9, streams: Sequence[str] = ("rgb", "flow")) -> list[TrainingVideo]:
    """Write shards of videos with one or two planted classes each."""
    rng = np.random.default_rng(0)
    videos = []
    for i in range(n_videos):
        actions = [i % 3] if i % 4 else [i % 3, (i + 1) % 3]
        n = int(rng.integers(18, 40))
        values = {stream: planted(rng, actions, n)[0] for stream in streams}
        path = write_shard(folder / f"v{i}.safetensors", values)
        videos.append(TrainingVideo(f"v{i}", path, tuple(CLASSES[a] for a in actions)))
    return videos


def annotation(where: np.ndarray, action: int) -> dict[str, Any]:
    """Return where an action is planted, as ActivityNet JSON has it, in seconds."""
    start = int(np.flatnonzero(where[:, action])[0])
    return {"label": CLASSES[action], "segment": [start * SNIPPET_S, (start + 4) * SNIPPET_S]}


def _as_it_is(i: int, values: np.ndarray) -> np.ndarray:
    return values


def annotated_videos(
    folder: Path,
    n_videos: int,
    n_train: int,
    streams: Mapping[str, float],
    change: Callable[[int, np.ndarray], np.ndarray] = _as_it_is,
) -> dict[str, Any]:
    """Write shards of videos with one action each, ``labels.csv`` of the training videos and ``truth.json`` of all.

    Args:
        folder: Holds both files, and the shards in ``features``.
        n_videos: How many there are, of 24 snippets.
        n_train: How many of these are training videos.
        streams: By what each stream multiplies the features.
        change: Given a video's number and features, returns those that are written.

    Returns:
        The entries of the ground truth.
    """
    rng, database, rows = np.random.default_rng(0), dict[str, Any](), ["video,label"]
    for i in range(n_videos):
        name, is_training = f"v{i:02}", i < n_train
        values, where = planted(rng, [i % 3], 24)
        shown = {stream: change(i, values) * np.float32(factor) for stream, factor in streams.items()}
        write_shard(folder / "features" / f"{name}.safetensors", shown)
        about = {"subset": "train" if is_training else "test", "duration": 24 * SNIPPET_S}
        database[name] = {**about, "annotations": [annotation(where, i % 3)]}
        rows += [f"{name},{CLASSES[i % 3]}"] if is_training else []
    (folder / "truth.json").write_text(json.dumps({"database": database}))
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return database


def settings(every: int = 5, **train: Any) -> Settings:
    """Return settings of a short training of STPN on the CPU."""
    quick = {"steps": 12, "batch_size": 4, "n_snippets": 20, "lr": 1e-2, **train}
    return Settings.model_validate(
        {
            "method": {"name": "stpn", "hidden": 8},
            "train": quick,
            "runtime": {"device": "cpu", "checkpoint_every": every},
        }
    )


class Killed(BaseException):
    """Stands for a signal."""


@dataclass
class Listener:
    """Remembers what it is told; stops the training when `kill_at` updates have been counted."""

    kill_at: int = 0
    said: list[str] = field(default_factory=list)
    tasks: list[tuple[str, float | None, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    updates: float = 0

    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[Listener]:
        self.tasks.append((title, total, unit))
        yield self

    def advance(self, amount: float = 1, note: str = "") -> None:
        if self.tasks[-1][2] == "updates":
            self.updates += amount
            self.notes.append(note)
            if self.updates == self.kill_at:
                self.die()

    def die(self) -> None:
        raise Killed

    def say(self, text: str) -> None:
        self.said.append(text)

    def detail(self, text: str) -> None:
        pass

    def expect(self, total: float) -> None:
        pass
