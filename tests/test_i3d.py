"""I3D: the reference network's outputs, DeepMind's shapes, TensorFlow's padding."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stored_i3d
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_i3d import CASES, Stored
from torch.nn import functional

from extract import i3d
from extract.i3d import CHANNELS, I3D, MaxPool3dSame, Unit3D, kinetics_classes, same_padding
from extract.random_weights import random_state
from tal.errors import BackendError

_inference, stored = stored_i3d.inference, stored_i3d.stored  # fixtures; every test uses the first


@pytest.mark.parametrize(("stream", "frames", "size"), CASES)
def test_outputs_are_those_of_the_reference_network(stored: Stored, stream: str, frames: int, size: int) -> None:
    network = stored.network(stream)
    features = network.features(stored.clip(stream, frames, size))
    for what, found in (("features", features), ("logits", network.logits(features))):
        expected = stored.output(stream, frames, size, what)
        assert found.shape == (1, *expected.shape)
        assert np.abs(found[0].numpy() - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_keys_and_shapes_are_the_references(shared: Path, stream: str) -> None:
    expected = json.loads((shared / "data" / "parity" / "i3d_shapes.json").read_text())[stream]
    with torch.device("meta"):
        state = I3D(CHANNELS[stream]).state_dict()
    found = {key: list(value.shape) for key, value in state.items() if not key.endswith("num_batches_tracked")}
    assert found == expected


@pytest.mark.parametrize("checkpoint", ["rgb_imagenet", "flow_imagenet", "rgb_scratch", "flow_scratch"])
def test_shapes_are_those_of_deepminds_checkpoints(checkpoint: str) -> None:
    """The 230 tensors that DeepMind's index lists, convolutions as [t, h, w, in, out]."""
    listed = json.loads(Path(i3d.__file__).with_name("i3d_checksums.json").read_text())[checkpoint]
    with torch.device("meta"):
        state = I3D(CHANNELS[checkpoint.split("_", maxsplit=1)[0]]).state_dict()
    shapes = {key: list(state[key].shape) for key in listed}
    transposed = {key: [*s[2:], s[1], s[0]] if len(s) == 5 else s for key, s in shapes.items()}
    assert len(listed) == 230
    assert transposed == {key: shape for key, (shape, _) in listed.items()}
    left = {key.rsplit(".", 2)[-2] + "." + key.rsplit(".", 1)[-1] for key in state.keys() - listed.keys()}
    assert left == {"bn.weight", "bn.num_batches_tracked"}  # Sonnet's BatchNorm has no scale


@given(size=st.integers(1, 300), kernel=st.integers(1, 7), stride=st.integers(1, 3))
def test_same_padding_gives_every_stride_one_output(size: int, kernel: int, stride: int) -> None:
    ((before, after),) = same_padding([size], (kernel,), (stride,))  # type: ignore[arg-type]
    assert after - before in {0, 1}
    n_outputs = -(-size // stride)
    needed = (n_outputs - 1) * stride + kernel  # samples that the outputs' windows span
    assert before + size + after == max(needed, size)


@pytest.mark.parametrize(("size", "expected"), [(224, (2, 3)), (225, (3, 3)), (256, (2, 3)), (1, (3, 3)), (2, (2, 3))])
def test_same_padding_of_the_first_layer(size: int, expected: tuple[int, int]) -> None:
    assert same_padding([size] * 3, (7, 7, 7), (2, 2, 2)) == [expected] * 3


@settings(deadline=None, max_examples=40)
@given(
    sides=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
    window=st.sampled_from(
        [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2)), ((3, 3, 3), (1, 1, 1))]
    ),
)
def test_max_pool_equals_padding_with_zeros(sides: tuple[int, int, int], window: tuple[Any, Any]) -> None:
    x = torch.randn(1, 2, *sides, generator=torch.Generator().manual_seed(sum(sides))).relu()
    (ft, bt), (fh, bh), (fw, bw) = same_padding(sides, *window)
    expected = functional.max_pool3d(functional.pad(x, (fw, bw, fh, bh, ft, bt)), *window)
    torch.testing.assert_close(MaxPool3dSame(*window)(x), expected, rtol=0, atol=0)


@pytest.mark.parametrize(("kernel", "stride"), [(7, 2), (3, 1), (1, 1)])
@pytest.mark.parametrize("size", [5, 8])
def test_unit_is_a_zero_padded_correlation(kernel: int, stride: int, size: int) -> None:
    """One output value, summed by hand: TensorFlow's SAME puts the odd sample of padding at the end."""
    generator = torch.Generator().manual_seed(0)
    unit = Unit3D(2, 3, kernel, stride).eval()
    unit.bn.running_var.fill_(1 - 1e-3)  # type: ignore[union-attr]
    x = torch.randn(1, 2, size, size, size, generator=generator)
    out = unit(x)
    assert out.shape == (1, 3, *[-(-size // stride)] * 3)
    before = max((out.shape[2] - 1) * stride + kernel - size, 0) // 2
    at = (1, 0, out.shape[2] - 1)
    total = 0.0
    for index in np.ndindex(kernel, kernel, kernel):
        where = [a * stride - before + i for a, i in zip(at, index, strict=True)]
        if all(0 <= w < size for w in where):
            total += float(
                x[0, :, where[0], where[1], where[2]] @ unit.conv3d.weight[2, :, index[0], index[1], index[2]]
            )
    assert float(out[0, 2, at[0], at[1], at[2]]) == pytest.approx(max(total, 0.0), abs=1e-5)


def test_batch_norm_has_sonnets_epsilon() -> None:
    """With variance 0 a value is scaled by 1 / sqrt(0.001), not by PyTorch's 1 / sqrt(0.00001)."""
    unit = Unit3D(1, 1).eval()
    unit.conv3d.weight.fill_(1.0)
    unit.bn.running_var.zero_()  # type: ignore[union-attr]
    assert float(unit(torch.full((1, 1, 1, 1, 1), 2.0))) == pytest.approx(2 / 0.001**0.5)


@pytest.fixture(scope="module")
def small() -> I3D:
    network = I3D(3).eval()
    network.load_state_dict(random_state(0, "rgb"))  # as built, values would fade to slow denormal numbers
    return network


@pytest.mark.parametrize(
    ("frames", "height", "width", "expected"),
    [(16, 32, 32, (1, 1, 1)), (8, 40, 72, (1, 1, 1)), (1, 1, 1, (1, 1, 1)), (24, 32, 256, (2, 1, 2))],
)
def test_any_frame_size_gives_features(
    small: I3D, frames: int, height: int, width: int, expected: tuple[int, int, int]
) -> None:
    features = small.features(torch.zeros(2, 3, frames, height, width))
    assert features.shape == (2, 1024, *expected)


def test_embedding_and_logits_are_averages_of_the_maps(small: I3D) -> None:
    clips = torch.rand(2, 3, 24, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    maps = small(clips)
    assert maps.shape == (2, 400, 2, 1, 1)
    embedded = small.embed(clips)
    torch.testing.assert_close(embedded, small.features(clips).flatten(2).mean(dim=2))
    # The classifier is affine, so the logits of the mean feature are the mean of the logits.
    torch.testing.assert_close(small.classify(embedded), maps.flatten(2).mean(dim=2))


def test_clips_of_a_batch_do_not_mix(small: I3D) -> None:
    clips = torch.rand(3, 3, 16, 32, 32, generator=torch.Generator().manual_seed(2)) * 2 - 1
    alone = torch.cat([small.embed(clip[None]) for clip in clips])
    torch.testing.assert_close(small.embed(clips), alone, rtol=1e-4, atol=1e-6)
    assert (alone[0] - alone[1]).abs().max() > 0


def test_other_class_counts_change_the_logits_only() -> None:
    with torch.device("meta"):
        state, other = I3D(2).state_dict(), I3D(2, n_classes=157).state_dict()
    assert {key for key in state if state[key].shape != other[key].shape} == {
        "logits.conv3d.weight",
        "logits.conv3d.bias",
    }


def test_kinetics_classes_are_the_400_in_alphabetical_order() -> None:
    names = kinetics_classes()
    assert len(names) == len(set(names)) == 400
    assert (names[0], names[-1]) == ("abseiling", "zumba")


def test_kinetics_classes_without_torchvision_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.models.video", None)
    with pytest.raises(BackendError, match=r"^the names of Kinetics' classes come from torchvision: pip install"):
        kinetics_classes()


def test_kinetics_classes_are_in_the_order_of_the_logits(shared: Path) -> None:
    listed = (shared / "data" / "labels" / "label_map_k400_mmaction2.txt").read_text().splitlines()
    assert list(kinetics_classes()) == listed
