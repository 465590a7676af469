"""Authors' checkpoints as models: they say what the authors' networks said, and are models like any other."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from bundles import write_bundle
from foreign import THREE, cmcs_state, ecm_state, imported, said, sigmoid, softmax, stpn_says, stpn_variables
from planted import write_shard
from small import SETS, World
from small import tal as command
from typer.testing import CliRunner

from tal import config, models
from tal.errors import InputError, ModelError
from tal.pipeline.context import context
from tal.pipeline.importing import importable
from tal.pipeline.localizing import localize_shards
from tal.results import THUMOS14_CLASSES


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_importable_methods() -> None:
    assert {"cmcs", "ecm", "stpn"} <= set(importable())
    assert "assg" not in importable() and "cpmn" not in importable()


# What the authors' networks say


@pytest.mark.parametrize("kind", ["npz", "tensorflow"])
def test_stpn_says_what_its_equations_say(tmp_path: Path, rng: np.random.Generator, kind: str) -> None:
    streams, files = {}, {}
    for stream in ("rgb", "flow"):
        variables = streams[stream] = stpn_variables(rng)
        if kind == "npz":
            files[stream] = tmp_path / f"{stream}.npz"
            np.savez(files[stream], **{name.replace("/", "."): values for name, values in variables.items()})
            continue
        slots = {f"{name}/{slot}": values * 0 for name, values in variables.items() for slot in ("Adam", "Adam_1")}
        others = {"beta1_power": np.float32([0.9]), "global_step": np.array([7])}
        files[stream] = write_bundle(tmp_path / f"{stream}_23100", {**variables, **slots, **others})
    model = imported(f"rgb={files['rgb']},flow={files['flow']}", "stpn", THREE, tmp_path / "out")
    x = {stream: rng.random((20, 6)).astype(np.float32) for stream in streams}
    for stream, found in said(model, **x).items():
        attention, cam, scores = stpn_says(streams[stream], x[stream])
        np.testing.assert_allclose(found.attention, attention, rtol=1e-5)
        np.testing.assert_allclose(found.cas, cam, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found.scores, scores, rtol=1e-5)


def test_the_public_stpn(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "parity"
    files = {stream: folder / f"stpn_{stream}_ckpt001.npz" for stream in ("rgb", "flow")}
    model = imported(f"rgb={files['rgb']},flow={files['flow']}", "stpn", "thumos14", tmp_path)
    assert model.meta.classes == tuple(THUMOS14_CLASSES) and model.meta.method["hidden"] == 256
    stored = {stream: np.load(path) for stream, path in files.items()}
    for stream, found in said(model, **{name: one["x"] for name, one in stored.items()}).items():
        np.testing.assert_allclose(found.attention, stored[stream]["attention"][:, 0], atol=1e-4)
        np.testing.assert_allclose(found.cas, stored[stream]["tcam"], atol=1e-4)
        np.testing.assert_allclose(found.scores, sigmoid(stored[stream]["logits"]), atol=1e-4)


@pytest.mark.parametrize("fusion", ["late", "early"])
def test_the_authors_cmcs(shared: Path, tmp_path: Path, fusion: str) -> None:
    names = {"late": {"rgb": "rgb", "flow": "flow"}, "early": {"rgb+flow": "both"}}[fusion]
    stored = {n: np.load(shared / "data" / "parity" / f"cmcs_{kind}_thumosI3D.npz") for n, kind in names.items()}
    for name, one in stored.items():
        state = {key[3:]: torch.tensor(one[key]) for key in one.files if key.startswith("sd.")}
        torch.save(state, tmp_path / name, _use_new_zipfile_serialization=False)  # as in their day
    source = ",".join(f"{n}={tmp_path / n}" for n in names) if fusion == "late" else tmp_path / "rgb+flow"
    model = imported(source, "cmcs", "thumos14", tmp_path / "out")
    assert (model.meta.settings["train"]["fusion"], model.meta.method["filters"]) == (fusion, 32)
    if fusion == "late":
        x = {name: one["x"][0].T for name, one in stored.items()}
    else:
        both = stored["rgb+flow"]["x"][0].T
        x = {"rgb": both[:, :1024], "flow": both[:, 1024:]}
    for name, found in said(model, **x).items():
        np.testing.assert_allclose(found.cas, stored[name]["avg_score"][0, :, :20], atol=1e-4)
        np.testing.assert_allclose(found.attention, stored[name]["att"][0, :, 0], atol=1e-4)
        np.testing.assert_allclose(found.scores, softmax(stored[name]["global_score"][0])[:20], atol=1e-4)


def test_the_official_ecm(shared: Path, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("ecm_weights", shared / "bench" / "ecm_reference_weights.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stored = np.load(shared / "data" / "parity" / "ecm_reference.npz")
    state = {f"module.{key}": value for key, value in ecm_state(module.weights()).items()}  # as DataParallel's
    torch.save({"epoch": 3, "state_dict": state, "optimizer": {"state": {}}}, tmp_path / "best.pth")
    model = imported(tmp_path / "best.pth", "ecm", [f"c{i}" for i in range(module.C)], tmp_path / "out")
    assert model.meta.streams == {"rgb": 12, "flow": 12} and model.meta.method["hidden"] == 2048
    for video, cas, scores in zip(module.batch()[0], stored["cas"], stored["score_pre"], strict=True):
        found = said(model, rgb=video.T[:, :12], flow=video.T[:, 12:])["rgb+flow"]
        np.testing.assert_allclose(found.cas, cas.T, atol=1e-4)
        np.testing.assert_allclose(found.scores, softmax(scores), atol=1e-4)


# A model like any other


def test_settings_are_the_methods_and_what_the_checkpoint_fixes(tmp_path: Path, rng: np.random.Generator) -> None:
    torch.save(cmcs_state(rng), tmp_path / "flow.pth")
    sets = ("localize.nms=0.25", "method.filters=99", "method.dropout=0.8")
    model = imported(f"flow={tmp_path / 'flow.pth'}", "cmcs", THREE, tmp_path / "out", *sets)
    meta = models.read_meta(tmp_path / "out")
    assert meta == model.meta
    assert (meta.networks, meta.streams, meta.features) == ({"flow": 8}, {"flow": 8}, {})
    fixed = {"branches": 2, "filters": 4, "attention": True, "hard_negatives": "motion", "dropout": 0.8}
    assert fixed.items() <= meta.method.items() == meta.settings["method"].items()
    assert (meta.settings["localize"]["nms"], meta.settings["train"]["fusion"]) == (0.25, "flow")
    assert config.load(files=[tmp_path / "out" / "config.yaml"]).localize.nms == 0.25
    assert "runtime" not in meta.settings


def test_an_imported_model_localizes_shards_and_videos(tmp_path: Path, world: World, rng: np.random.Generator) -> None:
    files = {stream: tmp_path / f"{stream}.npz" for stream in ("rgb", "flow")}
    for path in files.values():
        np.savez(path, **stpn_variables(rng, dim=1024))
    model = imported(f"rgb={files['rgb']},flow={files['flow']}", "stpn", THREE, tmp_path / "run")
    values = {stream: rng.random((30, 1024)).astype(np.float32) for stream in files}
    shard = write_shard(tmp_path / "v.safetensors", values)
    results, _ = localize_shards({"v": shard}, model.path, context(config.load(), None, None))
    assert {d.label for d in results.by_video["v"]} <= set(THREE) and results.by_video["v"]
    sets = [part for text in (*SETS, "localize.class_threshold=0") if "method" not in text for part in ("--set", text)]
    video = world.data.videos / "test_0000.mp4"
    done = command("localize", video, "--model", model.path, *sets, "-q", cwd=tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert '"test_0000"' in done.stdout and "Traceback" not in done.stderr


def test_a_model_that_is_there_is_kept(tmp_path: Path, rng: np.random.Generator) -> None:
    torch.save(cmcs_state(rng), tmp_path / "a.pth")
    first = imported(f"rgb={tmp_path / 'a.pth'}", "cmcs", THREE, tmp_path / "out")
    with pytest.raises(InputError, match="a model is there already; choose another folder, or --force"):
        imported(f"rgb={tmp_path / 'a.pth'}", "cmcs", THREE, tmp_path / "out")
    assert imported(f"rgb={tmp_path / 'a.pth'}", "cmcs", THREE, tmp_path / "out", force=True) == first


def test_classes_are_read_from_a_file(tmp_path: Path, rng: np.random.Generator) -> None:
    torch.save(cmcs_state(rng), tmp_path / "a.pth")
    source = f"rgb={tmp_path / 'a.pth'}"
    (tmp_path / "classes.txt").write_text("wave\n\n bend \njack\n")
    assert imported(source, "cmcs", tmp_path / "classes.txt", tmp_path / "out").meta.classes == ("wave", "bend", "jack")
    (tmp_path / "twice.txt").write_text("wave\nwave\n")
    (tmp_path / "empty.txt").write_text("\n")
    for name, message in [
        ("twice.txt", "class 'wave' is named twice"),
        ("empty.txt", "no class is named; write one per line"),
        ("none.txt", "none.txt: No such file or directory; name a file with one class per line, or thumos14"),
    ]:
        with pytest.raises(InputError) as error:
            imported(source, "cmcs", tmp_path / name, tmp_path / "other")
        assert message in str(error.value)
    with pytest.raises(ModelError, match=r"scores 4 classes, not 20 or, with background, 21"):
        imported(source, "cmcs", "thumos14", tmp_path / "other")


def test_the_command_uses_the_methods_convention_of_extracting(tmp_path: Path, rng: np.random.Generator) -> None:
    for stream in ("rgb", "flow"):
        torch.save(cmcs_state(rng), tmp_path / stream)
    (tmp_path / "classes.txt").write_text("\n".join(THREE))
    places = ["rgb=rgb,flow=flow", "--classes", "classes.txt", "-o", "run"]
    done = command("import-model", *places, "-m", "cmcs", cwd=tmp_path, cache=tmp_path)
    assert (done.returncode, done.stdout) == (0, "run\n"), done.stderr
    assert done.stderr == "cmcs: rgb 8-d, flow 8-d, 3 classes\n"
    extract = models.read_meta(tmp_path / "run").settings["extract"]
    assert extract == config.load("cmcs", preset="cmcs").model_dump(mode="json")["extract"]
    again = command("import-model", *places, "-m", "cmcs", cwd=tmp_path, cache=tmp_path)
    assert again.returncode == 1 and "a model is there already" in again.stderr
    wrong = command("import-model", *places, "-m", "cmsc", cwd=tmp_path, cache=tmp_path)
    assert wrong.returncode == 2 and "unknown method 'cmsc'; did you mean 'cmcs'?" in wrong.stderr


def test_help_has_examples() -> None:
    from cli.app import app

    shown = CliRunner().invoke(app, ["import-model", "--help"]).stdout
    assert "Examples:" in shown and "tal import-model" in shown
