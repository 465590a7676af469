"""Feature vectors in the making: the same array from memory and from a file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from extract.rows import Rows
from tal import shards
from tal.errors import StorageError
from tal.types import Features, SnippetGrid


@given(st.integers(1, 30), st.integers(1, 9), st.integers(0, 400))
def test_rows_come_back_whatever_stays_in_memory(n: int, width: int, in_memory: int) -> None:
    values = np.random.default_rng(n).normal(size=(n, width)).astype(np.float32)
    rows = Rows(in_memory)
    for row in values:
        rows.append(row)
    assert len(rows) == n
    assert np.array_equal(rows.array(), values)
    assert isinstance(rows.array(), np.memmap) == (values.nbytes > in_memory)


def test_a_shard_is_written_from_a_file_as_from_memory(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    rows = Rows(in_memory=100)
    for row in values:
        rows.append(row)
    motion = values[:, 0].copy()
    for name, rgb in (("memory", values), ("file", rows.array())):
        shards.write(tmp_path / name, Features({"rgb": rgb, "flow": values}, SnippetGrid(50), 32.0, motion), "key")
    assert (tmp_path / "memory").read_bytes() == (tmp_path / "file").read_bytes()
    there = load_file(tmp_path / "file")
    assert {name: one.shape for name, one in there.items()} == {"flow": (50, 8), "motion": (50,), "rgb": (50, 8)}
    assert np.array_equal(there["rgb"], values)
    assert np.array_equal(there["motion"], motion)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_for_temporary_files_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows(in_memory=4)
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda prefix: full)
        with pytest.raises(StorageError, match="No space left on device"):
            rows.append(np.ones(4, np.float32))
