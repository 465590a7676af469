"""Weight files in every format: read alike, refused by their first wrong tensor, never run."""

from __future__ import annotations

import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from torch import Tensor

from extract import weights
from extract.i3d import I3D
from extract.weights_files import shapes
from tal.errors import WeightsError


@pytest.fixture(scope="module")
def light() -> dict[str, Tensor]:
    """I3D's tensors, each filled with a number of its own: few bytes in PyTorch's formats, which store strides."""
    names = enumerate(shapes("rgb").items())
    return {key: torch.tensor(float(i)).expand(shape) for i, (key, shape) in names}


def hassony2(key: str) -> str:
    """The name that hassony2/kinetics_i3d_pytorch gives a tensor of the reference."""
    if key.startswith("logits."):
        return key.replace("logits.", "conv3d_0c_1x1.")
    unit, *rest = key.replace(".bn.", ".batch3d.").split(".")
    branches = {"b0": "branch_0", "b1a": "branch_1.0", "b1b": "branch_1.1"}
    branches |= {"b2a": "branch_2.0", "b2b": "branch_2.1", "b3b": "branch_3.1"}
    return ".".join([unit[0].lower() + unit[1:], *[branches.get(part, part) for part in rest]])


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[key], expected[key]) for key in expected)


def test_hassony2s_names_are_those_of_its_files() -> None:
    """Names listed from model_rgb.pth."""
    assert [hassony2(key) for key in ("Conv3d_1a_7x7.bn.running_mean", "Mixed_5b.b2b.conv3d.weight")] == [
        "conv3d_1a_7x7.batch3d.running_mean",
        "mixed_5b.branch_2.1.conv3d.weight",
    ]
    assert hassony2("logits.conv3d.bias") == "conv3d_0c_1x1.conv3d.bias"


@pytest.mark.parametrize(
    ("style", "form"),
    [
        ("piergiaj", "zip"),
        ("piergiaj", "legacy"),
        ("hassony2", "zip"),
        ("hassony2", "legacy"),
        ("hassony2", "safetensors"),
    ],
)
def test_every_format_gives_the_same_state(tmp_path: Path, light: dict[str, Tensor], style: str, form: str) -> None:
    named = OrderedDict((hassony2(key) if style == "hassony2" else key, value) for key, value in light.items())
    named["mixed_3b.branch_0.batch3d.num_batches_tracked"] = torch.tensor(5)
    path = tmp_path / "weights"
    if form == "safetensors":
        weights.save(path, named, "test")
    else:
        torch.save(named, path, _use_new_zipfile_serialization=form == "zip")
    assert same(weights.load(path, "rgb"), light)


def test_the_form_of_tensors_in_2017_is_read(tmp_path: Path, light: dict[str, Tensor]) -> None:
    """PyTorch before 0.4, with which the published files were written, rebuilt tensors by another function."""

    class Old:
        def __init__(self, tensor: Tensor) -> None:
            self.tensor = tensor

        def __reduce__(self) -> tuple[Any, ...]:
            storage = self.tensor._typed_storage()
            return torch._utils._rebuild_tensor, (storage, 0, tuple(self.tensor.shape), self.tensor.stride())

    path = tmp_path / "rgb_imagenet.pt"
    old = OrderedDict((key, Old(value)) for key, value in light.items())
    torch.save(old, path, _use_new_zipfile_serialization=False)
    assert same(weights.load(path, "rgb"), light)


def test_saved_weights_are_whole_and_say_where_they_are_from(tmp_path: Path, light: dict[str, Tensor]) -> None:
    path = tmp_path / "new" / "i3d_rgb.safetensors"
    network = I3D(3)
    network.load_state_dict(light)
    weights.save(path, network.state_dict(), "random:3")
    assert same(weights.load(path, "rgb"), light)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with safe_open(str(path), framework="numpy") as file:
        assert file.metadata() == {"origin": "random:3"}


def test_half_precision_is_read_as_float32(tmp_path: Path, light: dict[str, Tensor]) -> None:
    path = tmp_path / "half.pt"
    torch.save({key: value.half() for key, value in light.items()}, path)
    found = weights.load(path, "rgb")
    assert {value.dtype for value in found.values()} == {torch.float32}
    assert same(found, light)  # whole numbers below 2048 are exact in half precision


def without(state: dict[str, Tensor], key: str) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name != key}


WRONG = {
    "missing": (
        lambda s: without(s, "Mixed_3c.b0.bn.bias"),
        "not I3D weights: no tensor 'Mixed_3c.b0.bn.bias'",
    ),
    "unknown": (lambda s: {**s, "fc.weight": torch.ones(2)}, "not I3D weights: unknown tensor 'fc.weight'"),
    "charades": (
        lambda s: {**s, "logits.conv3d.weight": torch.ones(157, 1024, 1, 1, 1)},
        "not I3D for stream 'rgb': 'logits.conv3d.weight' has shape (157, 1024, 1, 1, 1), not (400, 1024, 1, 1, 1)",
    ),
    "flow": (
        lambda s: {**s, "Conv3d_1a_7x7.conv3d.weight": torch.ones(64, 2, 7, 7, 7)},
        "not I3D for stream 'rgb': 'Conv3d_1a_7x7.conv3d.weight' has shape (64, 2, 7, 7, 7), not (64, 3, 7, 7, 7)",
    ),
    "resnet": (
        lambda s: {"conv1.weight": torch.ones(64, 3, 7, 7)},
        "not I3D weights: no tensor 'Conv3d_1a_7x7.conv3d.weight'",
    ),
    "text": (
        lambda s: {**s, "Mixed_3b.b0.bn.bias": "ones"},
        "not I3D weights: 'Mixed_3b.b0.bn.bias' is not a tensor of floating-point numbers",
    ),
    "nan": (
        lambda s: {**s, "Mixed_3b.b0.bn.bias": torch.full((64,), torch.nan)},
        "damaged: 'Mixed_3b.b0.bn.bias' holds values that are not finite; get it again",
    ),
    "list": (lambda s: [1, 2], "not I3D weights: holds a list, not named tensors"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_network_is_refused_by_its_first_wrong_tensor(
    tmp_path: Path, light: dict[str, Tensor], case: str
) -> None:
    change, message = WRONG[case]
    path = tmp_path / "weights.pt"
    torch.save(change(light), path)
    with pytest.raises(WeightsError) as error:
        weights.load(path, "rgb")
    assert str(error.value) == f"{path}: {message}"


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_code_in_a_pickle_is_not_run(tmp_path: Path, form: str) -> None:
    path, trap = tmp_path / "weights.pt", tmp_path / "trap"
    content = {"Conv3d_1a_7x7.conv3d.weight": Malicious(trap)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    name = f"{os.mkdir.__module__}.mkdir"
    with pytest.raises(WeightsError) as error:
        weights.load(path, "rgb")
    assert str(error.value) == (
        f"{path}: refused: loading it would run '{name}'; weights hold tensors only, get them elsewhere"
    )
    assert not trap.exists()
    pickle.loads(pickle.dumps(Malicious(trap)))  # the trap works where pickles are run
    assert trap.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged, cut short or not a weight file; get it again"),
        (b"version https://git-lfs.github.com/spec/v1\n", "damaged, cut short or not a weight file; get it again"),
        (b"<!DOCTYPE html><html>sign in</html>", "damaged, cut short or not a weight file; get it again"),
        (
            struct.pack("<Q", 500) + b'{"a":',
            "damaged or cut short, not readable as safetensors; get it again",
        ),
    ],
)
def test_files_that_are_no_weights(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as error:
        weights.load(path, "rgb")
    assert str(error.value) == f"{path}: {message}"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.pt: cannot be read: No such file or directory$"):
        weights.load(tmp_path / "gone.pt", "rgb")


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), form=st.sampled_from(["zip", "legacy", "safetensors"]))
def test_damage_is_always_one_line(tmp_path: Path, data: st.DataObject, form: str) -> None:
    """A file cut or overwritten anywhere is refused; what it holds is not I3D even where it can still be read."""
    path = tmp_path / "weights"
    tensors = {"Conv3d_1a_7x7.conv3d.weight": torch.ones(64, 3), "x": torch.zeros(3)}
    if form == "safetensors":
        weights.save(path, tensors, "test")
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=form == "zip")
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), label="cut"):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for place in data.draw(st.lists(st.integers(0, min(len(content), 2000) - 1), min_size=1, max_size=5)):
            content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with pytest.raises(WeightsError) as error:
        weights.load(path, "rgb")
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
