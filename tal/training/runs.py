"""What stays the same during a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from tal import methods
from tal.devices import pick_device
from tal.errors import ConfigError
from tal.files import digest_of
from tal.progress import Progress
from tal.settings import Settings
from tal.trainset import TrainingSet, TrainingVideo
from tal.types import Activations, FloatArray

if TYPE_CHECKING:
    import torch

NETWORKS = {"late": ("rgb", "flow"), "early": ("rgb+flow",), "rgb": ("rgb",), "flow": ("flow",)}
_NUMBER = {"rgb": 0, "flow": 1, "rgb+flow": 2}  # a network's own, so that 'flow' alone is the 'flow' of 'late'
_PURPOSE = {"init": 0, "order": 1, "step": 2}


class Guide(Protocol):
    """Another model's word about the training videos."""

    def activations(self, video: TrainingVideo, network: str, features: FloatArray) -> Activations:
        """Return what the guide's network of these streams says about a video with these features, (T, D).

        Raises:
            ModelError: If it has no such network, or nothing to say about the video.
        """


@dataclass(frozen=True)
class Run:
    """Data, settings and place of a run.

    Attributes:
        data: Videos and labels.
        settings: All settings.
        method: ``name`` and all hyper-parameters.
        names: The networks, in the order of their training.
        work: Folder that is written to.
        device: Where networks are trained.
        fingerprint: Digest of what determines the result.
        progress: Who is told.
        guide: Whom the method learns from, if anybody.
    """

    data: TrainingSet
    settings: Settings
    method: Mapping[str, Any]
    names: tuple[str, ...]
    work: Path
    device: torch.device
    fingerprint: str
    progress: Progress
    guide: Guide | None = None

    def rng(self, name: str, purpose: Literal["init", "order", "step"], number: int) -> np.random.Generator:
        """Return the generator for one purpose: always the same for the same arguments."""
        return np.random.default_rng([_PURPOSE[purpose], _NUMBER[name], number, self.settings.train.seed])


def plan(data: TrainingSet, settings: Settings, work: Path, progress: Progress, guide: Guide | None) -> Run:
    """Check that data, method and settings fit together, before anything is computed.

    Raises:
        ConfigError, InputError, ShardError, BackendError: See `tal.training.fit`.
    """
    names = NETWORKS[settings.train.fusion]
    method = _method(settings, len(streams_of(names[0])))
    _check_method(str(method["name"]), settings, guide)
    device = pick_device(settings.runtime.device)
    data.check(streams_of("+".join(names)), progress)
    content = {
        "method": method,
        "train": settings.train.model_dump(mode="json"),
        "classes": data.classes,
        "videos": [[v.name, v.labels, h.digest] for v, h in zip(data.videos, data.headers, strict=True)],
    }
    return Run(data, settings, method, names, work, device, digest_of(content), progress, guide)


def _method(settings: Settings, n_streams: int) -> dict[str, Any]:
    """Return name and hyper-parameters for networks of so many streams."""
    name = settings.method["name"]
    network = methods.load(str(name)).Network
    return {"name": name, **network.for_streams(methods.resolve(settings.method), n_streams).model_dump(mode="json")}


def _check_method(name: str, settings: Settings, guide: Guide | None) -> None:
    network = methods.load(name).Network
    if settings.train.sampling == "whole" and not network.WHOLE:
        raise ConfigError(f"{name} cannot learn from whole videos; set train.sampling, such as stratified")
    if network.GUIDE == "needed" and guide is None:
        raise ConfigError(f"{name} learns from another model; set train.guide, such as stpn, or a run folder")


def streams_of(name: str) -> list[str]:
    """Return the streams that a network reads, in order."""
    return name.split("+")


def seed_torch(rng: np.random.Generator) -> None:
    """Seed PyTorch from a generator."""
    import torch

    torch.manual_seed(int(rng.integers(1 << 63)))
