"""What every method must keep, asked of all that are available."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tal import config, methods, models
from tal.errors import ConfigError
from tal.files import shipped
from tal.methods._base import Batch, LabelledVideo, Method
from tal.settings import Section
from tal.types import Activations

B, T, D, C = 8, 10, 32, 4
every_method = pytest.mark.parametrize("name", methods.available())


def network_of(name: str, seed: int = 0) -> Method:
    torch.manual_seed(seed)
    return models.build({"name": name}, D, C)


def prepared(name: str, batch: Batch, seed: int = 0) -> Method:
    """Return a network that has looked at the batch's videos, with a guide that knows where the actions are."""
    network = network_of(name, seed)
    network.prepare(labelled(batch))
    return network.train()


def labelled(batch: Batch) -> Iterator[LabelledVideo]:
    for features, labels in zip(batch.features.numpy(), batch.labels.numpy(), strict=True):
        inside = np.zeros(T, np.float32)
        inside[2:5] = 0.9
        signal = inside[:, None] * labels + np.float32(0.05)
        guide = Activations(signal, np.maximum(labels, 0.05), signal, inside + np.float32(0.05))
        yield LabelledVideo(features, labels, None, guide=guide)


def batch_of(n_videos: int = B) -> Batch:
    """Return videos whose classes show in the features."""
    generator = torch.Generator().manual_seed(1)
    features = 0.1 * torch.rand(n_videos, T, D, generator=generator)
    labels = torch.zeros(n_videos, C)
    for i in range(n_videos):
        labels[i, i % C] = 1
        features[i, 2:5, i % C :: C] += 3
    snippets = torch.arange(T).expand(n_videos, T)
    return Batch(features, labels, {"video": torch.arange(n_videos), "snippet": snippets})


def test_stpn_is_found() -> None:
    assert "stpn" in methods.available()
    assert not [name for name in methods.available() if name.startswith("_")]


def test_asking_for_the_names_does_not_load_pytorch() -> None:
    script = "import sys; from tal import methods; methods.available(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@every_method
def test_module_has_a_frozen_config_and_a_network(name: str) -> None:
    module = methods.load(name)
    assert issubclass(module.Config, Section)
    assert issubclass(module.Network, Method)
    assert isinstance(methods.resolve({"name": name}), module.Config)


@every_method
def test_shipped_settings_are_valid_and_complete(name: str) -> None:
    tree = config.read_yaml(shipped("configs") / "methods" / f"{name}.yaml")
    resolved = methods.resolve(config.load(name).method)
    assert {"name": name, **resolved.model_dump()} == tree["method"]


@every_method
def test_objectives_are_finite_scalars_that_move_every_parameter(name: str) -> None:
    network = prepared(name, batch_of())
    for losses in network.objectives(batch_of()):
        assert losses
        assert all(loss.shape == () and loss.isfinite() for loss in losses.values())
        sum(losses.values()).backward()
    still = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


def learn(network: Method, batch: Batch, n_updates: int) -> float:
    """Return the loss after training, as a share of the loss before."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    totals = []
    for _ in range(n_updates):
        totals.append(0.0)
        for losses in network.objectives(batch):
            loss = torch.stack(list(losses.values())).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            totals[-1] += loss.item()
    return totals[-1] / totals[0]


@every_method
def test_one_batch_can_be_learned_from_most_starts(name: str) -> None:
    ratios = [learn(prepared(name, batch_of(), seed), batch_of(), 100) for seed in range(5)]
    assert np.median(ratios) < 0.3


@every_method
def test_objectives_leave_the_batch_alone(name: str) -> None:
    batch, before = batch_of(), batch_of()
    list(prepared(name, batch_of()).objectives(batch))
    assert torch.equal(batch.features, before.features)
    assert torch.equal(batch.labels, before.labels)


@every_method
def test_a_batch_of_one_video_will_do(name: str) -> None:
    network = prepared(name, batch_of(1))
    losses = [loss for step in network.objectives(batch_of(1)) for loss in step.values()]
    assert all(loss.isfinite() for loss in losses)


@every_method
def test_whole_videos_of_equal_length_give_the_losses_of_a_batch(name: str) -> None:
    if not methods.load(name).Network.WHOLE:
        pytest.skip(f"{name} learns from samples of equal length")
    network, batch = prepared(name, batch_of()).eval(), batch_of()
    flat = {"video": batch.aux["video"], "snippet": batch.aux["snippet"].flatten()}
    packed = Batch(batch.features.reshape(-1, D), batch.labels, flat, (T,) * B)
    for one, other in zip(network.objectives(batch), network.objectives(packed), strict=True):
        for key, loss in one.items():
            assert loss.item() == pytest.approx(other[key].item(), rel=1e-6)


@every_method
@pytest.mark.parametrize("n", [1, 2, 7, 501])
def test_activations_of_a_video_of_any_length(name: str, n: int) -> None:
    found = network_of(name).eval().activate(torch.rand(n, D))
    assert found.cas.shape == found.signal.shape == (n, C)
    assert found.scores.shape == (C,)
    assert found.attention.shape == (n,)
    for values in (found.cas, found.scores, found.signal, found.attention):
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
    assert 0 <= found.scores.min() <= found.scores.max() <= 1
    assert 0 <= found.attention.min() <= found.attention.max() <= 1


@every_method
def test_activations_are_repeatable_and_leave_the_network_alone(name: str) -> None:
    network, features = network_of(name).eval(), torch.rand(9, D)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    one, two = network.activate(features), network.activate(features)
    assert np.array_equal(one.signal, two.signal)
    assert np.array_equal(one.scores, two.scores)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@every_method
def test_initialisation_follows_the_seed(name: str) -> None:
    one, two = network_of(name).state_dict(), network_of(name).state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)


@every_method
def test_preparing_for_no_videos_is_allowed(name: str) -> None:
    network_of(name).prepare(iter(()))


@every_method
def test_unknown_hyper_parameter_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'method\.no_such_thing_at_all'; known: method"):
        methods.resolve({"name": name, "no_such_thing_at_all": 1})


def test_misspelt_hyper_parameter_is_suggested() -> None:
    with pytest.raises(ConfigError) as caught:
        methods.resolve({"name": "stpn", "hiden": 128})
    assert str(caught.value) == "unknown key 'method.hiden'; did you mean 'method.hidden'?"


def test_wrong_value_is_named() -> None:
    with pytest.raises(ConfigError, match=r"method\.pool: input should be 'mean', 'sum' or 'normalized' \(got 'max'\)"):
        methods.resolve({"name": "stpn", "pool": "max"})


def test_misspelt_method_is_suggested() -> None:
    with pytest.raises(ConfigError) as caught:
        methods.load("stpm")
    assert str(caught.value) == "unknown method 'stpm'; did you mean 'stpn'?"


@pytest.mark.parametrize("name", ["_base", "os.path", "", "../stpn"])
def test_only_methods_can_be_loaded(name: str) -> None:
    with pytest.raises(ConfigError, match="unknown method"):
        methods.load(name)


def test_missing_name_is_told() -> None:
    with pytest.raises(ConfigError, match=r"method\.name is missing; known: .*stpn"):
        methods.resolve({"hidden": 8})
