"""The backbones: one contract, and each network against its own library's forward pass and preprocessing."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
import threads
import torch
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights
from torchvision.transforms import Normalize

from extract import backbones
from extract.fetch import KNOWN_FILES
from extract.i3d import I3D

SAME = 1e-4
"""Relative distance of logits, below; the same numbers summed in another order differ by 2e-5 at most."""
ZOO = {"slow_r50": "resnet", "i3d_r50": "resnet", "x3d_s": "x3d", "slowfast_r50": "slowfast"}
VISION = ("r3d_18", "mc3_18", "r2plus1d_18", "s3d", "swin3d_t", "mvit_v2_s")
FEATURES = {
    "i3d": 1024,
    **dict.fromkeys(("slow_r50", "i3d_r50", "x3d_s"), 2048),
    "slowfast_r50": 2304,
    **dict.fromkeys(("r3d_18", "mc3_18", "r2plus1d_18"), 512),
    "s3d": 1024,
    **dict.fromkeys(("swin3d_t", "mvit_v2_s"), 768),
}


_one_thread = threads.one_thread  # a fixture that every test uses


@pytest.fixture(scope="module", params=sorted(FEATURES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def network(name: str) -> backbones.Embedder:
    """The network with random weights; one at a time is held."""
    return backbones.load(name, 5)


def clips(n: int, n_frames: int = 8, height: int = 32, width: int = 32, seed: int = 0) -> Tensor:
    """Moving coarse textures in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, 4, 8, 8, generator=generator) * 2 - 1
    return nn.functional.interpolate(coarse, size=(n_frames, height, width), mode="trilinear")


def apart(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    """Distance relative to length."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


# The contract.


def test_the_names() -> None:
    assert sorted(backbones.names()) == sorted(FEATURES)
    assert dict.fromkeys(FEATURES) == backbones.available()


def test_the_contract(name: str, network: backbones.Embedder) -> None:
    batch = clips(3)
    untouched = batch.clone()
    found = network.embed(batch)
    assert torch.equal(batch, untouched)
    assert (found.dtype, found.shape) == (np.float32, (3, FEATURES[name]))
    assert network.n_features == backbones.get(name).n_features == FEATURES[name]
    assert np.isfinite(found).all()
    assert np.array_equal(found, network.embed(batch))
    assert apart(network.embed(batch[1:2])[0], found[1]) < 1e-5  # alone and among others
    assert apart(found[0], found[1]) > 1e-3  # clips differ


def test_any_length_from_8_and_any_size(network: backbones.Embedder) -> None:
    for shape in [(9, 32, 44), (13, 40, 32)]:
        assert np.isfinite(network.embed(clips(1, *shape))).all()


@pytest.mark.parametrize("which", ["i3d", "x3d_s", "mc3_18"])
def test_calibration_sets_the_statistics_of_norms_and_nothing_else(which: str) -> None:
    network, batch = backbones.load(which, 5), clips(3)
    before = network.state_dict()
    network.calibrate([batch])
    after = network.state_dict()
    moved = {key for key, value in after.items() if not torch.equal(value, before[key])}
    assert moved == {key for key in after if key.endswith((".running_mean", ".running_var"))}
    assert apart(*network.embed(batch)[:2]) > 0.05


def test_random_weights_follow_the_seed_and_leave_torchs_own_alone() -> None:
    state = torch.random.get_rng_state()
    same, other = (backbones.load("x3d_s", seed).state_dict() for seed in (5, 6))
    again = backbones.load("x3d_s", 5).state_dict()
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, again[key]) for key, value in same.items())
    key = "blocks.3.res_blocks.1.branch2.conv_a.weight"
    assert not torch.equal(same[key], other[key])


# Against the libraries.


def library(name: str, state: dict[str, Tensor]) -> Any:
    """The library's own whole model with these weights."""
    with torch.device("meta"):
        model = zoo(name) if name in ZOO else get_model(name, weights=None)
    model.load_state_dict(state, assign=True)
    return model.eval()


def zoo(name: str) -> Any:
    from pytorchvideo.models import hub

    return getattr(hub, name)()


def pool(n_frames: int) -> nn.Module:
    """The head's pooling for 64 x 64 px, where it is (n_frames, 7, 7) for 224 x 224 px."""
    return nn.AvgPool3d((n_frames, 2, 2), stride=1)


def zoo_logits(name: str, model: Any, frames: Tensor) -> Any:
    """PyTorchVideo's own model on a clip of 64 x 64 px, normalised and sampled as its model zoo's pages do it."""
    video = Normalize([0.45] * 3, [0.225] * 3)(frames / 255).transpose(0, 1)[None]  # (1, 3, F, H, W)
    head = model.blocks[-1]
    if name == "slowfast_r50":
        model.blocks[-2].pool = nn.ModuleList([pool(8), pool(32)])
        slow = torch.index_select(video, 2, torch.linspace(0, 31, 8).long())
        return model([slow, video])
    if name == "x3d_s":
        head.pool.pool, head.activation = pool(13), None  # its softmax is left out
    else:
        head.pool = pool(4 if name == "i3d_r50" else 8)  # whose first stage halves time
    return model(video)


def byte_frames(n_frames: int, height: int, width: int) -> Tensor:
    return ((clips(1, n_frames, height, width, seed=3)[0] + 1) * 127.5).byte().transpose(0, 1)  # (F, 3, H, W)


def as_the_pass_gives_it(frames: Tensor) -> Tensor:
    """Bytes (F, 3, H, W) -> (1, 3, F, H, W) in [-1, 1]."""
    return (frames.float() * 2 / 255 - 1).transpose(0, 1)[None]


def vision_logits(name: str, model: Any, frames: Tensor) -> Any:
    """torchvision's own model on bytes of 72 x 80 px, of which its own preprocessing takes the middle 64 x 64 px."""
    if name == "s3d":
        model.avgpool = nn.AvgPool3d((1, 2, 2), stride=1)  # (2, 7, 7) for 16 frames of 224 x 224 px
    if name == "mvit_v2_s":
        model.pos_encoding.temporal_size, model.pos_encoding.spatial_size = 4, (16, 16)  # 8, (56, 56)
    preprocess = get_model_weights(name)["KINETICS400_V1"].transforms(crop_size=(64, 64), resize_size=(72, 80))
    return model(preprocess(frames)[None])


def test_the_network_gives_what_its_library_gives(name: str, network: backbones.Embedder) -> None:
    if name == "i3d":
        return  # below, for both streams
    if name in ZOO:
        frames = byte_frames(backbones.get(name).training.n_frames, 64, 64)
        logits, seen = zoo_logits, frames
    else:
        frames = byte_frames(8, 72, 80)
        logits, seen = vision_logits, frames[:, :, 4:68, 8:72]
    with torch.no_grad():
        expected = logits(name, library(name, network.state_dict()), frames)
    found = network.classify(network.embed(as_the_pass_gives_it(seen)))
    assert apart(found, expected.numpy()) < SAME


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_i3d_is_the_network_of_both_streams(stream: str) -> None:
    loaded = backbones.load("i3d", 0, stream=stream)
    reference = I3D({"rgb": 3, "flow": 2}[stream])
    reference.load_state_dict(loaded.state_dict())
    batch = clips(2, 16, 48, 48, seed=4)[:, : reference.state_dict()["Conv3d_1a_7x7.conv3d.weight"].shape[1]]
    with torch.no_grad():
        expected = reference.eval()(batch).mean(dim=(2, 3, 4))
    assert apart(loaded.classify(loaded.embed(batch)), expected.numpy()) < 1e-5


def test_the_features_are_what_the_classifier_reads(name: str, network: backbones.Embedder) -> None:
    """Logits are one matrix and one bias away, whatever the features."""
    shapes = {tuple(value.shape) for value in network.state_dict().values()}
    assert {(400, FEATURES[name]), (400, FEATURES[name], 1, 1, 1)} & shapes
    a, b = np.random.default_rng(0).standard_normal((2, 3, FEATURES[name]), np.float32)
    bias = network.classify(0 * a)
    assert (bias.dtype, bias.shape) == (np.float32, (3, 400))
    assert apart(network.classify(a + b) - bias, network.classify(a) + network.classify(b) - 2 * bias) < 1e-5


def test_what_is_known_without_a_network_agrees_with_the_libraries() -> None:
    for name, module in ZOO.items():
        hub = __import__(f"pytorchvideo.models.hub.{module}", fromlist=["checkpoint_paths"])
        assert [file.url for file in backbones.get(name).known_files()] == [hub.checkpoint_paths[name]]
    for name in VISION:
        transforms = get_model_weights(name)["KINETICS400_V1"].transforms()
        training = backbones.get(name).training
        assert [training.crop_px] * 2 == transforms.crop_size
        assert training.short_side_px == min(transforms.resize_size)
    assert backbones.get("i3d").known_files() == KNOWN_FILES
    assert {name: backbones.get(name).streams for name in FEATURES if name != "i3d"} == {
        name: ("rgb",) for name in FEATURES if name != "i3d"
    }


@pytest.mark.gpu
def test_a_gpu_gives_the_cpus_features(name: str, network: backbones.Embedder) -> None:
    if not torch.cuda.is_available():
        (pytest.fail if os.environ.get("TAL_REQUIRE_GPU") == "1" else pytest.skip)("needs a CUDA device")
    on_gpu = backbones.load(name, 5, "cuda")
    assert apart(on_gpu.embed(clips(2)), network.embed(clips(2))) < 5e-3  # convolutions may use TF32
