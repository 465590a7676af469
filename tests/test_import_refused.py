"""What is no checkpoint of a method's authors: refused in one line, nothing in it is run, nothing is written."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign import THREE, cmcs_state, imported, stpn_variables
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tal import config
from tal.errors import ConfigError, ModelError, TalError, WeightsError
from tal.pipeline import import_model


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


class Poison:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle", "npz"])
@pytest.mark.parametrize("method", ["cmcs", "ecm", "stpn"])
def test_a_poisoned_file_is_refused_and_not_run(tmp_path: Path, kind: str, method: str) -> None:
    marker, file = tmp_path / "executed", tmp_path / f"model.{kind}"
    state = {"state_dict": {"x": torch.zeros(2), "y": Poison(marker)}}
    if kind == "pickle":
        file.write_bytes(pickle.dumps(state))
    elif kind == "npz":
        np.savez(file, x=np.zeros(2), y=np.array([Poison(marker)], dtype=object))
    else:
        torch.save(state, file, _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(WeightsError) as error:
        imported(f"rgb={file}", method, THREE, tmp_path / "out")
    assert not marker.exists() and not (tmp_path / "out").exists()
    assert "\n" not in str(error.value)
    if kind in {"zip", "legacy"}:
        assert "refused: loading it would run" in str(error.value)


def test_another_methods_checkpoint_is_named(tmp_path: Path, rng: np.random.Generator) -> None:
    torch.save(cmcs_state(rng), tmp_path / "a.pth")
    with pytest.raises(ModelError) as error:
        imported(f"rgb={tmp_path / 'a.pth'}", "ecm", THREE, tmp_path / "out")
    assert str(error.value).startswith(f"{tmp_path / 'a.pth'}: not an ECM checkpoint of the authors' code: no tensor")
    assert str(error.value).endswith("; it is one of cmcs: --method cmcs")
    with pytest.raises(ModelError, match=r"not an STPN checkpoint .*: no variable 'Attention/dense/kernel'"):
        imported(f"rgb={tmp_path / 'a.pth'}", "stpn", THREE, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"^no checkpoints of assg's authors are known; importable: cmcs, ecm, stpn$"):
        import_model(tmp_path / "a.pth", THREE, tmp_path, config.load().model_copy(update={"method": {"name": "assg"}}))


BROKEN = {
    "missing": ({"Attention/dense_1/bias": None}, "no variable 'Attention/dense_1/bias'"),
    "unknown": ({"Attention/dense_2/bias": np.zeros(1)}, "variable 'Attention/dense_2/bias' is one too many"),
    "axes": ({"Attention/dense/kernel": np.zeros((6, 4, 1))}, "variable 'Attention/dense/kernel' has shape (6, 4, 1)"),
    "shape": (
        {"Attention/dense/kernel": np.zeros((5, 4))},
        "not a stpn network: 'classifier.weight' has shape (3, 6), not (3, 5)",
    ),
    "hidden": (
        {"Attention/dense_1/kernel": np.zeros((3, 1))},
        "not a stpn network: 'attention.output.weight' has shape (1, 3), not (1, 4)",
    ),
    "integers": (
        {"Attention/dense/bias": np.zeros(4, int)},
        "'Attention/dense/bias' is not a tensor of floating-point",
    ),
    "nan": ({"Attention/dense/bias": np.full(4, np.nan)}, "'Attention/dense/bias' holds values that are not finite"),
    "classes": (
        {"Classification/class_weight/bias": np.zeros(7), "Classification/class_weight/kernel": np.zeros((6, 7))},
        "the checkpoint scores 7 classes, not 3; name its classes in its order",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_checkpoint_of_other_tensors_is_told(tmp_path: Path, rng: np.random.Generator, case: str) -> None:
    changes, message = BROKEN[case]
    variables = {**stpn_variables(rng), **changes}
    np.savez(tmp_path / "a.npz", **{name: values for name, values in variables.items() if values is not None})
    with pytest.raises(ModelError) as error:
        imported(f"rgb={tmp_path / 'a.npz'}", "stpn", THREE, tmp_path / "out")
    assert message in str(error.value) and str(error.value).startswith(f"{tmp_path / 'a.npz'}: ")
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.data())
def test_a_file_that_was_cut_is_one_line(tmp_path: Path, data: st.DataObject) -> None:
    rng = np.random.default_rng(1)
    kind = data.draw(st.sampled_from(["npz", "zip", "legacy"]))
    file = tmp_path / f"whole.{kind}"
    if kind == "npz":
        np.savez(file, **stpn_variables(rng))
    else:
        torch.save(cmcs_state(rng), file, _use_new_zipfile_serialization=kind == "zip")
    content = file.read_bytes()
    cut = tmp_path / f"cut.{kind}"
    cut.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(TalError) as error:
        imported(f"rgb={cut}", "stpn" if kind == "npz" else "cmcs", THREE, tmp_path / "out")
    assert str(cut) in str(error.value) and "\n" not in str(error.value)


def test_sources_that_do_not_fit_are_told(tmp_path: Path, rng: np.random.Generator) -> None:
    for dim in (8, 7, 1024):
        torch.save(cmcs_state(rng, dim), tmp_path / f"{dim}.pth")
    torch.save({**cmcs_state(rng), "base.base_conv_0.bias": torch.zeros(5)}, tmp_path / "wide.pth")
    np.savez(tmp_path / "4.npz", **stpn_variables(rng))
    np.savez(tmp_path / "5.npz", **stpn_variables(rng, hidden=5))
    rgb = tmp_path / "8.pth"
    for source, method, message in [
        (f"rgb={rgb},rgb={rgb}", "cmcs", "write FILE for a network of both streams, or rgb=FILE,flow=FILE"),
        (f"rgb={rgb},rgb+flow={rgb}", "cmcs", "write FILE for a network of both streams, or rgb=FILE,flow=FILE"),
        (tmp_path / "7.pth", "cmcs", "7 channels are not two streams of one size"),
        (tmp_path / "1024.pth", "cmcs", "1024 channels are those of one stream; write rgb=FILE or flow=FILE"),
        (tmp_path / "none.pth", "cmcs", "none.pth: no such file; give a checkpoint, or rgb=FILE,flow=FILE"),
        (tmp_path / "wide.pth", "cmcs", "not a cmcs network"),
        (f"rgb={tmp_path / '4.npz'},flow={tmp_path / '5.npz'}", "stpn", "networks of different architectures"),
    ]:
        with pytest.raises(TalError) as error:
            imported(source, method, THREE, tmp_path / "out")
        assert message in str(error.value) and "\n" not in str(error.value)
