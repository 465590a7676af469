"""DeepMind's TensorFlow checkpoints: read without TensorFlow, every bound and checksum held."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bundles import HEADER, deepmind_variables, message, number, table, varint, write_bundle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from light_i3d import same
from torch import Tensor

from extract import weights
from extract.sstable import Cursor, Unreadable, fields, read_table
from extract.tf_checkpoint import files_of, index_of, open_checkpoint, read_variables
from extract.weights_files import read, shapes
from extract.weights_names import from_tensorflow
from tal.errors import WeightsError

FIRST = "RGB/inception_i3d/Conv3d_1a_7x7/batch_norm/beta"
SMALL = {FIRST: np.arange(64, dtype=np.float32)}


@pytest.fixture(scope="module")
def network() -> dict[str, Tensor]:
    """I3D's tensors with values that tell axes apart; scales are 1, as in all of DeepMind's."""
    made = {}
    for i, (key, shape) in enumerate(shapes("flow").items()):
        n = int(np.prod(shape))
        made[key] = torch.ones(shape) if key.endswith("bn.weight") else (torch.arange(n) % 1009 + i).reshape(shape) / 7
    return made


def test_a_checkpoint_is_read_as_the_network_it_holds(tmp_path: Path, network: dict[str, Tensor]) -> None:
    index = write_bundle(tmp_path / "model.ckpt", deepmind_variables(network, "Flow/inception_i3d/"))
    assert same(weights.load(tmp_path / "model.ckpt", "flow"), network)
    assert index_of(tmp_path / "model.ckpt.data-00000-of-00001") == index_of(index) == index
    assert files_of(index) == [index, tmp_path / "model.ckpt.data-00000-of-00001"]
    with pytest.raises(WeightsError) as error:
        weights.load(index, "rgb")
    assert str(error.value) == f"{index}: I3D for stream 'flow', not 'rgb'; name both files as rgb=FILE,flow=FILE"


def test_a_training_checkpoint_as_of_kinetics_600(tmp_path: Path, network: dict[str, Tensor]) -> None:
    """No name of the stream, BatchNorm with five axes, slots of the optimizer, which are not even looked at."""
    variables = deepmind_variables(network, "inception_i3d/")
    variables |= {name: v[None, None, None, None] for name, v in variables.items() if "batch_norm" in name}
    slot = "inception_i3d/Conv3d_1a_7x7/batch_norm/beta/Momentum"
    variables |= {slot: np.full((1, 1, 1, 1, 64), np.nan), "global_step": np.array(7)}
    assert same(weights.load(write_bundle(tmp_path / "model.ckpt", variables), "flow"), network)


@pytest.mark.parametrize("checkpoint", ["rgb_imagenet", "flow_imagenet", "rgb_scratch", "flow_scratch"])
def test_the_published_variables_are_the_whole_network(shared: Path, checkpoint: str) -> None:
    published = json.loads((shared / "data" / "i3d-checksums" / f"{checkpoint}.json").read_text())
    found = {}
    for name, entry in published.items():
        t, h, w, n_in, n_out = entry["shape"] if len(entry["shape"]) == 5 else (0,) * 5
        found[from_tensorflow(name)] = (n_out, n_in, t, h, w) if n_out else tuple(entry["shape"])
    expected = shapes(checkpoint.partition("_")[0])
    assert found == {key: shape for key, shape in expected.items() if not key.endswith("bn.weight")}


def test_published_indexes_list_the_published_figures(shared: Path) -> None:
    folder = shared / "data" / "i3d-checksums"
    indexes = sorted(folder.rglob("*.index"))
    if not indexes:
        pytest.skip("needs DeepMind's model.ckpt.index files in ../shared/data/i3d-checksums")
    tables = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    for index in indexes:
        variables = open_checkpoint(index).variables
        listed = {name: {"shape": list(v.shape), "masked_crc32c": v.crc32c} for name, v in variables.items()}
        assert listed in tables


def test_scales_of_a_checkpoint_are_kept(tmp_path: Path) -> None:
    """DeepMind's have none, but BatchNorm's gamma is the scale where one is written."""
    index = write_bundle(tmp_path / "x", {**SMALL, FIRST.replace("beta", "gamma"): np.full(64, 3.0, np.float32)})
    values = read(index)
    assert torch.equal(values["Conv3d_1a_7x7.bn.weight"], torch.full((64,), 3.0))
    assert torch.equal(values["Conv3d_1a_7x7.bn.bias"], torch.arange(64.0))


def test_numbers_of_the_wire_format() -> None:
    """The examples of protobuf.dev/programming-guides/encoding."""
    assert Cursor(b"\x96\x01").varint() == 150
    assert list(fields(b"\x08\x96\x01\x12\x07testing")) == [(1, 150), (2, b"testing")]
    assert Cursor(b"\xff" * 9 + b"\x01").varint() == 2**64 - 1
    for endless in (b"\xff" * 9 + b"\x02", b"\x80" * 11, b"\x80"):
        with pytest.raises(Unreadable):
            Cursor(endless).varint()


@given(st.integers(0, 2**64 - 1), st.binary(max_size=5))
def test_numbers_end_where_they_end(value: int, rest: bytes) -> None:
    cursor = Cursor(varint(value) + rest)
    assert (cursor.varint(), cursor.take(len(rest)), cursor.at_end) == (value, rest, True)


@given(st.dictionaries(st.binary(max_size=12), st.binary(max_size=40), max_size=60), st.integers(1, 30))
def test_tables_are_read_as_they_were_written(items: dict[bytes, bytes], per_block: int) -> None:
    assert list(read_table(table(items, per_block)).items()) == sorted(items.items())


@given(st.data())
def test_one_changed_byte_of_a_table_is_noticed(data: st.DataObject) -> None:
    """Blocks have checksums; the footer points at them. Only the unused rest of the footer may be anything."""
    items = {b"a%d" % i: b"value" * i for i in range(9)}
    good = bytearray(table(items, 4))
    place = data.draw(st.integers(0, len(good) - 1).filter(lambda at: not len(good) - 48 <= at < len(good) - 8))
    good[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Unreadable):
        read_table(bytes(good))


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "offset": (
        {"offset": 4},
        "{data}: cut short or of another checkpoint: variable '{first}' lies outside it",
    ),
    "far": ({"offset": 2**63}, "{data}: cut short or of another checkpoint: variable '{first}' lies outside it"),
    "checksum": (
        {"crc": 1},
        "{data}: damaged: variable '{first}' does not match its CRC32C; get the checkpoint again",
    ),
    "size": ({"size": 252}, "{index}: variable '{first}' is not one whole tensor of float32 numbers"),
    "shape": ({"shape": (2**40, 2**40)}, "{index}: variable '{first}' is not one whole tensor of float32 numbers"),
    "dtype": ({"dtype": 3}, "{index}: variable '{first}' is not one whole tensor of float32 numbers"),
    "slices": (
        {"extra": message(7, b"")},
        "{index}: variable '{first}' is not one whole tensor of float32 numbers",
    ),
    "shard": (
        {"shard": 1},
        "{index}: damaged: variable '{first}' lies in a data file that does not exist",
    ),
    "huge": (
        {"shape": (2**28 + 1,), "size": 2**30 + 4},
        "{index}: not I3D weights: its variables take more than 1 GiB",
    ),
    "axes": (
        {"shape": (1,) * 9},
        "{index}: not readable as a TensorFlow checkpoint: a tensor has 9 axes",
    ),
    "snappy": (
        {"kind": 1},
        "{index}: not readable as a TensorFlow checkpoint: its blocks are compressed (snappy), which is not supported;"
        " TensorFlow writes them plain",
    ),
    "endian": (
        {"header": HEADER + number(2, 1)},
        "{index}: not readable as a TensorFlow checkpoint: its numbers are big-endian, which is not supported",
    ),
    "old": (
        {"header": message(1, b"V1")},
        "{index}: not readable as a TensorFlow checkpoint: it has no header of a V2 checkpoint (older checkpoints are"
        " not supported)",
    ),
    "other": ({}, "{index}: not I3D weights: no tensor 'Conv3d_1a_7x7.conv3d.weight'; name another file"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_checkpoint_that_lies_is_one_line(tmp_path: Path, case: str) -> None:
    changes, expected = BROKEN[case]
    index = write_bundle(tmp_path / "model.ckpt", SMALL, **changes)
    data = tmp_path / "model.ckpt.data-00000-of-00001"
    with pytest.raises(WeightsError) as error:
        weights.load(index, "rgb")
    assert str(error.value) == expected.format(index=index, data=data, first=FIRST)


def test_data_files_that_are_missing_or_cut(tmp_path: Path) -> None:
    index = write_bundle(tmp_path / "model.ckpt", SMALL)
    (data,) = tmp_path.glob("*.data-*")
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"cut short or of another checkpoint: variable '.*' lies outside it$"):
        weights.load(index, "rgb")
    data.unlink()
    with pytest.raises(WeightsError) as error:
        weights.load(index, "rgb")
    assert str(error.value) == f"{data}: not there; a TensorFlow checkpoint is its .index and all its .data files"


def test_two_networks_in_one_checkpoint(tmp_path: Path) -> None:
    index = write_bundle(tmp_path / "x", {**SMALL, FIRST.replace("RGB", "Flow"): np.ones(64, np.float32)})
    with pytest.raises(
        WeightsError,
        match=r"not I3D weights of one stream: two variables for one tensor; name one stream's checkpoint$",
    ):
        weights.load(index, "rgb")


def test_an_unknown_variable_is_named(tmp_path: Path, network: dict[str, Tensor]) -> None:
    variables = {**deepmind_variables(network, ""), "resnet/conv1/w": np.ones(3, np.float32)}
    with pytest.raises(WeightsError, match=r"not I3D weights: unknown tensor 'resnet/conv1/w'; name another file$"):
        weights.load(write_bundle(tmp_path / "x", variables), "flow")


def test_many_keys_that_share_a_long_beginning_are_refused() -> None:
    """Each costs 4 bytes and would take thousands."""
    with pytest.raises(Unreadable, match="a key is longer than it can be"):
        read_table(table({b"k" * 5000 + b"%05d" % i: b"" for i in range(20)}))


def test_the_same_block_cannot_be_listed_twice() -> None:
    """Else a small index would unfold to a large one."""
    with pytest.raises(Unreadable, match="its blocks overlap"):
        read_table(table({b"a": b"1"}, twice=True))


@settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_a_damaged_index_is_always_one_line(tmp_path: Path, data: st.DataObject) -> None:
    """Also where the checksums of its blocks were made to fit."""
    message = bytearray(SMALL_ENTRY)
    for place in data.draw(st.lists(st.integers(0, len(message) - 1), max_size=4)):
        message[place] = data.draw(st.integers(0, 255))
    key = data.draw(st.sampled_from([FIRST.encode(), b"\xff\xfe", b"x/" * 3]))
    content = table({b"": HEADER, key: bytes(message[: data.draw(st.integers(0, len(message)))])})
    if data.draw(st.booleans(), label="cut"):
        content = content[: data.draw(st.integers(0, len(content)))]
    index = tmp_path / "model.ckpt.index"
    index.write_bytes(content)
    index.with_name("model.ckpt.data-00000-of-00001").write_bytes(SMALL[FIRST].tobytes())
    with pytest.raises(WeightsError) as error:
        weights.load(index, "rgb")
    assert str(error.value).startswith(str(tmp_path))
    assert "\n" not in str(error.value)


SMALL_ENTRY = number(1, 1) + message(2, message(2, number(1, 64))) + number(5, 256) + b"\x35" + bytes(4)


def test_variables_can_be_read_under_other_names(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(write_bundle(tmp_path / "x", SMALL))
    (values,) = read_variables(checkpoint, {FIRST: "beta"}).values()
    np.testing.assert_array_equal(values, SMALL[FIRST])
