"""Model files: what goes in comes out, and what is not a model is told apart."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted import write_shard
from safetensors.numpy import load_file, save_file

from tal import models
from tal.errors import BackendError, ModelError
from tal.models import Model, ModelMeta
from tal.types import Features, FloatArray, SnippetGrid

METHOD = {"name": "stpn", "hidden": 4}
STREAMS = {"rgb": 5, "flow": 3}
LATE = {"rgb": 5, "flow": 3}


def meta_of(networks: dict[str, int] | None = None, **fields: Any) -> ModelMeta:
    known = {"method": METHOD, "classes": ("a", "b"), "networks": networks or LATE, "streams": STREAMS}
    return ModelMeta(**{**known, "settings": {"localize": {"nms": 0.3}}, **fields})


def networks_of(meta: ModelMeta) -> dict[str, Any]:
    torch.manual_seed(0)
    return {name: models.build(meta.method, dim, 2) for name, dim in meta.networks.items()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "model.safetensors"
    models.save(path, networks_of(meta_of()), meta_of())
    return path


def features_of(n: int = 6, **streams: FloatArray) -> Features:
    rng = np.random.default_rng(0)
    known = {name: rng.random((n, dim)).astype(np.float32) for name, dim in STREAMS.items()}
    return Features({**known, **streams}, SnippetGrid(n), n * 0.64)


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        models.load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_loaded_model_says_what_the_saved_one_said(file: Path) -> None:
    model, features = models.load(file), features_of()
    assert model.meta == meta_of()
    assert model.device.type == "cpu"
    found = model.activate(features)
    for name, network in networks_of(meta_of()).items():
        expected = network.activate(torch.tensor(features.streams[name]))
        for part in ("cas", "scores", "signal", "attention"):
            assert np.array_equal(getattr(found[name], part), getattr(expected, part))


def test_early_fusion_puts_streams_side_by_side(tmp_path: Path) -> None:
    meta = meta_of({"rgb+flow": 8})
    models.save(tmp_path / "m", networks_of(meta), meta)
    features = features_of()
    found = models.load(tmp_path / "m").activate(features)["rgb+flow"]
    together = np.concatenate([features.streams["rgb"], features.streams["flow"]], axis=1)
    expected = networks_of(meta)["rgb+flow"].activate(torch.tensor(together))
    assert np.array_equal(found.signal, expected.signal)


def test_run_folder_will_do(file: Path) -> None:
    assert models.load(file.parent).meta == models.read_meta(file.parent) == meta_of()


def test_reading_what_a_model_is_does_not_load_pytorch(file: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from tal import models
print(*models.read_meta(Path({str(file)!r})).classes, models.identity(Path({str(file)!r})), 'torch' in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["a", "b", models.identity(file), "False"]


def test_equal_models_give_equal_bytes(file: Path, tmp_path: Path) -> None:
    models.save(tmp_path / "again", networks_of(meta_of()), meta_of())
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


def test_copy_has_other_settings_and_the_same_identity(file: Path, tmp_path: Path) -> None:
    models.copy(file, tmp_path / "copy", {"localize": {"nms": 0.9}})
    assert models.read_meta(tmp_path / "copy") == meta_of(settings={"localize": {"nms": 0.9}})
    assert models.identity(tmp_path / "copy") == models.identity(file)
    one, two = models.load(tmp_path / "copy").activate(features_of()), models.load(file).activate(features_of())
    assert all(np.array_equal(one[name].signal, two[name].signal) for name in LATE)


def test_equal_copy_is_left_alone(file: Path, tmp_path: Path) -> None:
    for _ in range(2):
        models.copy(file, tmp_path / "copy", {})
        before = (tmp_path / "copy").stat().st_ino
    models.copy(file, tmp_path / "copy", {})
    assert (tmp_path / "copy").stat().st_ino == before


def test_identity_follows_weights_method_and_classes(file: Path, tmp_path: Path) -> None:
    known = {models.identity(file)}
    others = [meta_of(classes=("b", "a")), meta_of(method={**METHOD, "pool": "sum"}), meta_of({"rgb": 5})]
    for i, meta in enumerate(others):
        models.save(tmp_path / str(i), networks_of(meta), meta)
        known.add(models.identity(tmp_path / str(i)))
    changed = networks_of(meta_of())
    torch.nn.init.ones_(changed["flow"].classifier.bias)
    models.save(tmp_path / "changed", changed, meta_of())
    assert len(known | {models.identity(tmp_path / "changed")}) == 5


def test_missing_file_and_empty_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no") == f"no model at {tmp_path / 'no'}; 'tal train' writes one"
    assert refusal(tmp_path) == f"no model at {tmp_path / 'model.safetensors'}; 'tal train' writes one"


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04K\x01.", b"\xff" * 64])
def test_not_a_model(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m").write_bytes(content)
    assert refusal(tmp_path / "m").startswith(f"{tmp_path / 'm'}: not a model or cut short (")


def test_shard_is_told_from_a_model(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "v.safetensors", {"rgb": np.ones((3, 5))})
    assert refusal(path) == f"{path}: a safetensors file, but not a model written by 'tal train'"


def test_file_cut_anywhere_is_refused(file: Path) -> None:
    content = file.read_bytes()
    for length in [*range(0, len(content), 97), len(content) - 1]:
        file.write_bytes(content[:length])
        assert "not a model or cut short" in refusal(file)


def test_any_changed_byte_is_found(file: Path) -> None:
    content = file.read_bytes()
    for place in [*range(8, len(content), 61), len(content) - 1]:
        changed = bytearray(content)
        changed[place] ^= 4
        file.write_bytes(changed)
        refusal(file)


def test_model_of_a_later_format(file: Path) -> None:
    rewrite(file, format=2)
    assert refusal(file) == f"{file}: model of another format version; train again"


def test_model_of_an_unknown_method(file: Path) -> None:
    rewrite(file, method={"name": "stpm"})
    reason = "unknown method 'stpm'; did you mean 'stpn'?"
    assert refusal(file) == f"{file}: made by another version of tal ({reason}); train again"


def test_model_whose_weights_do_not_fit_its_method(file: Path) -> None:
    rewrite(file, method={"name": "stpn", "hidden": 9})
    assert refusal(file).startswith(f"{file}: made by another version of tal (Error(s) in loading state_dict")


def rewrite(file: Path, **fields: Any) -> None:
    """Write the model as a program with other ideas would, checksums and all."""
    tensors = load_file(file)
    about = meta_of().model_dump(mode="json") | fields
    known = meta_of().model_copy(update=fields)
    about["identity"] = models._identity(known, tensors)
    about["checksum"] = models.digest_of(about)
    save_file(tensors, file, metadata={models.HEADER: json.dumps(about)})


def activation_error(model: Model, features: Features) -> str:
    with pytest.raises(ModelError) as caught:
        model.activate(features)
    return str(caught.value)


def test_features_that_do_not_fit_are_told(file: Path) -> None:
    model = models.load(file)
    other = np.ones((6, 512), np.float32)
    expected = "model expects rgb 5, features have 512; extract as for training"
    assert activation_error(model, features_of(rgb=other)) == expected
    only = Features({"rgb": features_of().streams["rgb"]}, SnippetGrid(6), 3.84)
    expected = "model expects the flow stream, features have rgb; extract with both streams"
    assert activation_error(model, only) == expected
    broken = np.full((6, 3), np.nan, np.float32)
    expected = "flow features are empty or not finite; extract the video again"
    assert activation_error(model, features_of(flow=broken)) == expected
    assert "rgb features are empty" in activation_error(model, features_of(0))


def test_surplus_streams_are_ignored(tmp_path: Path) -> None:
    meta = meta_of({"flow": 3}, streams={"flow": 3})
    models.save(tmp_path / "m", networks_of(meta), meta)
    assert set(models.load(tmp_path / "m").activate(features_of())) == {"flow"}


def test_device_that_is_not_there(file: Path) -> None:
    with pytest.raises(BackendError, match="device 'cuda:63' is not on this machine"):
        models.load(file, "cuda:63")
