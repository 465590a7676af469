"""Earlier states of a run's networks as models of their own, so that results can be averaged over the last of them.

A network's state is written aside as ``last/<update>-<network>.part.safetensors`` when it is due; at the run's end
those of all networks become ``last/<update>.safetensors``. A run that goes on from a checkpoint writes equal ones.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tal import models
from tal.files import atomic_path
from tal.settings import TrainSettings

if TYPE_CHECKING:
    from tal.methods._base import Method

FOLDER = "last"
_ASIDE = ".part.safetensors"


def due(train: TrainSettings) -> set[int]:
    """Return the updates after which a state is kept, beside the final one."""
    return {step for i in range(1, train.last) if (step := train.steps - i * train.last_every) > 0}


def write(work: Path, name: str, step: int, network: Method) -> None:
    """Keep a network's state."""
    from safetensors.torch import save_file

    (work / FOLDER).mkdir(exist_ok=True)
    with atomic_path(work / FOLDER / f"{step:07d}-{name}{_ASIDE}") as aside:
        save_file({key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}, aside)


def publish(work: Path, networks: Mapping[str, Method], meta: models.ModelMeta) -> None:
    """Turn the states that were kept into models; what a killed run has left half is removed."""
    from safetensors.torch import load_file

    files = sorted((work / FOLDER).glob(f"*{_ASIDE}"))
    for step in sorted({file.name.partition("-")[0] for file in files}):
        states = {name: work / FOLDER / f"{step}-{name}{_ASIDE}" for name in networks}
        earlier = {name: copy.deepcopy(networks[name]) for name in networks}
        for name, path in states.items():
            earlier[name].load_state_dict(load_file(path))
        models.save(work / FOLDER / f"{step}.safetensors", earlier, meta)
    for path in (*files, *(work / FOLDER).glob(".*.part")):
        path.unlink()
