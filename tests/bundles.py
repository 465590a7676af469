"""A writer of TensorFlow's V2 checkpoints, from LevelDB's table_format.md and TensorFlow's tensor_bundle.proto."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

MAGIC = 0xDB4775248B80FB57


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def message(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def masked(content: bytes) -> int:
    crc = google_crc32c.value(content)
    return ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32


@dataclass(frozen=True)
class Entry:
    """A BundleEntryProto."""

    shape: tuple[int, ...]
    offset: int
    size: int
    crc: int
    dtype: int = 1
    shard: int = 0
    extra: bytes = b""

    def encoded(self) -> bytes:
        shape = b"".join(message(2, number(1, size)) for size in self.shape)
        place = [(3, self.shard), (4, self.offset), (5, self.size)]
        numbers = b"".join(number(field, value) for field, value in place if value)  # proto3 leaves zeros out
        crc = varint(6 << 3 | 5) + struct.pack("<I", self.crc)
        return number(1, self.dtype) + message(2, shape) + numbers + crc + self.extra


def block(items: list[tuple[bytes, bytes]], restart_every: int = 16) -> bytes:
    out, restarts, before = bytearray(), [], b""
    for i, (key, value) in enumerate(items):
        if i % restart_every == 0:
            restarts.append(len(out))
            before = b""
        shared = next(
            (n for n, (a, b) in enumerate(zip(before, key, strict=False)) if a != b), min(len(before), len(key))
        )
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    return bytes(out) + struct.pack(f"<{len(restarts)}I", *restarts) + struct.pack("<I", len(restarts))


def table(items: Mapping[bytes, bytes], per_block: int = 20, kind: int = 0, twice: bool = False) -> bytes:
    """A sorted string table; `kind` is written as each block's compression; `twice` lists the last block twice."""
    out = bytearray()

    def put(content: bytes) -> bytes:
        place = varint(len(out)) + varint(len(content))
        out.extend(content + bytes([kind]) + struct.pack("<I", masked(content + bytes([kind]))))
        return place

    rows = sorted(items.items())
    chunks = [rows[i : i + per_block] for i in range(0, len(rows), per_block)]
    places = [(chunk[-1][0], put(block(chunk))) for chunk in chunks]
    if twice:
        places.append((places[-1][0] + b"~", places[-1][1]))
    handles = put(block([])) + put(block(places))
    return bytes(out) + handles.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


HEADER = number(1, 1) + message(3, number(1, 1))  # one data file; version: producer 1


def entries_of(variables: Mapping[str, np.ndarray[Any, Any]]) -> tuple[dict[str, Entry], bytes]:
    entries, data = {}, bytearray()
    for name, values in sorted(variables.items()):
        content = np.ascontiguousarray(values).tobytes()
        dtype = {"float32": 1, "float64": 2, "int64": 9}[values.dtype.name]
        entries[name] = Entry(values.shape, len(data), len(content), masked(content), dtype)
        data += content
    return entries, bytes(data)


def write_bundle(
    prefix: Path, variables: Mapping[str, np.ndarray[Any, Any]], header: bytes = HEADER, kind: int = 0, **changes: Any
) -> Path:
    """Write a checkpoint and return its index; `changes` are made to the entry of the first variable."""
    entries, data = entries_of(variables)
    if changes:
        first = min(entries)
        entries[first] = replace(entries[first], **changes)
    items = {b"": header, **{name.encode(): entry.encoded() for name, entry in entries.items()}}
    prefix.parent.mkdir(parents=True, exist_ok=True)
    prefix.with_name(prefix.name + ".data-00000-of-00001").write_bytes(data)
    index = prefix.with_name(prefix.name + ".index")
    index.write_bytes(table(items, kind=kind))
    return index


def deepmind_name(key: str, prefix: str = "RGB/inception_i3d/") -> str | None:
    """DeepMind's name of a tensor of the reference; None for BatchNorm's scale, which its checkpoints lack."""
    *unit, kind, what = key.split(".")
    if (kind, what) == ("bn", "weight"):
        return None
    branches = {"b0": "Branch_0/Conv3d_0a_1x1", "b1a": "Branch_1/Conv3d_0a_1x1", "b1b": "Branch_1/Conv3d_0b_3x3"}
    branches |= {"b2a": "Branch_2/Conv3d_0a_1x1", "b2b": "Branch_2/Conv3d_0b_3x3", "b3b": "Branch_3/Conv3d_0b_1x1"}
    if unit == ["Mixed_5b", "b2b"]:
        branches["b2b"] = "Branch_2/Conv3d_0a_3x3"
    place = "/".join(branches.get(part, part) for part in unit).replace("logits", "Logits/Conv3d_0c_1x1")
    kinds = {"weight": "conv_3d/w", "bias": "conv_3d/b"} if kind == "conv3d" else {"bias": "batch_norm/beta"}
    kinds |= {"running_mean": "batch_norm/moving_mean", "running_var": "batch_norm/moving_variance"}
    return f"{prefix}{place}/{kinds[what]}"


def deepmind_variables(state: Mapping[str, Any], prefix: str = "RGB/inception_i3d/") -> dict[str, np.ndarray[Any, Any]]:
    """A state dict of the reference as DeepMind's variables: convolutions [t, h, w, in, out], no scales."""
    named = {deepmind_name(key, prefix): value.numpy() for key, value in state.items()}
    return {name: v.transpose(2, 3, 4, 1, 0) if v.ndim == 5 else v for name, v in named.items() if name}
