"""The model that another method learns from: found, or trained first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file

from tal import config, methods, models
from tal.errors import ConfigError, InputError, ModelError, suggest
from tal.files import digest_of, sha256_file
from tal.settings import Settings
from tal.trainset import TrainingVideo
from tal.types import Activations, FloatArray

SUFFIX = ".safetensors"
_FROM_RUN = ("fusion", "seed", "standardise")  # what a guide that is trained first has in common with its follower


@dataclass(frozen=True)
class ModelGuide:
    """A trained model as a guide.

    Attributes:
        model: The model.
    """

    model: models.Model

    def activations(self, video: TrainingVideo, network: str, features: FloatArray) -> Activations:
        """Return what the model's network of these streams says.

        Raises:
            ModelError: If it has none, or one for features of another dimension.
        """
        import torch

        known = self.model.networks.get(network)
        if known is None:
            there = ", ".join(self.model.networks)
            raise ModelError(
                f"the guide has no network for {network}, but {there}; train it with the same train.fusion"
            )
        if known.n_channels != features.shape[1]:
            raise ModelError(
                f"the guide expects {network} {known.n_channels}, features have {features.shape[1]}; "
                "train it on the same features"
            )
        with torch.inference_mode():
            return known.activate(known.scaled(torch.from_numpy(features).to(self.model.device)))


@dataclass(frozen=True)
class FolderGuide:
    """Activations from files, ``<video>.safetensors`` with ``<network>/cas`` and the others of `Activations`.

    Attributes:
        folder: Where they lie.
    """

    folder: Path

    def activations(self, video: TrainingVideo, network: str, features: FloatArray) -> Activations:
        """Return what the file says.

        Raises:
            ModelError: If there is no file, or it does not fit the features.
        """
        path = self.folder / f"{video.name}{SUFFIX}"
        found = _of_network(path, network)
        if len(found.cas) != len(features):
            raise ModelError(
                f"{path}: {len(found.cas)} snippets, features have {len(features)}; make them for these features"
            )
        return found


def read_activations(path: Path) -> dict[str, Activations]:
    """Read activations by network, as `tal.pipeline.localizing` writes them.

    Raises:
        ModelError: If the file is missing or is not of this kind.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: no activations can be read: {error}") from error
    parts: dict[str, dict[str, FloatArray]] = {}
    for key in sorted(tensors):
        network, _, name = key.partition("/")
        parts.setdefault(network, {})[name] = tensors[key]
    try:
        return {network: Activations(**fields) for network, fields in parts.items()}
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}: not activations: {error}") from error


def _of_network(path: Path, network: str) -> Activations:
    found = read_activations(path)
    if network not in found:
        raise ModelError(
            f"{path}: nothing for the network {network}, but {', '.join(found)}; choose another train.fusion"
        )
    return found[network]


def kind_of(name: str) -> str:
    """Return what ``train.guide`` names: ``none``, a ``method``, a ``model``, or a ``folder`` of activations.

    Raises:
        ConfigError: If it is nothing of these.
    """
    if not name:
        return "none"
    if name in methods.available():
        return "method"
    path = Path(name)
    if path.is_file() or (path / models.FILE).is_file():
        return "model"
    if path.is_dir():
        return "folder"
    hint = suggest(name, methods.available())
    raise ConfigError(f"train.guide: '{name}' is no method, run folder, model or folder of activations{hint}")


def settings_of(method: str, follower: Settings) -> Settings:
    """Return the settings of a guide that is trained first: the method's shipped ones, with the follower's streams."""
    shared = {f"train.{key}": getattr(follower.train, key) for key in _FROM_RUN}
    found = config.load(method, options=shared)
    if found.train.guide:
        raise ConfigError(f"train.guide: '{method}' needs a guide itself; train it first and name its run folder")
    return found.model_copy(update={"extract": follower.extract, "runtime": follower.runtime})


def identity_of(folder: Path, videos: Mapping[str, Path]) -> str:
    """Return the digest of a folder's activations of these videos.

    Raises:
        InputError: If a video has none.
    """
    files = {video: folder / f"{video}{SUFFIX}" for video in videos}
    for video, path in files.items():
        if not path.is_file():
            raise InputError(
                f"{folder}: no activations of the video '{video}'; write them with 'tal localize --activations'"
            )
    return digest_of({video: sha256_file(path) for video, path in files.items()})
