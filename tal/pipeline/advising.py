"""Labels and features -> what will hurt a training on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from tal import shards
from tal.advice import Advice, Material, Sketch, advise
from tal.annotations import Labels, read_labels
from tal.errors import ShardError
from tal.files import write_atomic
from tal.shards import ShardHeader
from tal.types import STREAMS, FloatArray

GLANCES, ROWS = 4, 2
"""Places of a video that are looked at, and snippets at each."""
FILE = "advice.json"


def advise_training(
    labels: Path | str | Labels, features: Path | str = "features", *, subset: str = ""
) -> tuple[Advice, ...]:
    """Return what will hurt a training, the worst first; nothing where all looks well.

    Of each video a few snippets are read. Shards that cannot be read are left to the training, which tells what is
    wrong with them.

    Args:
        labels: CSV, ActivityNet JSON or THUMOS14 folder, or labels that were read.
        features: Folder of shards.
        subset: Subset of the labels file.

    Raises:
        AnnotationError: If the labels cannot be read.
        ConfigError: If there is no such subset.
    """
    known = read_labels(Path(labels), subset) if isinstance(labels, str | Path) else labels
    there = {path.stem: path for path in sorted(Path(features).glob(f"*{shards.SUFFIX}"))}
    headers: dict[str, ShardHeader] = {}
    sketches: dict[str, Sketch] = {}
    for video in known.by_video.keys() & there.keys():
        try:
            headers[video] = shards.header(there[video])
            sketches[video] = _sketch(there[video], headers[video])
        except (ShardError, OSError, SafetensorError):
            continue
    unlabelled = there.keys() - known.by_video.keys()
    return advise(Material(known, dict(sorted(headers.items())), dict(sorted(sketches.items())), unlabelled))


def write_advice(folder: Path, found: Sequence[Advice]) -> None:
    """Keep advice beside a trained model."""
    write_atomic(folder / FILE, json.dumps([one.to_dict() for one in found], indent=1) + "\n")


def _sketch(path: Path, about: ShardHeader) -> Sketch:
    parts: list[FloatArray] = []
    constant = []
    with safe_open(str(path), framework="numpy") as file:
        for stream in (name for name in STREAMS if name in about.shapes):
            stored = file.get_slice(stream)
            n = about.shapes[stream][0]
            starts = np.linspace(0, max(0, n - ROWS), GLANCES).astype(int)
            rows = np.concatenate([np.asarray(stored[s : s + ROWS], np.float32) for s in starts.tolist()])
            if n > 1 and (rows == rows[0]).all():
                constant.append(stream)
            parts.append(rows.ravel())
    return Sketch(tuple(constant), np.concatenate(parts) if parts else np.empty(0, np.float32))
