"""Checkpoints of a method's authors -> a model like one that was trained here.

Which tensor of theirs is which of ours is told by ``tal/methods/_<method>_authors.py``; a method that has such a module
can be imported. All that a checkpoint does not fix comes from the method's shipped settings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import yaml

from tal import config, methods, models
from tal.errors import ConfigError, InputError, ModelError
from tal.files import shipped_module, write_atomic
from tal.pipeline import foreign_states
from tal.pipeline.learning import CONFIG, MODEL
from tal.results import THUMOS14_CLASSES
from tal.settings import Settings
from tal.training import NETWORKS

if TYPE_CHECKING:
    from torch import Tensor

THUMOS14 = "thumos14"
"""The name of the 20 classes of THUMOS14 in alphabetical order."""

_STREAM_CHANNELS = 1024  # of one stream of I3D, as all of the authors' features
_FORMS = "write FILE for a network of both streams, or rgb=FILE,flow=FILE"
_PROBE = 7919  # an input dimension that no layer has by chance
State = dict[str, "Tensor"]


@dataclass(frozen=True)
class Imported:
    """A model that was imported.

    Attributes:
        path: Folder with ``model.safetensors`` and ``config.yaml``.
        meta: What the model says about itself.
    """

    path: Path
    meta: models.ModelMeta


def importable() -> list[str]:
    """Return the names of the methods whose authors' checkpoints are understood."""
    return [name for name in methods.available() if shipped_module(_authors(name)).is_file()]


def import_model(
    source: Path | str,
    classes: Path | str | Sequence[str],
    out: Path | str,
    settings: Settings | None = None,
    *,
    force: bool = False,
) -> Imported:
    """Turn checkpoints of a method's authors into a model.

    Args:
        source: A file, or ``rgb=FILE,flow=FILE``; a file without a name is a network of both streams side by side.
            Formats are those of `tal.pipeline.foreign_states.read`.
        classes: Names in the order of the checkpoint's outputs: themselves, a file with one per line, or ``thumos14``.
        out: Folder to write the model to.
        settings: Of the method, for all that the checkpoint does not fix; default: the shipped ones of STPN.
        force: Overwrite a model that is there.

    Raises:
        ConfigError: If the method cannot be imported, or the source is written wrongly.
        InputError: If the classes cannot be read, or a model is there.
        WeightsError: If a file is missing, damaged, or holds code.
        ModelError: If a file is not a checkpoint of the method, or does not fit the classes.
    """
    settings = settings or config.load()
    method, names = str(settings.method["name"]), _classes(classes)
    authors = _load_authors(method)
    target = Path(out) / MODEL
    if target.exists() and not force:
        raise InputError(f"{target}: a model is there already; choose another folder, or --force to overwrite it")
    files = _files(str(source))
    theirs = {network: foreign_states.read(path) for network, path in files.items()}
    ours, fixed = _translated(theirs, files, authors, method, len(names))
    tree = _settings(settings, fixed, tuple(files))
    meta = _write(target, ours, files, tree, names)
    write_atomic(Path(out) / CONFIG, yaml.safe_dump(tree, sort_keys=False))
    return Imported(Path(out), meta)


def _authors(method: str) -> str:
    return f"tal.methods._{method}_authors"


def _load_authors(method: str) -> ModuleType:
    from importlib import import_module

    if method not in importable():
        raise ConfigError(f"no checkpoints of {method}'s authors are known; importable: {', '.join(importable())}")
    return import_module(_authors(method))


def _classes(given: Path | str | Sequence[str]) -> tuple[str, ...]:
    if given == THUMOS14:
        return tuple(THUMOS14_CLASSES)
    if isinstance(given, str | Path):
        try:
            given = [line.strip() for line in Path(given).read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            raise InputError(f"{given}: {reason}; name a file with one class per line, or {THUMOS14}") from error
    twice = next((name for i, name in enumerate(given) if name in given[:i]), None)
    if twice or not given:
        raise InputError(f"class '{twice}' is named twice" if twice else "no class is named; write one per line")
    return tuple(given)


def _files(source: str) -> dict[str, Path]:
    """Return the file of each network, in the order in which networks are trained."""
    prefix = r"(?:rgb\+flow|rgb|flow)="
    if not re.match(prefix, source):
        return {"rgb+flow": Path(source).expanduser()}
    parts = [part.partition("=") for part in re.split(f",(?={prefix})", source)]  # file names may hold commas
    files = {name: Path(path).expanduser() for name, _, path in parts}
    known = [names for names in NETWORKS.values() if set(names) == set(files)]
    if not known or len(files) != len(parts):
        raise ConfigError(f"'{source}': {_FORMS}")
    return {name: files[name] for name in known[0]}


def _translated(
    theirs: Mapping[str, State], files: Mapping[str, Path], authors: ModuleType, method: str, n_classes: int
) -> tuple[dict[str, State], dict[str, Any]]:
    """Return our tensors by network, and the hyper-parameters that the checkpoints fix."""
    ours, fixed = {}, []
    for network, state in theirs.items():
        try:
            ours[network] = authors.from_authors(state)
            fixed.append(authors.config_from_authors(state, n_classes))
        except ModelError as error:
            raise ModelError(f"{files[network]}: {error}{_looks_like(state, method)}") from error
    if any(one != fixed[0] for one in fixed):
        raise ModelError(f"{', '.join(map(str, files.values()))}: networks of different architectures; give one run's")
    return ours, fixed[0]


def _looks_like(state: State, method: str) -> str:
    """Name another method whose checkpoint this is."""
    for other in importable():
        try:
            if other != method and _load_authors(other).from_authors(state):
                return f"; it is one of {other}: --method {other}"
        except ModelError:
            continue
    return ""


def _settings(settings: Settings, fixed: Mapping[str, Any], networks: tuple[str, ...]) -> dict[str, Any]:
    """Return all settings but ``runtime``, with the method's hyper-parameters complete."""
    fusion = next(name for name, names in NETWORKS.items() if names == networks)
    options = {"train.fusion": fusion, **{f"method.{key}": value for key, value in fixed.items()}}
    found = config.load(options=options, base=settings.model_dump(mode="json"))
    method = {"name": found.method["name"], **methods.resolve(found.method).model_dump(mode="json")}
    return {**found.model_dump(mode="json", exclude={"runtime"}), "method": method}


def _write(
    target: Path, ours: Mapping[str, State], files: Mapping[str, Path], tree: dict[str, Any], classes: tuple[str, ...]
) -> models.ModelMeta:
    method, networks, dims, streams = tree["method"], {}, {}, {}
    for name, state in ours.items():
        n_channels = dims[name] = _n_channels(method, state, len(classes), files[name])
        streams.update(_streams(name, n_channels, files[name]))
        networks[name] = models.build(method, n_channels, len(classes))
        networks[name].load_state_dict(state)
    meta = models.ModelMeta(method=method, classes=classes, networks=dims, streams=streams, settings=tree)
    models.save(target, networks, meta)
    return meta


def _n_channels(method: Mapping[str, Any], state: State, n_classes: int, path: Path) -> int:
    """Return the input dimension of a network with these tensors, after comparing all shapes with it."""
    wide = _shapes(method, _PROBE, n_classes)
    places = [(key, shape.index(_PROBE)) for key, shape in wide.items() if _PROBE in shape]
    key, axis = next((key, axis) for key, axis in places if key in state)
    n_channels = int(state[key].shape[axis])
    expected, found = _shapes(method, n_channels, n_classes), {k: tuple(v.shape) for k, v in state.items()}
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            raise ModelError(
                f"{path}: not a {method['name']} network: '{key}' has shape {found.get(key)}, not {expected.get(key)}"
            )
    return n_channels


def _shapes(method: Mapping[str, Any], n_channels: int, n_classes: int) -> dict[str, tuple[int, ...]]:
    import torch

    with torch.device("meta"):
        network = models.build(method, n_channels, n_classes)
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def _streams(network: str, n_channels: int, path: Path) -> dict[str, int]:
    """Return the dimension of each stream of a network."""
    names = network.split("+")
    if len(names) == 2 and n_channels == _STREAM_CHANNELS:
        raise ModelError(f"{path}: {n_channels} channels are those of one stream; write rgb=FILE or flow=FILE")
    if n_channels % len(names):
        raise ModelError(f"{path}: {n_channels} channels are not two streams of one size; {_FORMS}")
    return {name: n_channels // len(names) for name in names}
