"""The backbones' input, their weight files and their registry."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import threads
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import get_model

from extract import backbones
from extract.backbones.pytorchvideo import pathways
from extract.backbones.torchvision import NamedByDigest
from extract.fetch import digests_of
from tal.errors import BackendError, ConfigError, WeightsError

_one_thread = threads.one_thread  # a fixture that every test uses


# What happens to the input.


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("x3d_s", (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)),
        ("mc3_18", (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)),
        ("i3d", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ],
)
def test_clips_are_brought_to_the_networks_mean_and_deviation(
    name: str, mean: tuple[float, ...], std: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that is the mean becomes 0, one deviation above it 1; black and white are -mean/std and (1-mean)/std."""
    loaded, seen = backbones.load(name, 0), list[Tensor]()
    kind = type(backbones.get(name))
    monkeypatch.setattr(kind, "features", lambda self, network, x: seen.append(x) or torch.zeros(len(x), 1))
    colours = torch.tensor([mean, [m + s for m, s in zip(mean, std, strict=True)], [0.0] * 3, [1.0] * 3])
    loaded.embed((colours * 2 - 1)[:, :, None, None, None].expand(-1, -1, 8, 4, 4))
    (scaled,) = seen
    expected = [[0.0] * 3, [1.0] * 3, [-m / s for m, s in zip(mean, std, strict=True)]]
    expected.append([(1 - m) / s for m, s in zip(mean, std, strict=True)])
    assert torch.allclose(scaled, torch.tensor(expected)[:, :, None, None, None].expand(-1, -1, 8, 4, 4), atol=1e-5)


@pytest.mark.parametrize(("n_frames", "slow"), [(8, [0, 7]), (9, [0, 4, 8]), (13, [0, 4, 8, 12]), (16, [0, 5, 10, 15])])
def test_slowfasts_pathways(n_frames: int, slow: list[int]) -> None:
    """Evenly from the first frame to the last, a quarter of them, rounded up."""
    video = torch.arange(n_frames).float().view(1, 1, -1, 1, 1).expand(2, 3, -1, 4, 4)
    of_slow, of_fast = pathways(video)
    assert of_slow[1, 2, :, 0, 0].tolist() == slow
    assert torch.equal(of_fast, video)


def test_a_note_says_which_frames_a_network_was_trained_on() -> None:
    loaded = backbones.load("x3d_s", 0)
    loaded.embed(torch.zeros(1, 3, 8, 160, 200))
    assert loaded.notes == []
    for _ in range(2):
        loaded.embed(torch.zeros(1, 3, 8, 80, 64))
    assert loaded.notes == [
        "x3d_s was trained on 13 frames of 160 x 160 px at 5 fps, and these clips are 64 px high or wide; "
        "short_side 182 and crop 160 fit it"
    ]


# Weight files.


@cache
def own(name: str) -> dict[str, Tensor]:
    """The weights that the library begins with."""
    from pytorchvideo.models.hub import x3d_s

    torch.manual_seed(1)
    return dict((x3d_s() if name == "x3d_s" else get_model(name, weights=None)).state_dict())


@pytest.mark.parametrize(
    ("name", "form"), [("x3d_s", "model_state"), ("s3d", "plain"), ("s3d", "safetensors"), ("x3d_s", "half")]
)
def test_a_librarys_own_file_is_read(name: str, form: str, tmp_path: Path) -> None:
    state, path = own(name), tmp_path / "file"
    if form == "safetensors":
        save_file({key: value.contiguous() for key, value in state.items()}, path)
    elif form == "half":
        torch.save({"state_dict": {key: v.half() if v.is_floating_point() else v for key, v in state.items()}}, path)
    else:
        torch.save({"model_state": state, "epoch": 3, "cfg": "TRAIN: 1"} if form == "model_state" else state, path)
    found = backbones.load(name, path).state_dict()
    assert found.keys() == state.keys()
    exact = form != "half"
    for key, value in state.items():
        assert torch.equal(found[key], value if exact or not value.is_floating_point() else value.half().float())


def test_index_tables_are_never_taken_from_a_file(tmp_path: Path) -> None:
    state = own("swin3d_t")
    key = "features.0.0.attn.relative_position_index"
    torch.save({**state, key: state[key] + 10**9}, tmp_path / "swin.pth")
    assert torch.equal(backbones.load("swin3d_t", tmp_path / "swin.pth").state_dict()[key], state[key])


class Runs:
    """What unpickling of which would run a program."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("run",)


FIRST, LAST = "blocks.0.conv.conv_t.weight", "blocks.5.proj.bias"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({FIRST: None}, f"not x3d_s weights: no tensor '{FIRST}'"),
        ({FIRST: torch.zeros(24, 3, 1, 3, 2)}, f"not x3d_s weights: '{FIRST}' has shape (24, 3, 1, 3, 2), not "),
        ({LAST: torch.zeros(7)}, f"not x3d_s weights: '{LAST}' has shape (7,), not (400,)"),
        ({LAST: torch.full((400,), torch.nan)}, f"not x3d_s weights: '{LAST}' holds values that are not finite"),
        ({LAST: torch.zeros(400).long()}, f"not x3d_s weights: '{LAST}' is not a tensor of floating-point numbers"),
        ({LAST: torch.zeros(400).to_sparse()}, f"not x3d_s weights: '{LAST}' is not a tensor of floating-point"),
        ({LAST: "text"}, f"not x3d_s weights: '{LAST}' is not a tensor of floating-point numbers"),
        ({"blocks.6.weight": torch.zeros(1)}, "not x3d_s weights: unknown tensor 'blocks.6.weight'"),
    ],
)
def test_wrong_weights_are_refused_in_one_line(change: dict[str, Any], reason: str, tmp_path: Path) -> None:
    state = {key: value for key, value in {**own("x3d_s"), **change}.items() if value is not None}
    path = tmp_path / "wrong.pyth"
    torch.save({"model_state": state}, path)
    with pytest.raises(WeightsError) as caught:
        backbones.load("x3d_s", path)
    assert str(caught.value).startswith(f"{path}: {reason}")
    assert "\n" not in str(caught.value)


def test_another_networks_file_and_one_that_runs_code_are_refused(tmp_path: Path) -> None:
    torch.save(own("x3d_s"), tmp_path / "x3d.pth")
    with pytest.raises(WeightsError, match=r"x3d.pth: not s3d weights: no tensor 'features.0.0.0.weight'$"):
        backbones.load("s3d", tmp_path / "x3d.pth")
    torch.save({"model_state": Runs()}, tmp_path / "code.pyth")
    with pytest.raises(WeightsError, match=r"code.pyth: refused: loading it would run '(?:builtins.)?print'"):
        backbones.load("s3d", tmp_path / "code.pyth")
    (tmp_path / "old.pth").write_bytes(pickle.dumps(Runs(), protocol=2))
    with pytest.raises(WeightsError, match=r"old.pth: [^\n]+$"):
        backbones.load("s3d", tmp_path / "old.pth")


def test_a_file_that_is_named_by_its_digest(tmp_path: Path) -> None:
    content = b"weights"
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / "file").write_bytes(content)
    found = digests_of(tmp_path / "file")
    right, wrong = (NamedByDigest(f"r3d_18-{digits}.pth", "rgb") for digits in (digest[:8], "01234567"))
    assert right.mismatch(found) == ""
    assert wrong.mismatch(found) == f"SHA-256 {digest}, not 01234567..."
    for name in ("r3d_18", "mc3_18", "r2plus1d_18", "s3d", "swin3d_t", "mvit_v2_s"):
        assert all(file.has_digest and file.name in file.url for file in backbones.get(name).known_files())


# The registry.


def test_what_cannot_be_had() -> None:
    with pytest.raises(ConfigError, match=r"^unknown backbone 'slow_r5'; did you mean 'slow_r50'\?$"):
        backbones.load("slow_r5", 0)
    with pytest.raises(ConfigError) as caught:
        backbones.load("slow_r50", 0, stream="flow")
    assert str(caught.value) == "backbone 'slow_r50' has no flow stream; extract rgb alone, or use backbone 'i3d'"
    with pytest.raises(BackendError, match=r"^unknown device 'gpu'"):
        backbones.load("x3d_s", 0, "gpu")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extract.backbones._base.find_spec", lambda package: package != "pytorchvideo" or None)
    zoo = ("slow_r50", "i3d_r50", "x3d_s", "slowfast_r50")
    reason = "the Python package 'pytorchvideo' is not installed; install it, or use backbone 'i3d'"
    assert backbones.available() == {name: reason if name in zoo else None for name in backbones.names()}
    with pytest.raises(BackendError) as caught:
        backbones.load("slowfast_r50", 0)
    assert str(caught.value) == f"backbone 'slowfast_r50' cannot be used here: {reason}"


def test_a_package_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorchvideo.models.hub.x3d", None)
    with pytest.raises(BackendError, match=r"^backbone 'x3d_s' is installed but does not load: [^\n]*hub\.x3d"):
        backbones.load("x3d_s", 0)


def test_the_folder_is_the_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "from extract.backbones.i3d import _I3D\nBACKBONES = (_I3D('planted', 1024, None),)\n"
    (tmp_path / "planted.py").write_text(source)
    monkeypatch.setattr(backbones, "__path__", [*backbones.__path__, str(tmp_path)])
    monkeypatch.setitem(sys.modules, "extract.backbones.planted", None)  # undone at the end
    monkeypatch.delitem(sys.modules, "extract.backbones.planted")
    backbones._backbones.cache_clear()
    try:
        assert backbones.get("planted").n_features == 1024
    finally:
        backbones._backbones.cache_clear()


def test_asking_what_there_is_loads_no_library() -> None:
    program = (
        "import sys; from extract import backbones; backbones.available(); backbones.get('x3d_s').known_files();"
        "print([name for name in ('torch', 'torchvision', 'pytorchvideo') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
