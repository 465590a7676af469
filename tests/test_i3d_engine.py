"""The fast I3D: the reference's outputs, the same for a clip in any batch, honest about what it cannot do."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
import stored_i3d
import torch
from stored_i3d import CASES, Stored, lively

from extract import i3d_trunk
from extract.i3d import CHANNELS, I3D
from extract.i3d_engine import NOT_FINITE, Engine
from tal.errors import BackendError, WeightsError

ABLE = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
needs_bf16 = pytest.mark.skipif(not ABLE, reason="this CPU does not multiply bf16")
CPU = ["fp32", pytest.param("bf16", marks=needs_bf16)]


_inference, stored = stored_i3d.inference, stored_i3d.stored  # fixtures; every test uses the first


@pytest.fixture(scope="module")
def exact(stored: Stored) -> dict[str, Engine]:
    return {stream: Engine(stored.network(stream), "cpu", "fp32") for stream in CHANNELS}


@pytest.fixture(scope="module")
def networks() -> dict[str, I3D]:
    return {stream: lively(stream) for stream in CHANNELS}


@pytest.fixture(scope="module")
def engines(networks: dict[str, I3D]) -> dict[str, Engine]:
    return {stream: Engine(network, "cpu") for stream, network in networks.items()}


def clips(stream: str, *shape: int, seed: int = 0) -> torch.Tensor:
    """Return noise in [-1, 1], (B, C, F, H, W) for `shape` (B, F, H, W)."""
    n, *sizes = shape
    return torch.rand(n, CHANNELS[stream], *sizes, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def distance(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the relative error of vectors, by their norm."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


class TestParity:
    @pytest.mark.parametrize(("stream", "frames", "size"), CASES)
    def test_fp32_is_the_reference_network(
        self, stored: Stored, exact: dict[str, Engine], stream: str, frames: int, size: int
    ) -> None:
        engine = exact[stream]
        found = engine.embed(stored.clip(stream, frames, size))
        for what, ours in (("features", found), ("logits", engine.classify(found))):
            expected = stored.output(stream, frames, size, what).mean(axis=(1, 2, 3))
            assert np.abs(ours[0] - expected).max() <= 1e-4 * np.abs(expected).max()

    @needs_bf16
    @pytest.mark.parametrize("stream", CHANNELS)
    def test_bf16_is_within_a_percent(self, stored: Stored, stream: str) -> None:
        found = Engine(stored.network(stream), "cpu", "bf16").embed(stored.clip(stream, 16, 224))
        expected = stored.output(stream, 16, 224, "features").reshape(1, -1)
        assert 1e-5 < distance(found, expected) <= 0.01

    @pytest.mark.parametrize(
        ("stream", "shape"),
        [
            ("rgb", (1, 1, 1, 1)),
            ("flow", (2, 8, 40, 72)),
            ("rgb", (1, 5, 33, 46)),
            ("flow", (1, 3, 2, 65)),
            ("rgb", (1, 24, 32, 240)),
        ],
    )
    def test_any_size_agrees_with_the_network(
        self, networks: dict[str, I3D], engines: dict[str, Engine], stream: str, shape: tuple[int, ...]
    ) -> None:
        """One engine takes sizes in any order, though it keeps what it prepared for the first."""
        x = clips(stream, *shape)
        expected = networks[stream].embed(x).numpy()
        assert distance(engines[stream].embed(x), expected) < 1e-5

    @pytest.mark.parametrize("stream", CHANNELS)
    def test_plain_layers_agree_with_the_network(
        self, networks: dict[str, I3D], stream: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The layers that GPUs get, and CPUs without oneDNN."""
        monkeypatch.setattr(i3d_trunk, "can_pack", lambda: False)
        x = clips(stream, 2, 17, 40, 45)
        assert distance(Engine(networks[stream], "cpu").embed(x), networks[stream].embed(x).numpy()) < 1e-5

    def test_logits_are_the_networks(self, networks: dict[str, I3D], engines: dict[str, Engine]) -> None:
        features = np.random.default_rng(0).random((3, 1024), np.float32)
        found = engines["rgb"].classify(features)
        assert (found.shape, found.dtype) == ((3, 7), np.float32)
        np.testing.assert_allclose(found, networks["rgb"].classify(torch.from_numpy(features)), rtol=1e-5, atol=1e-5)

    @pytest.mark.gpu
    @pytest.mark.parametrize(("precision", "limit"), [("fp32", 1e-4), ("bf16", 0.01), ("fp16", 0.005)])
    def test_cuda_agrees_with_the_network(self, networks: dict[str, I3D], precision: str, limit: float) -> None:
        if not torch.cuda.is_available():
            if os.environ.get("TAL_REQUIRE_GPU") == "1":
                pytest.fail("no CUDA device")
            pytest.skip("needs a CUDA device")
        x = clips("rgb", 3, 16, 64, 64)
        found = Engine(networks["rgb"], "cuda:0", precision).embed(x)
        assert distance(found, networks["rgb"].embed(x).numpy()) < limit


class TestInput:
    @pytest.mark.parametrize("precision", CPU)
    def test_a_clip_has_the_same_features_in_any_batch(self, networks: dict[str, I3D], precision: str) -> None:
        engine = Engine(networks["flow"], "cpu", precision)
        x = clips("flow", 3, 16, 40, 40)
        together = engine.embed(x)
        assert (together.shape, together.dtype) == ((3, 1024), np.float32)
        alone = np.concatenate([engine.embed(one[None]) for one in x])
        assert np.array_equal(together, alone)
        assert not np.allclose(alone[0], alone[1])

    @pytest.mark.parametrize("precision", CPU)
    def test_any_memory_layout_gives_the_same(self, networks: dict[str, I3D], precision: str) -> None:
        engine = Engine(networks["rgb"], "cpu", precision)
        x = clips("rgb", 2, 16, 32, 32)
        assert np.array_equal(engine.embed(x), engine.embed(x.contiguous(memory_format=torch.channels_last_3d)))

    @pytest.mark.parametrize("precision", CPU)
    def test_bytes_are_taken_as_they_are(self, networks: dict[str, I3D], precision: str) -> None:
        """What 8 bits hold, bf16 holds after scaling: there both ways to hand it over are one."""
        engine = Engine(networks["rgb"], "cpu", precision)
        rgb = torch.randint(0, 256, (1, 3, 16, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
        as_bytes, as_floats = engine.embed(rgb), engine.embed(rgb.float() * (2 / 255) - 1)
        assert distance(as_bytes, as_floats) < 1e-5
        assert np.array_equal(as_bytes, as_floats) or precision == "fp32"

    def test_clips_and_network_are_left_alone(self, networks: dict[str, I3D]) -> None:
        network, x = networks["rgb"], clips("rgb", 1, 16, 32, 32)
        before = {key: value.clone() for key, value in network.state_dict().items()}
        copy = x.clone()
        Engine(network, "cpu").embed(x)
        assert torch.equal(x, copy)
        assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())

    def test_the_engine_keeps_weights_of_its_own(self) -> None:
        network, x = lively("flow", seed=1), clips("flow", 1, 16, 32, 32)
        engine = Engine(network, "cpu")
        features = engine.embed(x)
        logits = engine.classify(features)
        for value in network.state_dict().values():
            value.zero_()
        assert np.array_equal(engine.embed(x), features)
        assert np.array_equal(engine.classify(features), logits)


class TestFailures:
    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    @pytest.mark.parametrize(
        "key", ["Conv3d_1a_7x7.conv3d.weight", "Mixed_4d.b2a.bn.running_mean", "logits.conv3d.bias"]
    )
    def test_weights_that_are_not_finite_are_refused(self, key: str, value: float) -> None:
        network = lively("rgb")
        network.state_dict()[key].view(-1)[0] = value
        with pytest.raises(WeightsError) as caught:
            Engine(network, "cpu")
        assert str(caught.value) == NOT_FINITE

    def test_features_that_are_not_finite_are_refused(self) -> None:
        network = lively("rgb")
        network.get_submodule("Mixed_5c.b0.bn").weight.fill_(3e38)  # type: ignore[union-attr, operator]
        with pytest.raises(WeightsError) as caught:
            Engine(network, "cpu").embed(clips("rgb", 1, 16, 32, 32))
        assert str(caught.value) == NOT_FINITE


class TestMemory:
    @staticmethod
    def _small(engine: Engine, monkeypatch: pytest.MonkeyPatch, room: int) -> list[int]:
        """Let the engine's device hold `room` clips; return the list of batch sizes that it tried."""
        tried: list[int] = []
        trunk: Callable[[torch.Tensor], torch.Tensor] = engine._trunk

        def limited(x: torch.Tensor) -> torch.Tensor:
            tried.append(len(x))
            if len(x) > room:
                raise torch.OutOfMemoryError("no memory")
            return trunk(x)

        monkeypatch.setattr(engine, "_trunk", limited)
        return tried

    def test_batches_are_halved_until_they_fit(self, networks: dict[str, I3D], monkeypatch: pytest.MonkeyPatch) -> None:
        engine = Engine(networks["flow"], "cpu")
        x = clips("flow", 7, 16, 32, 32)
        expected = engine.embed(x)
        tried = self._small(engine, monkeypatch, room=2)
        assert np.array_equal(engine.embed(x), expected)
        assert tried == [7, 4, 2, 2, 2, 1]
        assert np.array_equal(engine.embed(x[:4]), expected[:4])
        assert tried[6:] == [2, 2]  # once is enough
        assert engine.notes == ["the device's memory holds no 4 snippets: going on with 2 at a time"]

    def test_one_clip_that_does_not_fit_is_told(
        self, networks: dict[str, I3D], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = Engine(networks["flow"], "cpu")
        self._small(engine, monkeypatch, room=0)
        with pytest.raises(BackendError) as caught:
            engine.embed(clips("flow", 1, 16, 32, 48))
        assert str(caught.value) == "no memory on the device for one clip of 16 x 32 x 48; try --device cpu"
