"""Kinds of files that are no weights, or would do harm when opened: each is refused in one line."""

from __future__ import annotations

import os
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch

from extract import weights
from tal.errors import WeightsError


def safetensors_of(header: str, n_bytes: int = 8) -> bytes:
    return struct.pack("<Q", len(header)) + header.encode() + bytes(n_bytes)


NO_WEIGHTS = "damaged, cut short or not a weight file; get it again"
KERAS = "an HDF5 file (Keras), which is not read; use the weights of another project"
NO_SAFETENSORS = "damaged or cut short, not readable as safetensors; get it again"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty; get it again"),
        (b"weights", NO_WEIGHTS),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 50883138\n",
            "a Git LFS pointer, not the file it stands for; run 'git lfs pull' where it is from",
        ),
        (
            b"\n\n<!DOCTYPE html><html>sign in</html>",
            "a web page or XML, not a weight file; download the file itself",
        ),
        (
            b"\x89HDF\r\n\x1a\n" + bytes(99),
            KERAS,
        ),
        (b"\x1f\x8b" + bytes(99), "compressed with gzip; unpack it first"),
        (struct.pack("<Q", 500) + b'{"a":', NO_SAFETENSORS),
        (struct.pack("<Q", 2**63) + b"{}", NO_SAFETENSORS),
        (safetensors_of('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 7), NO_SAFETENSORS),
        (safetensors_of('{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}'), NO_SAFETENSORS),
        (safetensors_of('{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}'), NO_SAFETENSORS),
        (safetensors_of('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9999999999]}}'), NO_SAFETENSORS),
        (
            safetensors_of(
                '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
            ),
            NO_SAFETENSORS,
        ),
        (safetensors_of('{"a":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}}'), NO_SAFETENSORS),
    ],
)
def test_files_that_are_no_weights(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as error:
        weights.load(path, "rgb")
    assert str(error.value) == f"{path}: {message}"


def test_folders_and_pipes_are_no_weights(tmp_path: Path) -> None:
    """A pipe that nobody writes to would be waited for."""
    os.mkfifo(tmp_path / "pipe")
    for path, what in ((tmp_path, "a folder"), (tmp_path / "pipe", "a device or pipe")):
        with pytest.raises(WeightsError) as error:
            weights.load(path, "rgb")
        assert str(error.value) == f"{path}: {what}, not a weight file; name the file itself"


def zipped(path: Path, method: int = zipfile.ZIP_STORED, **parts: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(f"archive/{name.replace('_', '.')}", content)
    return path


def test_archives_that_pytorch_does_not_write(tmp_path: Path) -> None:
    packed = "refused: a zip archive with packed parts, which PyTorch does not write; get it again"
    program = "refused: a TorchScript archive, which holds a program; weights hold tensors only"
    bomb = zipped(tmp_path / "bomb", zipfile.ZIP_DEFLATED, data_pkl=bytes(1 << 24))
    assert bomb.stat().st_size < 1 << 16
    overlapping = zipped(tmp_path / "overlapping", data_pkl=b"x" * 200, b=b"x" * 200)
    content = overlapping.read_bytes()
    second = content.index(b"PK\3\4", 4)
    listed = struct.pack("<I", second)  # where the list of parts says that the second begins: let it be the first
    overlapping.write_bytes(content[:second] + content[content.index(b"PK\1\2") :].replace(listed, bytes(4)))
    for path, message in (
        (bomb, packed),
        (zipped(tmp_path / "script", data_pkl=b"", constants_pkl=b""), program),
        (
            zipped(tmp_path / "other", a_txt=b"weights"),
            "a zip archive, but not one that PyTorch wrote; unpack it if weights are inside",
        ),
    ):
        with pytest.raises(WeightsError) as error:
            weights.load(path, "rgb")
        assert str(error.value) == f"{path}: {message}"
    with pytest.raises(WeightsError):
        weights.load(overlapping, "rgb")


def test_a_larger_file_than_any_weights_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    with path.open("wb") as file:
        file.write(b"\x80\x02")
        file.truncate(3 << 30)  # takes no space
    with pytest.raises(WeightsError) as error:
        weights.load(path, "rgb")
    assert str(error.value) == f"{path}: not I3D weights: 3.2 GB, where I3D takes 0.05 GB; name another file"


def test_tar_archives_are_not_handed_to_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch before 2.6 runs pickles in them, whatever it is told (CVE-2025-32434)."""
    path = tmp_path / "weights.pt"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("\udc80\x02pickle"))
    assert path.read_bytes()[:1] == b"\x80"
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(WeightsError) as error:
        weights.load(path, "rgb")
    assert str(error.value) == f"{path}: {NO_WEIGHTS}"
