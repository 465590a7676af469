"""DeepMind's checksums: CRC32C by its definition, TensorFlow's layout, the published figures."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
import torch
from bundles import deepmind_name
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from extract import weights
from extract.sstable import masked_crc32c
from extract.weights_names import from_tensorflow


def crc32c_bitwise(content: bytes) -> int:
    """CRC32C by its definition: polynomial 0x1EDC6F41, reflected, one bit at a time (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_crc32c_has_the_published_values() -> None:
    """RFC 3720, appendix B.4, and the check value of the CRC catalogue."""
    assert google_crc32c.value(b"123456789") == crc32c_bitwise(b"123456789") == 0xE3069283
    assert google_crc32c.value(bytes(32)) == crc32c_bitwise(bytes(32)) == 0x8A9136AA


def test_masked_crc32c_of_the_check_string() -> None:
    """0xE3069283 rotated right by 15 bits is 0x2507C60D; plus 0xA282EAD8 it is 0xC78AB0E5 (LevelDB, table format)."""
    assert masked_crc32c(b"123456789") == 0xC78AB0E5


@given(st.binary(max_size=50))
def test_masking_is_undone_by_its_inverse(content: bytes) -> None:
    rotated = (masked_crc32c(content) - 0xA282EAD8) % 2**32
    assert (rotated << 15 | rotated >> 17) % 2**32 == crc32c_bitwise(content)


def table_of(state: dict[str, Tensor]) -> dict[str, tuple[list[int], int]]:
    """Checksums of tensors by another path: values picked one by one in TensorFlow's order, bits by definition."""
    table = {}
    for key, tensor in state.items():
        shape = list(tensor.shape)
        if len(shape) == 5:
            n_out, n_in, t, h, w = shape
            shape = [t, h, w, n_in, n_out]
            order = [(o, i, *at) for at in np.ndindex(t, h, w) for i in range(n_in) for o in range(n_out)]
            values = [float(tensor[index]) for index in order]
        else:
            values = tensor.tolist()
        crc = crc32c_bitwise(struct.pack(f"<{len(values)}f", *values))
        table[key] = (shape, ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32)
    return table


@pytest.fixture
def tiny() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "a.conv3d.weight": torch.randn(4, 3, 1, 2, 5, generator=generator),
        "a.bn.bias": torch.randn(4, generator=generator),
        "logits.conv3d.bias": torch.randn(7, generator=generator),
    }


def test_equal_tensors_are_recognised(tiny: dict[str, Tensor]) -> None:
    other = {key: value + 1 for key, value in tiny.items()}
    table = {"rgb_scratch": table_of(other), "rgb_imagenet": table_of(tiny), "flow_imagenet": table_of(tiny)}
    report = weights.verify({**tiny, "a.bn.weight": torch.ones(4)}, "rgb", table)
    assert report == weights.VerifyReport("rgb_imagenet", 3, 3, ())
    assert report.identical


def test_one_changed_bit_and_a_scale_are_found(tiny: dict[str, Tensor]) -> None:
    table = {"flow_imagenet": table_of(tiny)}
    bias = tiny["a.bn.bias"].clone()
    bias[2] = torch.nextafter(bias[2], torch.tensor(9.0))
    changed = {**tiny, "a.bn.bias": bias, "a.bn.weight": torch.tensor([1.0, 1.0, 1.0, 0.5])}
    report = weights.verify(changed, "flow", table)
    assert (report.n_equal, report.different, report.identical) == (2, ("a.bn.bias", "a.bn.weight"), False)
    del changed["logits.conv3d.bias"]
    assert weights.verify(changed, "flow", table).different == ("a.bn.bias", "logits.conv3d.bias", "a.bn.weight")


def test_random_weights_are_not_deepminds() -> None:
    report = weights.verify(weights.random_state(0, "rgb"), "rgb")
    assert (report.n_equal, report.n_tensors, report.identical) == (0, 230, False)
    assert report.checkpoint.startswith("rgb_")


@pytest.mark.parametrize("checkpoint", ["rgb_imagenet", "flow_imagenet", "rgb_scratch", "flow_scratch"])
def test_the_table_holds_the_published_figures(shared: Path, checkpoint: str) -> None:
    published = json.loads((shared / "data" / "i3d-checksums" / f"{checkpoint}.json").read_text())
    table = json.loads(Path(weights.__file__).with_name("i3d_checksums.json").read_text())[checkpoint]
    prefix = "RGB" if checkpoint.startswith("rgb") else "Flow"
    named = {deepmind_name(key, f"{prefix}/inception_i3d/"): value for key, value in table.items()}
    assert named == {key: [entry["shape"], entry["masked_crc32c"]] for key, entry in published.items()}


def test_deepminds_names_are_ours() -> None:
    table = json.loads(Path(weights.__file__).with_name("i3d_checksums.json").read_text())["flow_scratch"]
    for prefix in ("Flow/inception_i3d/", "RGB/inception_i3d/", "inception_i3d/", ""):
        assert [from_tensorflow(deepmind_name(key, prefix) or "") for key in table] == list(table)
        assert {from_tensorflow(f"{deepmind_name(key, prefix)}/Momentum") for key in table} == {None}
