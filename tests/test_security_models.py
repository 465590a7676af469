"""Weights, checkpoints and models made to do harm: that make a reader run, fall, hang, or take all memory."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import bounded
import bundles
import numpy as np
import pickled
import pytest
from bounded import refused

from extract import tf_checkpoint
from tal import npy
from tal.errors import InputError, ModelError, TalError, WeightsError

torch = pytest.importorskip("torch")  # loaded before there is little memory
limits = bounded.limits  # a fixture that every test uses


def test_pickles_that_would_do_something_are_refused_everywhere(tmp_path: Path) -> None:
    """As an array of objects, as PyTorch's old files, and inside its new ones."""
    from tal.pipeline import foreign_states

    marker = tmp_path / "ran"
    for name, attack in pickled.attacks(marker).items():
        refused(InputError, lambda a=attack: npy.read(pickled.write(tmp_path / "a.npy", a)))  # type: ignore[misc]
        (tmp_path / "old.pt").write_bytes(attack)
        with zipfile.ZipFile(tmp_path / "new.pt", "w") as archive:
            archive.writestr("archive/data.pkl", attack)
            archive.writestr("archive/version", "3")
        for file in ("old.pt", "new.pt"):
            refused(TalError, lambda f=file: foreign_states.read(tmp_path / f))  # type: ignore[misc]
        assert not marker.exists(), name


def test_a_tensor_that_repeats_one_number_a_trillion_times_is_refused(tmp_path: Path) -> None:
    from tal.pipeline import foreign_states

    torch.save({"a": torch.zeros(1).expand(1 << 40)}, tmp_path / "m.pt")
    told = refused(ModelError, lambda: foreign_states.read(tmp_path / "m.pt"))
    assert told.endswith("'a' is not a tensor of floating-point numbers; give the weights alone")


@pytest.mark.parametrize("shape", [(0, 1 << 63), (1 << 40,), (0,) * 9])
def test_variables_of_impossible_shapes_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    index = bundles.write_bundle(tmp_path / "m", {"a": np.zeros(0, np.float32)}, shape=shape)

    def read() -> object:
        found = tf_checkpoint.open_checkpoint(index)
        return tf_checkpoint.read_variables(found, {"a": "a"})

    refused(WeightsError, read)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_run_that_goes_on_from_a_strangers_checkpoint_begins_anew(tmp_path: Path) -> None:
    from tal import checkpoints
    from tal.progress import Silent

    marker = tmp_path / "ran"
    for attack in [*pickled.attacks(marker).values(), pickle.dumps({"a": 1}), pickle.dumps([1])]:
        with zipfile.ZipFile(tmp_path / checkpoints.FILE, "w") as archive:
            archive.writestr("archive/data.pkl", attack)
            archive.writestr("archive/version", "3")
        assert checkpoints.read(tmp_path, "mine", Silent()) == checkpoints.State()
    assert not marker.exists()


def test_a_model_wider_than_its_tensors_is_refused(tmp_path: Path) -> None:
    from tal import models

    method = {"name": "stpn", "hidden": 4}
    meta = models.ModelMeta(method=method, classes=("a", "b"), networks={"rgb": 3}, streams={"rgb": 3})
    networks = {"rgb": models.build(method, 3, 2)}
    models.save(tmp_path / "m.safetensors", networks, meta)
    assert models.load(tmp_path / "m.safetensors").networks
    wide = meta.model_copy(update={"networks": {"rgb": 1 << 40}})
    models.save(tmp_path / "m.safetensors", networks, wide)
    told = refused(ModelError, lambda: models.load(tmp_path / "m.safetensors"))
    assert "rgb reads 1099511627776 channels, no tensor is as wide" in told
