"""Shards are whole, verified, and say how they were made."""

from __future__ import annotations

import errno
import os
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tal import shards
from tal.errors import ShardError, StorageError
from tal.types import Features, SnippetGrid


def features(t: int = 5, d: int = 8) -> Features:
    rng = np.random.default_rng(0)
    streams = {name: rng.standard_normal((t, d)).astype(np.float32) for name in ("rgb", "flow")}
    grid = SnippetGrid(t, Fraction(30000, 1001), 16, 8, 3, "start")
    return Features(streams, grid, 12.5, rng.random(t).astype(np.float32), {"weights": {"rgb": "ä"}})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path, wrote = tmp_path / "v.safetensors", features()
    digest = shards.write(path, wrote, "key")
    read = shards.read(path)
    assert all((read.streams[name] == values).all() for name, values in wrote.streams.items())
    assert (read.grid, read.duration_s, read.provenance) == (wrote.grid, 12.5, {"weights": {"rgb": "ä"}})
    assert (read.motion == wrote.motion).all()
    head = shards.header(path)
    assert (head.key, head.digest, head.dims) == ("key", digest, {"rgb": 8, "flow": 8})
    assert (shards.read_stream(path, "rgb") == wrote.streams["rgb"]).all()


def test_equal_features_give_equal_bytes(tmp_path: Path) -> None:
    shards.write(tmp_path / "a", features(), "key")
    shards.write(tmp_path / "b", features(), "key")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(tmp_path: Path, place: float, bit: int) -> None:
    path = tmp_path / "v.safetensors"
    shards.write(path, features(), "key")
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    try:
        damaged = shards.read(path)
    except ShardError:
        return
    # Only a flip that changes nothing may pass, such as one in the padding of the header.
    whole = features()
    assert all((damaged.streams[name] == values).all() for name, values in whole.streams.items())
    assert damaged.grid == whole.grid and damaged.provenance == whole.provenance


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_shard_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "v.safetensors"
    shards.write(path, features(), "key")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ShardError, match="run 'tal extract' again"):
        shards.read(path)
    assert not shards.is_current(path, "key")


def test_a_shard_of_other_settings_or_none_is_not_current(tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    assert not shards.is_current(path, "key")
    shards.write(path, features(), "key")
    assert shards.is_current(path, "key")
    assert not shards.is_current(path, "other")


def test_another_programs_safetensors_file_is_told_apart(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"rgb": np.zeros((2, 2), np.float32)}, tmp_path / "x")
    with pytest.raises(ShardError, match="not a shard written by tal"):
        shards.header(tmp_path / "x")


def test_a_full_disk_leaves_the_old_shard_and_no_rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "v.safetensors"
    shards.write(path, features(), "old")

    def full(file: BinaryIO, tensors: object, metadata: object) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shards, "_save", full)
    with pytest.raises(StorageError, match=r"cannot write .*v\.safetensors: No space left on device"):
        shards.write(path, features(), "new")
    assert shards.is_current(path, "old")
    assert [p.name for p in tmp_path.iterdir()] == ["v.safetensors"]
