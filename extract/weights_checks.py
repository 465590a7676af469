"""Whose weights these are: every tensor compared with DeepMind's own checkpoints.

``i3d_checksums.json`` maps checkpoint -> key -> [shape in TensorFlow, masked CRC32C]: the shapes and checksums that the
four ``model.ckpt.index`` files of deepmind/kinetics-i3d list, under our keys (`extract.weights_names`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from extract.fetch import KNOWN_FILES, Digests, KnownFile, digests_of
from extract.sstable import masked_crc32c
from extract.weights_formats import Format, sniff
from tal.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

ChecksumTable = Mapping[str, Mapping[str, tuple[Sequence[int], int]]]


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
        state: A canonical state dict, as `extract.weights.load` gives.
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


@cache
def _checksums() -> ChecksumTable:
    table: ChecksumTable = json.loads(Path(__file__).with_name("i3d_checksums.json").read_text())
    return table


@dataclass(frozen=True)
class Inspection:
    """What a weight file that can be used is.

    Attributes:
        path: The file; of a TensorFlow checkpoint its index.
        format: Its format.
        stream: ``rgb`` or ``flow``.
        state: Its tensors, checked.
        digests: Of the file.
        published: The published file with these digests, if any.
        report: How its tensors compare with DeepMind's.
    """

    path: Path
    format: Format
    stream: str
    state: Mapping[str, Tensor]
    digests: Digests
    published: KnownFile | None
    report: VerifyReport


def inspect(
    path: Path, table: ChecksumTable | None = None, known_files: Sequence[KnownFile] = KNOWN_FILES
) -> Inspection:
    """Read a file of any known format, find its stream from the shapes, and check every tensor.

    Raises:
        WeightsError: If it cannot be used; says why in one line.
    """
    from extract import tf_checkpoint, weights_files

    path = tf_checkpoint.index_of(path) or path
    values = weights_files.read(path)
    stream = weights_files.stream_of(values) or "rgb"
    state = weights_files.canonical(path, values, stream)
    digests = _digests(path)
    published = next((known for known in known_files if known.has_digest and not known.mismatch(digests)), None)
    return Inspection(path, sniff(path), stream, state, digests, published, verify(state, stream, table))


def _digests(path: Path) -> Digests:
    try:
        return digests_of(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
