"""Weights of other networks, damaged files and pickles with code: refused in one line, nothing in them is run."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import light_i3d
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from extract import weights
from tal.errors import WeightsError

light = light_i3d.light  # a fixture


def without(state: dict[str, Tensor], key: str) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name != key}


WRONG = {
    "missing": (
        lambda s: without(s, "Mixed_3c.b0.bn.bias"),
        "not I3D weights: no tensor 'Mixed_3c.b0.bn.bias'; name another file",
    ),
    "unknown": (
        lambda s: {**s, "fc.weight": torch.ones(2)},
        "not I3D weights: unknown tensor 'fc.weight'; name another file",
    ),
    "charades": (
        lambda s: {**s, "logits.conv3d.weight": torch.ones(157, 1024, 1, 1, 1)},
        "not I3D for stream 'rgb': 'logits.conv3d.weight' has shape (157, 1024, 1, 1, 1), "
        "not (400, 1024, 1, 1, 1); are the streams swapped?",
    ),
    "flow": (
        lambda s: {**s, "Conv3d_1a_7x7.conv3d.weight": torch.ones(64, 2, 7, 7, 7)},
        "I3D for stream 'flow', not 'rgb'; name both files as rgb=FILE,flow=FILE",
    ),
    "gray": (
        lambda s: {**s, "Conv3d_1a_7x7.conv3d.weight": torch.ones(64, 1, 7, 7, 7)},
        "not I3D for stream 'rgb': 'Conv3d_1a_7x7.conv3d.weight' has shape (64, 1, 7, 7, 7), "
        "not (64, 3, 7, 7, 7); are the streams swapped?",
    ),
    "resnet": (
        lambda s: {"conv1.weight": torch.ones(64, 3, 7, 7)},
        "not I3D weights: no tensor 'Conv3d_1a_7x7.conv3d.weight'; name another file",
    ),
    "text": (
        lambda s: {**s, "Mixed_3b.b0.bn.bias": "ones"},
        "not I3D weights: 'Mixed_3b.b0.bn.bias' is not a tensor of floating-point numbers",
    ),
    "sparse": (
        lambda s: {**s, "Mixed_3b.b0.bn.bias": torch.zeros(64).to_sparse()},
        "not I3D weights: 'Mixed_3b.b0.bn.bias' is not a tensor of floating-point numbers",
    ),
    "no values": (
        lambda s: {**s, "Mixed_3b.b0.bn.bias": torch.zeros(64, device="meta")},
        "not I3D weights: 'Mixed_3b.b0.bn.bias' is not a tensor of floating-point numbers",
    ),
    "twice": (
        lambda s: {**s, "mixed_3b.branch_0.batch3d.bias": torch.zeros(64)},
        "not I3D weights: two names for one tensor; name another file",
    ),
    "nan": (
        lambda s: {**s, "Mixed_3b.b0.bn.bias": torch.full((64,), torch.nan)},
        "damaged: 'Mixed_3b.b0.bn.bias' holds values that are not finite; get it again",
    ),
    "list": (lambda s: [1, 2], "not I3D weights: holds a list, not named tensors; name a file of I3D's state"),
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


def test_a_tensor_that_claims_more_than_there_is_takes_no_memory(tmp_path: Path, light: dict[str, Tensor]) -> None:
    class Lying:
        def __reduce__(self) -> tuple[Any, ...]:
            storage = torch.zeros(1)._typed_storage()
            return torch._utils._rebuild_tensor_v2, (storage, 0, (1 << 50,), (1,), False, OrderedDict())

    path = tmp_path / "weights.pt"
    torch.save({**light, "Mixed_3b.b0.bn.bias": Lying()}, path)
    with pytest.raises(WeightsError) as error:
        weights.load(path, "rgb")
    assert str(error.value) == f"{path}: damaged, cut short or not a weight file; get it again"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.pt: cannot be read: No such file or directory$"):
        weights.load(tmp_path / "gone.pt", "rgb")


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
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
