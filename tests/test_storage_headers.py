"""Headers of shards read by ranges of bytes."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tal import shards
from tal.errors import ShardError
from tal.types import Features, SnippetGrid


def written(path: Path, note: str = "") -> bytes:
    vectors = np.arange(12, dtype=np.float32).reshape(3, 4)
    made = Features({"rgb": vectors}, SnippetGrid(3, Fraction(25), 16, 16, 0), 2.0, None, {"note": note})
    shards.write(path, made, "key")
    return path.read_bytes()


def read(content: bytes, size: int | None = None) -> tuple[shards.ShardHeader, int]:
    """Return the header and how many bytes were read for it."""
    n_read = 0

    def some(start: int, end: int) -> bytes:
        nonlocal n_read
        n_read += len(content[start:end])
        return content[start:end]

    return shards.header_of("there", len(content) if size is None else size, some), n_read


@pytest.mark.parametrize("n_characters", [0, 20_000, 100_000])
def test_it_is_the_header_of_the_file_and_little_more_is_read(tmp_path: Path, n_characters: int) -> None:
    content = written(tmp_path / "a.safetensors", "x" * n_characters)
    about, n_read = read(content + b"\0" * 10**6, len(content))
    assert about == shards.header(tmp_path / "a.safetensors")
    assert n_read == max(shards.HEAD_BYTES, len(content) - 12 * 4)


def test_what_was_cut_short_is_refused(tmp_path: Path) -> None:
    content = written(tmp_path / "a.safetensors")
    for n in (0, 7, 8, 100, len(content) - 48, len(content) - 1):
        with pytest.raises(ShardError, match=r"^there: .*; run 'tal extract' again$"):
            read(content[:n])
    with pytest.raises(ShardError, match=f"^there: cut short, {len(content) - 1} of {len(content)} bytes"):
        read(content[:-1])


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return written(tmp_path_factory.mktemp("shard") / "a.safetensors")


@given(st.data())
def test_damage_is_a_shard_error_or_tells_a_header(content: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(content) - 49))
    damaged = bytearray(content)
    damaged[at : at + 4] = data.draw(st.binary(min_size=1, max_size=8))
    with suppress(ShardError):
        assert isinstance(read(bytes(damaged))[0], shards.ShardHeader)
