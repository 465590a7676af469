"""A trained model <-> one safetensors file that rebuilds its own networks.

Tensors are named ``<network>/<parameter>``, where a network is named after the streams it reads: ``rgb``, ``flow`` or
``rgb+flow``. The header's ``tal-model`` entry holds a `ModelMeta`, the model's identity (a SHA-256 over all that
determines activations) and a checksum of the entry itself. Reading executes nothing: no pickles.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from tal import methods
from tal.devices import pick_device
from tal.errors import ConfigError, ModelError
from tal.files import canonical_json, digest_of, write_atomic
from tal.settings import Section
from tal.types import Activations, Features, FloatArray

if TYPE_CHECKING:
    import torch

    from tal.methods._base import Method

FILE = "model.safetensors"
HEADER = "tal-model"
Tensors = dict[str, NDArray[Any]]


def tool_version() -> str:
    """Return the version of the installed program."""
    try:
        return version("tal")
    except PackageNotFoundError:
        return "unknown"


class ModelMeta(Section):
    """What a model file says about itself.

    Attributes:
        format: Version of the file's layout.
        method: ``name`` and all hyper-parameters, defaults included.
        classes: Class names in the order of the networks' outputs.
        networks: Network name to input dimension.
        streams: Stream name to feature dimension D.
        features: How the training features were made: their provenance without ``video``, and ``grid`` (fps, length,
            stride).
        settings: All settings of the run but ``runtime``; what localization uses unless told otherwise.
        version: The program's version.
    """

    format: Literal[1] = 1
    method: dict[str, Any]
    classes: tuple[str, ...] = Field(min_length=1)
    networks: dict[str, int] = Field(min_length=1)
    streams: dict[str, int]
    features: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    version: str = Field(default_factory=tool_version)


@dataclass(frozen=True)
class Model:
    """Trained networks that are ready for use."""

    meta: ModelMeta
    networks: Mapping[str, Method]
    device: torch.device

    def activate(self, features: Features) -> dict[str, Activations]:
        """Return what each network says about a video.

        Raises:
            ModelError: If a stream is missing, empty, not finite, or of another dimension than in training.
        """
        import torch

        found = {}
        with torch.inference_mode():
            for name, network in self.networks.items():
                values = torch.from_numpy(self._input(name, features)).to(self.device)
                found[name] = network.activate(network.scaled(values))
        return found

    def _input(self, network: str, features: Features) -> FloatArray:
        """Return the network's streams side by side, (T, D)."""
        parts = [self._stream(stream, features) for stream in network.split("+")]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def _stream(self, stream: str, features: Features) -> FloatArray:
        values = features.streams.get(stream)
        if values is None:
            there = ", ".join(features.streams) or "none"
            raise ModelError(f"model expects the {stream} stream, features have {there}; extract with both streams")
        expected, n_channels = self.meta.streams[stream], values.shape[1]
        if n_channels != expected:
            raise ModelError(f"model expects {stream} {expected}, features have {n_channels}; extract as for training")
        if not len(values) or not np.isfinite(values).all():
            raise ModelError(f"{stream} features are empty or not finite; extract the video again")
        return values


def save(path: Path, networks: Mapping[str, Method], meta: ModelMeta) -> None:
    """Write a model so that it is whole or not there; equal models give equal bytes."""
    tensors: Tensors = {
        f"{name}/{key}": np.ascontiguousarray(value.detach().cpu().numpy())
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }
    _write(path, meta, tensors, _identity(meta, tensors))


def read_meta(path: Path) -> ModelMeta:
    """Read what a model file, or the one in a run folder, says about itself; PyTorch is not loaded.

    Raises:
        ModelError: If the file is missing, cut short, or not a model.
    """
    return _read(path, tensors=False)[0]


def identity(path: Path) -> str:
    """Return the SHA-256 of what determines a model's activations: the settings beside it do not count.

    Raises:
        ModelError: As `read_meta`.
    """
    return _read(path, tensors=False)[1]


def copy(source: Path, target: Path, settings: Mapping[str, Any]) -> None:
    """Write the model of `source` to `target` with other settings beside it; an equal file is left alone.

    Raises:
        ModelError: As `load`.
    """
    meta, found, tensors = _read(source, tensors=True)
    _write(target, meta.model_copy(update={"settings": dict(settings)}), tensors, found)


def load(path: Path, device: str = "cpu") -> Model:
    """Rebuild a model's networks from its file, or from the one in a run folder.

    Args:
        path: What `save` wrote, or the folder it lies in.
        device: See `tal.devices.pick_device`.

    Raises:
        ModelError: If the file is missing, damaged, or needs a method that is not there.
        BackendError: If the device is not there.
    """
    place = pick_device(device)
    meta, _, tensors = _read(path, tensors=True)
    networks = {}
    try:
        for name, n_channels in meta.networks.items():
            own = {key: value for key, value in tensors.items() if key.startswith(f"{name}/")}
            if n_channels > 4 * max((axis for value in own.values() for axis in value.shape), default=0):
                raise RuntimeError(f"{name} reads {n_channels} channels, no tensor is as wide")
            network = build(meta.method, n_channels, len(meta.classes))
            _fill(network, own)
            networks[name] = network.to(place).eval()
    except (ConfigError, RuntimeError, ValueError, TypeError, KeyError) as error:
        reason = str(error).split("\n", 1)[0]
        raise ModelError(f"{path}: made by another version of tal ({reason}); train again") from error
    return Model(meta, networks, place)


def build(method: Mapping[str, Any], n_channels: int, n_classes: int) -> Method:
    """Return a fresh network of the method that the settings name.

    Raises:
        ConfigError: If the method or a hyper-parameter is not known.
    """
    config = methods.resolve(method)
    network: Method = methods.load(str(method["name"])).Network(config, n_channels, n_classes)
    return network


def _fill(network: Method, tensors: Tensors) -> None:
    import torch

    own = {key.partition("/")[2]: value for key, value in tensors.items()}
    if "feature_mean" in own:
        network.standardise(own["feature_mean"], own["feature_scale"])
    network.load_state_dict({key: torch.from_numpy(value) for key, value in own.items()})


def _write(path: Path, meta: ModelMeta, tensors: Tensors, found: str) -> None:
    about = {**meta.model_dump(mode="json"), "identity": found}
    header = json.dumps({**about, "checksum": digest_of(about)}, allow_nan=False)
    content = to_bytes(tensors, metadata={HEADER: header})
    if not path.is_file() or path.read_bytes() != content:
        write_atomic(path, content)


def _read(path: Path, *, tensors: bool) -> tuple[ModelMeta, str, Tensors]:
    """Return meta, identity and, if asked for, the tensors, which then have been checked."""
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise ModelError(f"no model at {file}; 'tal train' writes one")
    try:
        with safe_open(str(file), framework="numpy") as handle:
            text = (handle.metadata() or {}).get(HEADER)
            values = {key: handle.get_tensor(key) for key in handle.keys()} if tensors and text else {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{file}: not a model or cut short ({reason}); train again") from error
    if text is None:
        raise ModelError(f"{file}: a safetensors file, but not a model written by 'tal train'")
    meta, found = _parse(file, text)
    if tensors and _identity(meta, values) != found:
        raise ModelError(f"{file}: damaged model, its weights do not match its checksum; train again")
    return meta, found, values


def _parse(file: Path, text: str) -> tuple[ModelMeta, str]:
    try:
        about = dict(json.loads(text))
        if about.pop("checksum") != digest_of(about):
            raise ValueError("another checksum")
        found = str(about.pop("identity"))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelError(f"{file}: damaged model header; train again") from error
    try:
        return ModelMeta.model_validate(about), found
    except ValidationError as error:
        raise ModelError(f"{file}: model of another format version; train again") from error


def _identity(meta: ModelMeta, tensors: Tensors) -> str:
    core = meta.model_dump(mode="json", include={"format", "method", "classes", "networks", "streams"})
    digest = hashlib.sha256(canonical_json(core).encode())
    for name in sorted(tensors):
        digest.update(f"{name}{tensors[name].shape}{tensors[name].dtype}".encode())
        digest.update(np.ascontiguousarray(tensors[name]).data)
    return digest.hexdigest()
