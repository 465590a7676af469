"""The state of a training run <-> ``checkpoint.pt``, so that a killed run goes on as if nothing had happened.

The file is written aside and renamed, its parts carry CRCs, and it is read back with ``weights_only``: nothing in it is
executed. It is bound to its run by a fingerprint; a damaged or foreign one is left aside.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tal.files import atomic_path
from tal.progress import Progress

FILE = "checkpoint.pt"


@dataclass
class State:
    """Where a training run stands.

    Attributes:
        weights: Network name to state dict, for all networks of the run.
        optimizer: State of the current network's optimizer; empty before its first update.
        network: Place of the current network in the run.
        step: Its finished updates.
        seconds: Time spent on it.
        metrics: Lines of metrics.jsonl so far.
        pending: Losses of the updates since the last line.
    """

    weights: dict[str, dict[str, Any]] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    network: int = 0
    step: int = 0
    seconds: float = 0.0
    metrics: list[dict[str, Any]] = field(default_factory=list)
    pending: list[dict[str, float]] = field(default_factory=list)


def write(folder: Path, state: State, fingerprint: str) -> None:
    """Write the state so that the last good one stays until this one is whole."""
    import torch

    fields = {name: getattr(state, name) for name in State.__dataclass_fields__}
    with atomic_path(folder / FILE) as aside:
        torch.save({"fingerprint": fingerprint, **fields}, aside)


def read(folder: Path, fingerprint: str, progress: Progress) -> State:
    """Return the state to go on from: a fresh one if there is no checkpoint, or none that can be used."""
    path = folder / FILE
    if not path.exists():
        return State()
    content = _load(path)
    if content is None:
        progress.say(f"{path}: damaged checkpoint, training starts anew")
        return State()
    if content.pop("fingerprint", None) != fingerprint or set(content) != set(State.__dataclass_fields__):
        progress.say(f"{path}: checkpoint of another run, training starts anew")
        return State()
    return State(**content)


def remove(folder: Path) -> None:
    """Remove the checkpoint of a run that is done, and what kills in the middle of writing have left."""
    for path in (folder / FILE, *folder.glob(".*.part")):
        path.unlink(missing_ok=True)


def _load(path: Path) -> dict[str, Any] | None:
    import torch

    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError,
            ArithmeticError, MemoryError, zipfile.BadZipFile, pickle.UnpicklingError):  # fmt: skip
        return None
    return dict(content) if isinstance(content, Mapping) else None
