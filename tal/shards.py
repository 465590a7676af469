"""One video's features <-> one safetensors file.

Tensors: ``rgb`` and ``flow`` (T, D) float32, ``motion`` (T,) float32. The header's ``tal`` entry holds the grid, the
duration, the provenance, the key of the settings that made the shard, and a SHA-256 over all of that and the tensors,
so that a flipped byte is found. Files are written aside, synced and renamed.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError, safe_open

from tal.errors import ShardError
from tal.files import atomic_path, canonical_json
from tal.types import STREAMS, Features, FloatArray, SnippetGrid

FORMAT = 1
SUFFIX = ".safetensors"
HEAD_BYTES = 1 << 14
"""Read first of a remote shard: more than the header of an usual one."""
MAX_HEADER_BYTES = 1 << 24
_AXES = {**dict.fromkeys(STREAMS, 2), "motion": 1}


@dataclass(frozen=True)
class ShardHeader:
    """What a shard says about itself.

    Attributes:
        key: Digest of everything that determines the features; a shard with another key is re-made.
        digest: SHA-256 of the content, in hex.
        grid: Where the snippets lie in time.
        duration_s: End of the video, seconds.
        provenance: How the features were made.
        shapes: Tensor name to shape.
    """

    key: str
    digest: str
    grid: SnippetGrid
    duration_s: float
    provenance: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def dims(self) -> dict[str, int]:
        """Feature dimension D of each stream."""
        return {name: shape[1] for name, shape in self.shapes.items() if name in STREAMS}


def write(path: Path, features: Features, key: str) -> str:
    """Write a shard so that it is whole or not there; return its digest."""
    tensors = {name: np.ascontiguousarray(values, np.float32) for name, values in features.streams.items()}
    if features.motion is not None:
        tensors["motion"] = np.ascontiguousarray(features.motion, np.float32)
    about = {
        "format": FORMAT,
        "key": key,
        "grid": features.grid.to_dict(),
        "duration_s": features.duration_s,
        "provenance": dict(features.provenance),
    }
    digest = _digest(about, tensors)
    with atomic_path(path) as aside, aside.open("wb") as file:
        _save(file, tensors, {"tal": canonical_json({**about, "digest": digest})})
    return digest


def _save(file: BinaryIO, tensors: Mapping[str, FloatArray], metadata: Mapping[str, str]) -> None:
    """Write float32 tensors as safetensors without a copy of them in memory: they may be mapped from a file."""
    head: dict[str, Any] = {"__metadata__": dict(metadata)}
    offset = 0
    for name in sorted(tensors):
        end = offset + tensors[name].nbytes
        head[name] = {"dtype": "F32", "shape": list(tensors[name].shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
    for name in sorted(tensors):
        file.write(tensors[name].data)


def header(path: Path) -> ShardHeader:
    """Read what a shard says about itself, without its tensors.

    Raises:
        ShardError: If the file is missing, cut short, or not a shard.
    """
    about, shapes = _open(path)
    return _header(path, about, shapes)


def header_of(place: str, size: int | None, read_range: Callable[[int, int], bytes]) -> ShardHeader:
    """Read what a shard says about itself where only ranges of bytes can be read, without its tensors.

    Args:
        place: What it is called in errors.
        size: Of the whole shard, bytes; one that is shorter than its header says is refused.
        read_range: Returns bytes from the first up to the second offset, as many as there are.

    Raises:
        ShardError: If it is cut short or not a shard.
    """
    head = read_range(0, HEAD_BYTES)
    n = struct.unpack("<Q", head[:8])[0] if len(head) >= 8 else 0
    if not 2 <= n <= MAX_HEADER_BYTES:
        raise ShardError(f"{place}: not a shard; run 'tal extract' again")
    head += read_range(len(head), 8 + n) if len(head) < 8 + n else b""
    try:
        told = json.loads(head[8 : 8 + n])
        text = told.pop("__metadata__", {}).get("tal")
        shapes = {str(name): tuple(map(int, one["shape"])) for name, one in told.items()}
        end = max((int(one["data_offsets"][1]) for one in told.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ShardError(f"{place}: damaged shard header; run 'tal extract' again") from error
    if size not in (None, 8 + n + end):
        raise ShardError(f"{place}: cut short, {size} of {8 + n + end} bytes; run 'tal extract' again")
    if not isinstance(text, str):
        raise ShardError(f"{place}: a safetensors file, but not a shard written by tal")
    return _header(place, _parse(place, text), shapes)


def read(path: Path) -> Features:
    """Read and verify a shard.

    Raises:
        ShardError: If the file is missing, is not a shard, or a byte of it has changed.
    """
    about, _ = _open(path)
    with safe_open(str(path), framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no iterator there
    found = _header(path, about, {name: values.shape for name, values in tensors.items()})
    if _digest({k: v for k, v in about.items() if k != "digest"}, tensors) != found.digest:
        raise ShardError(f"{path}: damaged shard, its content does not match its digest; run 'tal extract' again")
    motion = tensors.pop("motion", None)
    try:
        return Features(tensors, found.grid, found.duration_s, motion, found.provenance)
    except ValueError as error:
        raise ShardError(f"{path}: damaged shard ({error}); run 'tal extract' again") from error


def read_stream(path: Path, stream: str) -> FloatArray:
    """Read one tensor of a shard through a memory map, unverified: for shards that `read` has accepted before."""
    try:
        with safe_open(str(path), framework="numpy") as file:
            values: FloatArray = file.get_tensor(stream)
            return values
    except (OSError, SafetensorError) as error:
        raise ShardError(f"{path}: no tensor '{stream}' can be read: {error}") from error


def is_current(path: Path, key: str) -> bool:
    """Return whether a whole shard made with exactly these settings is there."""
    try:
        return header(path).key == key and read(path) is not None
    except ShardError:
        return False


def _open(path: Path) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    try:
        with safe_open(str(path), framework="numpy") as file:
            text = (file.metadata() or {}).get("tal")
            parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            shapes = {name: tuple(part.get_shape()) for name, part in parts.items()}
            types = {part.get_dtype() for part in parts.values()}
    except (OSError, SafetensorError) as error:
        raise ShardError(f"{path}: not a readable shard ({_line(error)}); run 'tal extract' again") from error
    if text is None:
        raise ShardError(f"{path}: a safetensors file, but not a shard written by tal")
    if types - {"F32"} or any(len(shape) != _AXES.get(name) for name, shape in shapes.items()):
        raise ShardError(f"{path}: damaged shard, its tensors are not those of features; run 'tal extract' again")
    return _parse(path, text), shapes


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _parse(path: Path | str, text: str) -> dict[str, Any]:
    try:
        about = json.loads(text)
        known = isinstance(about, dict) and about["format"] == FORMAT
        canonical_json(about).encode()  # what no digest can be taken of, such as NaN, was not written by us
    except (ValueError, KeyError, RecursionError) as error:
        raise ShardError(f"{path}: damaged shard header; run 'tal extract' again") from error
    if not known:
        raise ShardError(f"{path}: shard of another format version; run 'tal extract' again")
    return dict(about)


def _header(path: Path | str, about: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> ShardHeader:
    try:
        grid = SnippetGrid.from_dict(about["grid"])
        texts, duration_s, provenance = (about["key"], about["digest"]), float(about["duration_s"]), about["provenance"]
        if not all(isinstance(one, str) for one in texts) or not isinstance(provenance, dict):
            raise TypeError("an entry of another type than it has")
        return ShardHeader(*texts, grid, duration_s, provenance, dict(shapes))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ShardError(f"{path}: damaged shard header ({_line(error)}); run 'tal extract' again") from error


def _digest(about: Mapping[str, Any], tensors: Mapping[str, FloatArray]) -> str:
    digest = hashlib.sha256(canonical_json(about).encode())
    for name in sorted(tensors):
        digest.update(f"{name}{tensors[name].shape}".encode())
        digest.update(np.ascontiguousarray(tensors[name]).data)
    return digest.hexdigest()
