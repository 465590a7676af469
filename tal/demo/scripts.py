"""Who does what when: the plan of the demo's videos, and what follows from it, labels and ground truth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.random import Generator

from tal.csv_text import written
from tal.demo.figures import ACTIONS

IDLE = ("stand", "walk")


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What is made.

    Attributes:
        n_train: Videos with labels.
        n_test: Videos without; with 5 or more of each, both subsets show every class.
        seed: Same seed, same videos.
        size: Width and height, px, even.
        fps: Frames per second.
    """

    n_train: int = 24
    n_test: int = 12
    seed: int = 0
    size: tuple[int, int] = (96, 72)
    fps: Fraction = Fraction(25, 2)


@dataclass(frozen=True, slots=True)
class Part:
    """What the person does from frame `start` up to, not including, frame `end`.

    Attributes:
        kind: A class of `figures.ACTIONS`, ``stand`` or ``walk``.
        start: First frame.
        end: Frame after the last.
        start_x: Place at the beginning, as a share of the width.
        end_x: Place at the end.
    """

    kind: str
    start: int
    end: int
    start_x: float
    end_x: float


@dataclass(frozen=True, slots=True)
class Script:
    """The plan of one video: its name, its subset, its gapless parts, and the seed of its looks."""

    name: str
    subset: str
    parts: tuple[Part, ...]
    seed: tuple[int, ...]

    @property
    def n_frames(self) -> int:
        """Length of the video."""
        return self.parts[-1].end

    @property
    def actions(self) -> tuple[Part, ...]:
        """The parts that show a class."""
        return tuple(part for part in self.parts if part.kind not in IDLE)


DEFAULTS = DemoOptions()


def plan(options: DemoOptions = DEFAULTS) -> list[Script]:
    """Return the scripts of all videos, training videos first."""
    counts = (("train", options.n_train), ("test", options.n_test))
    return [_script(subset, i, options) for subset, count in counts for i in range(count)]


def _script(subset: str, i: int, options: DemoOptions) -> Script:
    seed = (options.seed, int(subset == "test"), i)
    rng = np.random.default_rng(seed)
    names = list(ACTIONS)
    label = names[i % len(names)]
    labels = [label] * int(rng.integers(2, 4))
    if rng.random() < 0.2:
        labels[-1] = str(rng.choice([name for name in names if name != label]))
    return Script(f"{subset}_{i:04d}", subset, tuple(_parts(labels, float(options.fps), rng)), (*seed, 1))


def _parts(labels: list[str], fps: float, rng: Generator) -> Iterator[Part]:
    """Yield a gap before each action, the action, and a gap at the end."""
    frame, x = 0, float(rng.uniform(0.36, 0.64))
    label: str | None
    for label in [*labels, None]:
        end = frame + round(rng.uniform(1.4, 2.0) * fps)
        strolls = rng.random() < 0.4
        way = float(rng.uniform(0.14, 0.26)) * (-1 if x > 0.5 else 1)
        to = min(0.67, max(0.33, x + way)) if strolls else x
        yield Part(IDLE[strolls], frame, end, x, to)
        frame, x = end, to
        if label is not None:
            end = frame + round(rng.uniform(2.0, 3.0) * fps)
            yield Part(label, frame, end, x, x)
            frame = end


def ground_truth(scripts: Iterable[Script], fps: Fraction) -> dict[str, Any]:
    """Return the ground truth in ActivityNet's layout, exact to the frame."""
    database = {
        script.name: {
            "subset": script.subset,
            "duration": _seconds(script.n_frames, fps),
            "annotations": [
                {"label": part.kind, "segment": [_seconds(part.start, fps), _seconds(part.end, fps)]}
                for part in script.actions
            ],
        }
        for script in scripts
    }
    return {"version": "tal-demo", "database": database}


def _seconds(frame: int, fps: Fraction) -> float:
    return round(float(frame / fps), 6)


def labels_csv(scripts: Iterable[Script]) -> str:
    """Return ``video,label`` rows of the training videos as CSV."""
    training = [script for script in scripts if script.subset == "train"]
    rows = [(one.name, label) for one in training for label in sorted({part.kind for part in one.actions})]
    return written([("video", "label"), *rows])
