"""Weight files in every format are read alike."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import light_i3d
import pytest
import torch
from light_i3d import same
from safetensors import safe_open
from torch import Tensor

from extract import weights
from extract.i3d import I3D
from extract.weights_files import shapes
from extract.weights_names import to_hassony2

light = light_i3d.light  # a fixture


def hassony2(key: str) -> str:
    """The name that hassony2/kinetics_i3d_pytorch gives a tensor of the reference."""
    if key.startswith("logits."):
        return key.replace("logits.", "conv3d_0c_1x1.")
    unit, *rest = key.replace(".bn.", ".batch3d.").split(".")
    branches = {"b0": "branch_0", "b1a": "branch_1.0", "b1b": "branch_1.1"}
    branches |= {"b2a": "branch_2.0", "b2b": "branch_2.1", "b3b": "branch_3.1"}
    return ".".join([unit[0].lower() + unit[1:], *[branches.get(part, part) for part in rest]])


def test_hassony2s_names_are_those_of_its_files() -> None:
    """Names listed from model_rgb.pth."""
    assert [hassony2(key) for key in ("Conv3d_1a_7x7.bn.running_mean", "Mixed_5b.b2b.conv3d.weight")] == [
        "conv3d_1a_7x7.batch3d.running_mean",
        "mixed_5b.branch_2.1.conv3d.weight",
    ]
    assert hassony2("logits.conv3d.bias") == "conv3d_0c_1x1.conv3d.bias"


def test_our_names_of_hassony2s_tensors() -> None:
    assert [to_hassony2(key) for key in shapes("rgb")] == [hassony2(key) for key in shapes("rgb")]


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


@pytest.mark.parametrize("wrap", [lambda s: {"epoch": 3, "state_dict": s}, lambda s: s])
def test_a_training_checkpoint_of_a_parallel_network(tmp_path: Path, light: dict[str, Tensor], wrap: Any) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save(wrap({f"module.{key}": value for key, value in light.items()}), path)
    assert same(weights.load(path, "rgb"), light)
