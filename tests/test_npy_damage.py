"""Damaged files of NumPy's give one line, or the array that NumPy reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pickled
import pytest
from arrays import equal
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tal import npy
from tal.errors import InputError

QUIET = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not a .npy file (it begins with b'version http'"),
        (b"\x93NUMPY\x09\x00\x00\x00\x00\x00\x00\x00", "of a version of .npy that is not known (9)"),
        (b"\x93NUMPY\x01\x00\xff\xff{}  ", "a header of 65535 bytes"),
        (b"\x93NUMPY\x01\x00\x04\x00[1]\n", "its header does not say type, order and shape"),
        (b"\x93NUMPY\x01\x00\x08\x00{'a': f(", "its header is no Python dict"),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        npy.read(path)
    assert str(refused.value).startswith(f"{path}: ") and told in str(refused.value)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    for path, told in ((tmp_path / "no.npy", "no such file"), (tmp_path, "not a file")):
        with pytest.raises(InputError, match=told):
            npy.read(path)
        with pytest.raises(InputError, match=told):
            npy.Archive(path)


@pytest.mark.parametrize("dtype", ["<c8", "<M8[s]", "V8", [("a", "<f4")], "<f4,<f4"])
def test_types_that_are_not_read(tmp_path: Path, dtype: Any) -> None:
    np.save(tmp_path / "a.npy", np.zeros(2, dtype))
    with pytest.raises(InputError, match="its elements are of a type that is not read here"):
        npy.read(tmp_path / "a.npy")


def test_a_structured_array_inside_objects(tmp_path: Path) -> None:
    values = pickled.objects(np.zeros(2, [("a", "<f4")]))
    with pytest.raises(InputError, match=r"structured type|not read here"):
        npy.read(pickled.save(tmp_path / "a.npy", values, 4))


def test_an_empty_array_larger_than_any_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for shape in ((0, 2**60), (0, 2**46)):
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "<S99999", "fortran_order": False, "shape": shape})
        with pytest.raises(InputError, match="damaged: an array of shape"):
            npy.numbers(path)


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for values in (np.arange(6.0), pickled.objects(np.arange(3.0), ["a"], {"b": 1})):
        np.save(path, values, allow_pickle=True)
        content = path.read_bytes()
        for n_bytes in (*range(0, len(content), 7), len(content) - 1):
            path.write_bytes(content[:n_bytes])
            with pytest.raises(InputError):
                npy.read(path)


@settings(max_examples=300, deadline=None, suppress_health_check=QUIET)
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), what=st.sampled_from(range(5)))
@example(place=0.0, byte=0, what=0)
def test_changed_bytes_give_an_error_or_an_array(tmp_path: Path, place: float, byte: int, what: int) -> None:
    """Of numbers: the array that NumPy reads from the same bytes; of objects: nothing else than plain values."""
    path = tmp_path / "a.npy"
    if what == 0:
        np.save(path, np.arange(6, dtype=np.float32).reshape(2, 3))
    else:
        pickled.save(path, pickled.objects(np.arange(4.0), ["a", b"b"], {"c": (1, 2.5)}), what + 1)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] = byte
    path.write_bytes(content)
    try:
        stored = npy.read(path)
        loaded = [one.load() for one in stored.items if isinstance(one, npy.Stored) and not one.is_object]
        values = None if stored.is_object else stored.load()
    except (InputError, npy.Damaged):
        return
    assert all(isinstance(one, np.ndarray) for one in loaded)
    if what == 0 and values is not None:
        assert equal(values, np.load(path))


@settings(max_examples=200, deadline=None, suppress_health_check=QUIET)
@given(pickle_bytes=st.binary(max_size=60))
def test_bytes_at_random_as_a_pickle(tmp_path: Path, pickle_bytes: bytes) -> None:
    with pytest.raises(InputError):
        npy.read(pickled.write(tmp_path / "a.npy", b"\x80\x04" + pickle_bytes))


def test_archives_that_are_damaged(tmp_path: Path) -> None:
    path, values = tmp_path / "a.npz", np.arange(600, dtype=np.float32)
    np.savez(path, a=values)
    content = path.read_bytes()
    path.write_bytes(content[:1000])
    with pytest.raises(InputError, match=r"not a \.npz file, or cut short"):
        npy.Archive(path)
    path.write_bytes(content[:1000] + bytes([content[1000] ^ 1]) + content[1001:])
    with npy.Archive(path) as archive, pytest.raises(InputError, match="it cannot be unpacked"):
        archive.numbers("a")
