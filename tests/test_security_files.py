"""Files of numbers made to do harm: shards and arrays that lie about their size, or unpack to gigabytes."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import bounded
import numpy as np
import pytest
from bounded import refused

from extract import weights_files
from tal import npy, shards
from tal.errors import InputError, ShardError, WeightsError
from tal.files import canonical_json
from tal.types import SnippetGrid

pytest.importorskip("torch")  # so that it is loaded before there is little memory
limits = bounded.limits  # a fixture that every test uses


# safetensors: headers that lie


def safetensors(head: Any, data: bytes = b"", n_bytes: int | None = None) -> bytes:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<Q", len(text) if n_bytes is None else n_bytes) + text + data


def tensor(shape: Any, *offsets: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": list(offsets)}


LIES = {
    "a header larger than the file": safetensors(b"{}", n_bytes=1 << 40),
    "a header of all there can be": safetensors(b"{}", n_bytes=(1 << 64) - 1),
    "a tensor larger than the file": safetensors({"rgb": tensor([1 << 40, 2], 0, 1 << 43)}),
    "a shape whose product wraps around": safetensors({"rgb": tensor([1 << 32, 1 << 32], 0, 0)}),
    "a negative shape": safetensors({"rgb": tensor([-1, 2], 0, 8)}, bytes(8)),
    "a negative offset": safetensors({"rgb": tensor([1, 2], -8, 0)}, bytes(8)),
    "an end before the beginning": safetensors({"rgb": tensor([1, 2], 8, 0)}, bytes(8)),
    "tensors that overlap": safetensors({"rgb": tensor([1, 2], 0, 8), "flow": tensor([1, 2], 4, 12)}, bytes(12)),
    "a hole": safetensors({"rgb": tensor([1, 2], 8, 16)}, bytes(16)),
    "more than its tensors": safetensors({"rgb": tensor([1, 2], 0, 8)}, bytes(99)),
    "a name that is no UTF-8": safetensors(b'{"\xff\xfe": {"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
    "a type that is none": safetensors({"rgb": tensor([1, 2], 0, 8, dtype="PICKLE")}, bytes(8)),
    "no object": safetensors(b"[]"),
    "depth": safetensors(b"[" * 100_000),
    "metadata that are no texts": safetensors({"__metadata__": {"tal": {"a": 1}}}),
}


@pytest.mark.parametrize("lie", LIES)
def test_safetensors_that_lie_are_refused(lie: str, tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    path.write_bytes(LIES[lie])
    for read in (shards.read, shards.header):
        refused(ShardError, lambda read=read: read(path))  # type: ignore[misc]
    refused(WeightsError, lambda: weights_files.read(path))


def shard(path: Path, tensors: dict[str, Any] | None = None, **changes: Any) -> Path:
    """Write a shard whose digest is right, whatever else is wrong with it."""
    from safetensors.numpy import save

    values = {"rgb": np.ones((2, 3), np.float32)} if tensors is None else tensors
    grid = {"n_snippets": 2, "fps": "25", "length": 16, "stride": 16, "offset": 0, "convention": "centre"}
    about = {"format": 1, "key": "k", "grid": grid, "duration_s": 2.0, "provenance": {}, **changes}
    digest = hashlib.sha256(canonical_json(about).encode())
    for name in sorted(values):
        digest.update(f"{name}{values[name].shape}".encode())
        digest.update(np.ascontiguousarray(values[name]).tobytes())
    path.write_bytes(save(values, {"tal": canonical_json({**about, "digest": digest.hexdigest()})}))
    return path


def test_a_shard_made_by_a_stranger_is_read(tmp_path: Path) -> None:
    """What the next test changes is what is refused."""
    assert shards.read(shard(tmp_path / "v.safetensors")).grid == SnippetGrid(2)


GRID = SnippetGrid(2).to_dict()


@pytest.mark.parametrize(
    "changes",
    [
        {"grid": GRID | {"fps": "1/0"}},
        {"grid": GRID | {"fps": "1e9999999999"}},
        {"grid": GRID | {"fps": "9" * 400}},
        {"grid": GRID | {"fps": ["25"]}},
        {"grid": GRID | {"stride": 1 << 4000}},
        {"grid": GRID | {"offset": 1.5}},
        {"grid": GRID | {"n_snippets": True}},
        {"grid": GRID | {"convention": "x"}},
        {"grid": GRID | {"more": 1}},
        {"grid": []},
        {"duration_s": None},
        {"duration_s": 1 << 4000},
        {"provenance": []},
        {"key": None},
        {"format": 2},
        {"tensors": {"rgb": np.ones((3, 3), np.float32)}},
        {"tensors": {"rgb": np.ones(6, np.float32)}},
        {"tensors": {"rgb": np.ones((2, 3), np.float64)}},
        {"tensors": {"../x": np.ones((2, 3), np.float32)}},
        {"tensors": {"motion": np.ones((2, 1), np.float32)}},
    ],
)
def test_shards_with_a_right_digest_and_wrong_content_are_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    refused(ShardError, lambda: shards.read(shard(tmp_path / "v.safetensors", **changes)))


@pytest.mark.parametrize("text", ["[" * 5000, '{"format": 1, "grid": NaN}', '{"format": 1, "key": "\\ud800"}', "1"])
def test_shards_with_an_entry_that_is_none_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    path.write_bytes(safetensors({"__metadata__": {"tal": text}}))
    refused(ShardError, lambda: shards.read(path))


# NumPy's files: shapes of nothing, and bombs


def npy_head(shape: tuple[int, ...], descr: str = "<f4") -> bytes:
    made = io.BytesIO()
    np.lib.format.write_array_header_1_0(made, {"descr": descr, "fortran_order": False, "shape": shape})
    return made.getvalue()


@pytest.mark.parametrize("shape", [(1 << 50,), (1 << 31, 1 << 31, 1 << 31), (10**30,), (0, 1 << 62), (-1,), (1,) * 40])
def test_npy_files_larger_than_themselves_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(npy_head(shape))
    refused(InputError, lambda: npy.numbers(tmp_path / "a.npy"))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", npy_head(shape))
    with npy.Archive(tmp_path / "a.npz") as arrays:
        refused(InputError, lambda: arrays.numbers("a"))
    from tal.pipeline import foreign_states

    refused(WeightsError, lambda: foreign_states.read(tmp_path / "a.npz"))


def test_an_archive_that_unpacks_to_a_thousand_times_its_size_is_refused(tmp_path: Path) -> None:
    n_values = 25_000_000  # 100 MB of zeros, in 0.1 MB; the same goes for 100 GB
    path, block = tmp_path / "a.npz", bytes(4_000_000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("rgb.npy", "w") as file:
        file.write(npy_head((n_values,)))
        for _ in range(25):
            file.write(block)
    with npy.Archive(path) as arrays:
        told = refused(InputError, lambda: arrays.numbers("rgb"))
    assert "refused: it would unpack to 95 MiB from" in told


def test_archives_of_small_or_dense_arrays_are_read(tmp_path: Path) -> None:
    """Zeros compress a thousandfold, numbers of a network hardly: neither is a bomb."""
    np.savez_compressed(tmp_path / "a.npz", zeros=np.zeros((1000, 2048), np.float32))
    with npy.Archive(tmp_path / "a.npz") as arrays:
        assert not arrays.numbers("zeros").any()


def test_names_in_an_archive_are_only_names(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("../../x.npy", npy_head((1,)) + bytes(4))
    with npy.Archive(tmp_path / "a.npz") as arrays:
        assert arrays.names == ("../../x",) and arrays.numbers("../../x").tolist() == [0]
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
