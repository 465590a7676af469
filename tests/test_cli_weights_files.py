"""``tal weights verify`` and ``convert``: whose weights a file holds, and turning it into another format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from bundles import deepmind_name, deepmind_variables, entries_of, write_bundle
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor
from weights_command import sha256, tal

from extract import weights, weights_checks
from extract.fetch import KnownFile
from extract.weights_files import shapes
from tal.errors import ConfigError
from tal.pipeline import i3d_weights


@pytest.fixture(scope="module")
def light() -> dict[str, Tensor]:
    """I3D's tensors, each filled with one number; scales are 1."""
    names = enumerate(shapes("rgb").items())
    return {
        key: torch.tensor(1.0 if key.endswith("bn.weight") else float(i)).expand(shape) for i, (key, shape) in names
    }


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, light: dict[str, Tensor]) -> Path:
    path = tmp_path_factory.mktemp("saved") / "rgb.pt"
    torch.save(light, path)
    return path


@pytest.fixture(scope="module")
def published_table(light: dict[str, Tensor]) -> dict[str, Any]:
    """Checksums under which `light` is the published network."""
    entries, _ = entries_of(deepmind_variables(light))
    named = {key: deepmind_name(key) for key in light}
    rows = {key: (list(entries[name].shape), entries[name].crc) for key, name in named.items() if name}
    return {"rgb_imagenet": rows, "rgb_scratch": dict.fromkeys(rows, ([1], 0))}


def test_weights_that_are_not_deepminds_are_usable(tmp_path: Path, saved: Path) -> None:
    done = tal("verify", saved, "-q", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        str(saved),
        "  PyTorch (zip), stream rgb, 287 tensors, every shape right",
        f"  digest: not that of a published file (SHA-256 {sha256(saved)})",
        "  usable, but not DeepMind's: 0 of 230 tensors are those of DeepMind's rgb_imagenet; different:"
        " Conv3d_1a_7x7.bn.bias, Conv3d_1a_7x7.bn.running_mean, Conv3d_1a_7x7.bn.running_var,"
        " Conv3d_1a_7x7.conv3d.weight, … (--json lists all)",
    ]


def test_deepminds_own_are_recognised(
    tmp_path: Path, saved: Path, published_table: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights_checks, "_checksums", lambda: published_table)
    known = (KnownFile("rgb.pt", "rgb", "https://example.org/rgb.pt", sha256=sha256(saved)),)
    defaults = weights_checks.inspect.__defaults__ or ()
    monkeypatch.setattr(weights_checks.inspect, "__defaults__", (*defaults[:-1], known))
    done = tal("verify", saved, "-q", cwd=tmp_path)
    assert done.stdout.splitlines()[2:] == [
        f"  digest: that of https://example.org/rgb.pt (SHA-256 {sha256(saved)})",
        "  all 230 tensors are those of DeepMind's rgb_imagenet",
    ]
    (one,) = json.loads(tal("verify", saved, "--json", cwd=tmp_path).stdout)
    assert one == {
        "path": str(saved),
        "error": None,
        "format": "PyTorch (zip)",
        "stream": "rgb",
        "n_tensors": 287,
        "sha256": sha256(saved),
        "published": "https://example.org/rgb.pt",
        "checkpoint": "rgb_imagenet",
        "n_equal": 230,
        "n_compared": 230,
        "different": [],
    }


def test_two_changed_tensors_are_named(
    tmp_path: Path, light: dict[str, Tensor], published_table: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights_checks, "_checksums", lambda: published_table)
    changed = {key: light[key] + 1 for key in ("Mixed_3b.b0.bn.bias", "logits.conv3d.bias")}
    torch.save({**light, **changed}, tmp_path / "x.pt")
    done = tal("verify", "x.pt", "-q", cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == (
        "  usable, but not DeepMind's: 228 of 230 tensors are those of DeepMind's rgb_imagenet; different:"
        " Mixed_3b.b0.bn.bias, logits.conv3d.bias"
    )
    assert done.returncode == 0


def test_files_that_cannot_be_used_end_with_status_1(tmp_path: Path, saved: Path) -> None:
    (tmp_path / "page.pt").write_bytes(b"<html>")
    alone = tal("verify", "page.pt", "-q", cwd=tmp_path)
    reason = "page.pt: a web page or XML, not a weight file; download the file itself"
    assert (alone.returncode, alone.stdout, alone.stderr) == (1, "", f"tal: {reason}\n")
    (tmp_path / "empty.pt").touch()
    two = tal("verify", "page.pt", "empty.pt", "-q", cwd=tmp_path)
    assert two.stdout.splitlines() == [reason, "empty.pt: empty; get it again"]
    assert (two.returncode, two.stderr) == (1, "tal: 2 of 2 weight files cannot be used\n")
    done = tal("verify", "page.pt", saved, "--json", "-q", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "tal: 1 of 2 weight files cannot be used\n")
    bad, good = json.loads(done.stdout)
    assert (bad["error"], bad["format"], good["error"]) == (reason, None, None)
    assert bad.keys() == good.keys()


def test_converted_weights_hold_the_same_and_say_where_they_are_from(
    tmp_path: Path, light: dict[str, Tensor], saved: Path
) -> None:
    done = tal("convert", saved, "a.safetensors", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "a.safetensors\n")
    assert done.stderr.startswith("usable, but not DeepMind's: 0 of 230 tensors")
    found = weights.load(tmp_path / "a.safetensors", "rgb")
    assert all(torch.equal(found[key], light[key]) for key in light) and found.keys() == light.keys()
    with safe_open(str(tmp_path / "a.safetensors"), framework="numpy") as file:
        about = json.loads(file.metadata()["tal"])
    assert about["origin"] == {"file": "rgb.pt", "format": "PyTorch (zip)", "sha256": sha256(saved)}
    assert (about["stream"], about["keys"]) == ("rgb", "ours")
    assert about["verification"] == "0 of 230 tensors are those of DeepMind's rgb_imagenet"
    tal("convert", saved, "b.safetensors", cwd=tmp_path)
    assert sha256(tmp_path / "a.safetensors") == sha256(tmp_path / "b.safetensors")


def test_a_checkpoint_of_tensorflow_becomes_hassony2s_and_ours_again(tmp_path: Path, light: dict[str, Tensor]) -> None:
    write_bundle(tmp_path / "model.ckpt", deepmind_variables(light))
    assert tal("convert", "model.ckpt", "h.safetensors", "--keys", "hassony2", cwd=tmp_path).returncode == 0
    theirs = load_file(tmp_path / "h.safetensors")
    assert "mixed_5b.branch_2.1.batch3d.running_var" in theirs and "conv3d_0c_1x1.conv3d.bias" in theirs
    done = tal("convert", "h.safetensors", ".", cwd=tmp_path)
    assert done.stdout == "i3d_rgb.safetensors\n"
    ours = load_file(tmp_path / "i3d_rgb.safetensors")
    assert ours.keys() == light.keys() and all(torch.equal(ours[key], light[key]) for key in light)


def test_nothing_is_overwritten_unless_told_to(tmp_path: Path, saved: Path) -> None:
    target = tmp_path / "a.safetensors"
    target.write_bytes(b"precious")
    done = tal("convert", saved, target, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"tal: {target}: is there already; name another file or overwrite it with --force\n"
    assert target.read_bytes() == b"precious"
    (tmp_path / "empty.pt").touch()
    failed = tal("convert", "empty.pt", target, "--force", cwd=tmp_path)
    assert (failed.returncode, failed.stderr) == (1, "tal: empty.pt: empty; get it again\n")
    assert target.read_bytes() == b"precious"
    assert tal("convert", saved, target, "--force", cwd=tmp_path).returncode == 0
    assert len(load_file(target)) == 287
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "empty.pt"]


def test_what_is_written_is_named_for_what_it_is(tmp_path: Path, saved: Path) -> None:
    done = tal("convert", saved, "a.pt", cwd=tmp_path)
    assert done.stderr == "tal: a.pt: weights are written as safetensors; name it a.safetensors\n"
    with pytest.raises(ConfigError, match=r"^--keys 'keras': known are ours, piergiaj, hassony2$"):
        i3d_weights.convert(saved, tmp_path / "a.safetensors", "keras")
