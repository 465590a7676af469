"""I3D's own classes: the head without its network, fusion, smoothing, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from extract import weights
from extract.fetch import KnownFile
from extract.i3d import I3D
from extract.kinetics import Head, clip_mean, fused_logits, read_head, softmax
from extract.weights_files import shapes
from tal.errors import WeightsError
from tal.files import sha256_file
from tal.pipeline import model_settings
from tal.types import FloatArray


def head(weight: float = 0.0, bias: float = 0.0) -> Head:
    return Head(np.full((400, 1024), weight, np.float32), np.full(400, bias, np.float32), True, "")


def light(stream: str = "rgb", n_classes: int = 400) -> dict[str, torch.Tensor]:
    """I3D's tensors without their memory."""
    state = {key: torch.zeros(()).expand(shape) for key, shape in shapes(stream).items()}
    state["logits.conv3d.weight"] = torch.zeros(()).expand(n_classes, 1024, 1, 1, 1)
    state["logits.conv3d.bias"] = torch.zeros(()).expand(n_classes)
    return state


def test_the_head_of_features_is_the_mean_of_the_networks_map_of_logits(tmp_path: Path) -> None:
    state = weights.random_state(0, "rgb")
    state["logits.conv3d.bias"] = torch.linspace(-1, 1, 400)
    torch.save(state, tmp_path / "rgb_imagenet.pt")
    network = I3D(3)
    network.load_state_dict(state, strict=False)
    clips = torch.rand(1, 3, 24, 32, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        network.eval()
        expected, features = network(clips).mean(dim=(2, 3, 4)), network.embed(clips)
    found = read_head(tmp_path / "rgb_imagenet.pt", "rgb")
    torch.testing.assert_close(torch.from_numpy(found.logits(features.numpy())), expected, rtol=1e-4, atol=1e-4)
    assert not found.trusted and "of 230 tensors are those of DeepMind's rgb_" in found.verified
    published = KnownFile("any.pt", "rgb", sha256=sha256_file(tmp_path / "rgb_imagenet.pt"))
    assert read_head(tmp_path / "rgb_imagenet.pt", "rgb", [published]).trusted


def test_streams_are_fused_by_the_mean_of_their_logits() -> None:
    features: dict[str, FloatArray] = {stream: np.ones((3, 1024), np.float32) for stream in ("rgb", "flow")}
    heads = {"rgb": head(weight=1.0), "flow": head(bias=4.0)}
    assert np.array_equal(fused_logits(heads, features), np.full((3, 400), (1024 + 4) / 2))
    assert np.array_equal(fused_logits({"flow": heads["flow"]}, features), np.full((3, 400), 4))


@pytest.mark.parametrize(
    ("length", "stride", "shares"),
    [
        (16, 16, [1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8]),  # 64 frames around the middle of one in the middle
        (64, 16, [1]),  # the snippet is the clip
        (48, 16, [1 / 4, 1 / 2, 1 / 4]),
        (100, 100, [1]),
        (16, 4, [1 / 13] * 13),  # 12 steps of 4 frames and one snippet of 16
    ],
)
def test_an_impulse_spreads_over_a_clip_of_64_frames(length: int, stride: int, shares: list[float]) -> None:
    impulse = np.zeros((41, 1), np.float32)
    impulse[20] = 1
    expected = np.zeros(41)
    reach = len(shares) // 2
    expected[20 - reach : 21 + reach] = shares
    assert np.allclose(clip_mean(impulse, length, stride)[:, 0], expected, atol=1e-6)


logits = arrays(np.float32, st.tuples(st.integers(1, 12), st.just(3)), elements=st.floats(-50, 50, width=32))


@given(logits, st.integers(8, 80), st.integers(1, 80))
def test_smoothing_stays_in_range_and_knows_no_direction(values: Any, length: int, stride: int) -> None:
    smooth = clip_mean(values, length, stride)
    assert smooth.shape == values.shape
    assert (smooth <= values.max(axis=0) + 1e-4).all() and (smooth >= values.min(axis=0) - 1e-4).all()
    assert np.allclose(clip_mean(values[::-1], length, stride)[::-1], smooth, atol=1e-4)


@given(logits, st.floats(-1000, 1000, width=32))
def test_probabilities_are_those_of_a_softmax(values: Any, shift: float) -> None:
    found = softmax(values + np.float32(shift))
    expected = torch.softmax(torch.from_numpy((values + np.float32(shift)).astype(np.float64)), dim=1).numpy()
    assert np.allclose(found, expected, atol=1e-6)


def test_a_head_of_other_classes_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "rgb_charades.pt"
    torch.save(light(n_classes=157), path)
    with pytest.raises(WeightsError) as caught:
        read_head(path, "rgb")
    assert str(caught.value) == f"{path}: knows 157 classes, Kinetics-400 has 400; use weights of Kinetics-400"


def test_untrained_weights_are_known_by_their_origin(tmp_path: Path) -> None:
    path = tmp_path / "i3d_rgb.safetensors"
    weights.save(path, {"any": torch.zeros(1)}, "random:7")
    with pytest.raises(WeightsError, match=r"i3d_rgb.safetensors: untrained weights \(random:7\)"):
        read_head(path, "rgb")


def test_the_shipped_settings_are_the_defaults_and_can_be_overlaid() -> None:
    shipped = model_settings(None).localize
    assert (shipped.top_classes, shipped.rule, shipped.score, shipped.nms) == (5, "max", "signal", 0)
    changed = model_settings(None, sets=["localize.nms=0.3"], options={"localize.top_classes": 1}).localize
    assert changed == shipped.model_copy(update={"nms": 0.3, "top_classes": 1})
