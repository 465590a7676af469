"""Untrained weights: He-normal filters, BatchNorm statistics of clips."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import threads
import torch
from light_i3d import same
from torch import Tensor, nn

from extract import weights
from extract.i3d import I3D

_one_thread = threads.one_thread  # a fixture that every test uses


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return weights.random_state(3, "rgb")


def test_random_weights_follow_seed_and_stream(state: dict[str, Tensor]) -> None:
    assert same(weights.random_state(3, "rgb"), state)
    key = "Mixed_4d.b1b.conv3d.weight"
    others = [weights.random_state(4, "rgb")[key], weights.random_state(3, "flow")[key]]
    assert not any(torch.equal(state[key], other) for other in others)


def test_random_convolutions_are_he_normal(state: dict[str, Tensor]) -> None:
    values = state["Mixed_5c.b1b.conv3d.weight"].flatten()  # 384 x 192 x 27 numbers
    expected = (2 / (192 * 27)) ** 0.5
    n = values.numel()
    assert float(state["Mixed_5c.b1b.conv3d.weight"].mean(dim=(1, 2, 3, 4)).abs().max()) < 1e-3 * expected  # centred
    assert abs(float(values.std()) / expected - 1) < 5 / (2 * n) ** 0.5
    assert all(bool((value == 1).all()) for key, value in state.items() if key.endswith(("bn.weight", "running_var")))
    assert all(bool((value == 0).all()) for key, value in state.items() if key.endswith(("bias", "running_mean")))


def textures(n: int, seed: int, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, channels, 4, 8, 8, generator=generator) * 2 - 1
    return nn.functional.interpolate(coarse, size=(8, 64, 64), mode="trilinear")


def apart(a: Tensor, b: Tensor) -> float:
    """Distance relative to length."""
    return float((a - b).norm() / a.norm())


@contextmanager
def watched_norms(network: I3D) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Record (input, output) of every BatchNorm, each (C, N)."""
    seen: list[tuple[Tensor, Tensor]] = []

    def record(_norm: nn.Module, x: tuple[Tensor], y: Tensor) -> None:
        seen.append((x[0].transpose(0, 1).flatten(1), y.transpose(0, 1).flatten(1)))

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm3d)]
    hooks = [norm.register_forward_hook(record) for norm in norms]
    yield seen
    for hook in hooks:
        hook.remove()


@pytest.fixture
def network(state: dict[str, Tensor]) -> I3D:
    made = I3D(3)
    made.load_state_dict(state)
    return made


def test_calibrated_on_one_batch_every_norm_gives_mean_0_and_variance_1(network: I3D) -> None:
    clips = textures(3, 0)
    weights.calibrate(network, [clips])
    assert not network.training
    with torch.no_grad(), watched_norms(network) as seen:
        features = network.embed(clips)
    assert len(seen) == 57
    for x, y in seen:
        torch.testing.assert_close(y.mean(dim=1), torch.zeros(len(y)), rtol=0, atol=1e-3)
        variance = x.var(dim=1, correction=0)
        assert float(variance.min()) > 1e-3
        # Unit variance, but for the network's epsilon under the root.
        torch.testing.assert_close(y.var(dim=1, correction=0), variance / (variance + 1e-3), rtol=1e-2, atol=0)
    assert bool(torch.isfinite(features).all())
    assert min(apart(features[i], features[j]) for i, j in ((0, 1), (0, 2), (1, 2))) > 0.3


def test_the_first_norm_sees_all_batches_as_one(network: I3D) -> None:
    """Its input depends on no other norm, so its statistics are those of the batches put together."""
    a, b = textures(1, 1), textures(2, 2) * 0.3 + 0.5
    weights.calibrate(network, iter([a, b]))
    unit = network.get_submodule("Conv3d_1a_7x7")
    padded = nn.functional.pad(torch.cat([a, b]), (2, 3, 2, 3, 2, 3)).double()
    with torch.no_grad():
        values = nn.functional.conv3d(padded, unit.conv3d.weight.double(), stride=2).transpose(0, 1).flatten(1)
    torch.testing.assert_close(unit.bn.running_mean.double(), values.mean(dim=1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(unit.bn.running_var.double(), values.var(dim=1, correction=0), rtol=1e-4, atol=1e-5)


def test_calibration_is_repeatable_and_leaves_no_hooks(network: I3D, state: dict[str, Tensor]) -> None:
    batches = [textures(1, seed) for seed in (1, 2)]
    weights.calibrate(network, batches)
    first = {key: value.clone() for key, value in network.state_dict().items()}
    weights.calibrate(network, batches)
    assert same(dict(network.state_dict()), first)
    with torch.no_grad():
        network.embed(textures(1, 9) * 5)
    assert same(dict(network.state_dict()), first)
    assert torch.equal(first["Mixed_5c.b0.conv3d.weight"], state["Mixed_5c.b0.conv3d.weight"])


@pytest.mark.parametrize("strength", [0.0, 1e-3, 0.05])
def test_still_calibration_clips_do_not_blow_up_later_ones(strength: float) -> None:
    """Features of moving clips stay in half precision's range, and tell the clips apart."""
    network = I3D(2)
    network.load_state_dict(weights.random_state(0, "flow"))
    weights.calibrate(network, [textures(2, 0, channels=2) * strength])
    with torch.no_grad():
        moving = network.embed(textures(2, 1, channels=2))
    assert bool(torch.isfinite(moving).all())
    assert float(moving.abs().max()) < 65504 / 10
    assert apart(moving[0], moving[1]) > 0.3
