"""NumPy's files are read as NumPy reads them, and nothing in them is run."""

from __future__ import annotations

import contextlib
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pickled
import pytest
from arrays import equal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tal import npy
from tal.errors import InputError

TYPES = ("<f4", ">f4", "<f2", ">f8", "|i1", ">i2", "<u8", "|b1", "|S5", "<U3", ">U3")


QUIET = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", TYPES)
def test_arrays_are_read_as_numpy_reads_them(tmp_path: Path, dtype: str, order: Any) -> None:
    values = np.asarray(np.arange(24).reshape(4, 6).astype(dtype), order=order)
    np.save(tmp_path / "a.npy", values)
    assert equal(npy.numbers(tmp_path / "a.npy"), np.load(tmp_path / "a.npy"))
    assert not npy.numbers(tmp_path / "a.npy").flags.writeable


@settings(max_examples=60, deadline=None, suppress_health_check=QUIET)
@given(values=hnp.arrays(st.sampled_from(TYPES[:8]), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)))
def test_any_shape(tmp_path: Path, values: Any) -> None:
    np.save(tmp_path / "a.npy", values)
    assert equal(npy.numbers(tmp_path / "a.npy"), values)


def test_headers_of_every_version_and_of_python_2(tmp_path: Path) -> None:
    values, path = np.arange(3.0), tmp_path / "a.npy"
    for version in ((1, 0), (2, 0), (3, 0)):
        with path.open("wb") as file:
            np.lib.format.write_array(file, values, version)
        assert equal(npy.numbers(path), values)
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (3L,), }\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + values.tobytes())
    assert equal(npy.numbers(path), values)


NESTED = pickled.objects(
    np.arange(6, dtype=">f4").reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(3, 2)),
    np.zeros((0, 4), np.float16),
    np.arange(70_000, dtype=np.float32).reshape(-1, 7),
    np.array([b"ab", b"c"]),
    np.array(["ä", "b"]),
)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_in_arrays_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    stored = npy.read(pickled.save(tmp_path / "a.npy", NESTED, protocol))
    assert stored.is_object and stored.shape == (6,)
    assert all(equal(one.load(), other) for one, other in zip(stored.items, NESTED, strict=True))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    shared = ["x", "x"]
    values = ["a", "ä", b"b", b"", 1, -1, 300, 70_000, 2**40, -(2**70), 1.5, None, True, False, (), (1,), (1, 2), [[1]]]
    values += [{"a": [1, 2], 3: (4, 5, 6)}, (1, 2, 3, 4), shared, shared, "y" * 300]
    stored = npy.read(pickled.save(tmp_path / "a.npy", pickled.objects(*values), protocol))
    assert [bytes(v) if isinstance(v, memoryview) else v for v in stored.items] == values


def test_scalars_of_numpy(tmp_path: Path) -> None:
    values = pickled.objects(np.float32(1.5), np.int64(-3), np.bytes_(b"ab"), np.str_("ä"), np.bool_(True))
    assert npy.read(pickled.save(tmp_path / "a.npy", values, 3)).items == [1.5, -3, b"ab", "ä", True]


def test_what_is_written_one_by_one_numpy_reads(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((t, 3)).astype(np.float32) for t in (1, 5, 300)]
    with npy.joint(tmp_path / "a.npy") as append:
        for values in arrays:
            append(values)
    for found in (
        np.load(tmp_path / "a.npy", allow_pickle=True),
        [s.load() for s in npy.read(tmp_path / "a.npy").items],
    ):
        assert len(found) == 3 and all(equal(one, other) for one, other in zip(found, arrays, strict=True))
    with npy.joint(tmp_path / "none.npy"):
        pass
    assert np.load(tmp_path / "none.npy", allow_pickle=True).shape == (0,)


def test_a_joint_file_that_is_not_finished_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeyError), npy.joint(tmp_path / "a.npy") as append:
        append(np.zeros((2, 2), np.float32))
        raise KeyError
    assert list(tmp_path.iterdir()) == []


ATTACKS = sorted(pickled.attacks(Path("/nowhere")))


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.filterwarnings("ignore")
def test_nothing_is_run(tmp_path: Path, name: str) -> None:
    marker = tmp_path / "marker"
    path = pickled.write(tmp_path / "evil.npy", pickled.attacks(marker)[name])
    with pytest.raises(InputError, match=r"^[^\n]*evil\.npy: [^\n]*$"):
        npy.read(path)
    np.savez(tmp_path / "evil.npz", x=np.zeros(1))
    with zipfile.ZipFile(tmp_path / "evil.npz", "w") as archive:
        archive.write(path, "x.npy")
    with npy.Archive(tmp_path / "evil.npz") as opened, pytest.raises(InputError):
        opened.read("x")
    assert not marker.exists()


@pytest.mark.parametrize("name", ["os.system, protocol 4", "eval, protocol 2", "bare call", "call in the state"])
def test_these_pickles_do_run_in_numpy(tmp_path: Path, name: str) -> None:
    """Otherwise the test above would prove nothing."""
    marker = tmp_path / "marker"
    path = pickled.write(tmp_path / "evil.npy", pickled.attacks(marker)[name])
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        np.load(path, allow_pickle=True)
    assert marker.exists()


def test_the_message_names_what_is_refused(tmp_path: Path) -> None:
    path = pickled.write(tmp_path / "a.npy", pickled.attacks(tmp_path / "m")["bare call"])
    told = "its pickle names 'posix.system': only arrays, lists and plain values are read, nothing is run"
    with pytest.raises(InputError) as refused:
        npy.read(path)
    assert str(refused.value) == f"{path}: {told}"


def test_archives(tmp_path: Path) -> None:
    path, values = tmp_path / "a.npz", np.arange(6, dtype=np.float16).reshape(2, 3)
    for save in (np.savez, np.savez_compressed):
        save(path, a=values, b=pickled.objects([b"x"]))
        with npy.Archive(path) as archive:
            assert archive.names == ("a", "b")
            assert equal(archive.numbers("a"), values)
            assert archive.read("b").items == [[b"x"]]
            with pytest.raises(InputError, match=r"a\.npz, 'c': not there; the file holds a, b"):
                archive.read("c")
            with pytest.raises(InputError, match=r"'b': an array of objects where one of numbers is expected"):
                archive.numbers("b")


def test_the_annotations_of_wtalc(shared: Path) -> None:
    """Written by Python 2; NumPy's own reading is the reference."""
    for path in sorted((shared / "data/annotations/wtalc_Thumos14reduced-Annotations").glob("*.npy")):
        expected, stored = np.load(path, allow_pickle=True, encoding="bytes"), npy.read(path)
        assert stored.shape == expected.shape
        assert stored.items == expected.tolist() if stored.is_object else equal(stored.load(), expected)
