"""STPN: closed forms of its equations, and the outputs of publicly trained weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.func import functional_call

from tal.methods._base import Batch
from tal.methods.stpn import Config, Network


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def network_of(dim: int = 2, classes: int = 2, **config: Any) -> Network:
    torch.manual_seed(0)
    return Network(Config(**config), dim, classes)


def set_classifier(network: Network, weight: list[list[float]], bias: list[float]) -> None:
    network.classifier.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})


def set_attention(network: Network, logit_of_first_channel: float, bias: float) -> None:
    """Make the attention sigmoid(a * relu(x_0) + b)."""
    assert network.attention is not None
    for layer in (network.attention.hidden, network.attention.output):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    with torch.no_grad():
        network.attention.hidden.weight[0, 0] = 1
        network.attention.output.weight[0, 0] = logit_of_first_channel
        network.attention.output.bias[0] = bias


X = [[1.0, 0.0], [0.0, 2.0]]  # two snippets of two channels
WEIGHT, BIAS = [[1.0, 2.0], [-1.0, 0.5]], [0.1, -0.2]


@pytest.mark.parametrize(("pool", "divisor"), [("mean", 2), ("sum", 1), ("normalized", None)])
def test_loss_by_hand(pool: str, divisor: float | None) -> None:
    network = network_of(pool=pool, beta=0.3)
    set_classifier(network, WEIGHT, BIAS)
    set_attention(network, 2.0, -1.0)
    first, second = sigmoid(1.0), sigmoid(-1.0)  # attention of the two snippets
    divisor = divisor or first + second
    pooled = (first * 1.0 / divisor, second * 2.0 / divisor)
    logits = [w[0] * pooled[0] + w[1] * pooled[1] + b for w, b in zip(WEIGHT, BIAS, strict=True)]
    cross_entropy = -(math.log(sigmoid(logits[0])) + math.log(1 - sigmoid(logits[1]))) / 2
    (losses,) = network.objectives(Batch(torch.tensor([X]), torch.tensor([[1.0, 0.0]])))
    assert losses["class"].item() == pytest.approx(cross_entropy, rel=1e-5)
    assert losses["sparsity"].item() == pytest.approx(0.3 * (first + second), rel=1e-5)


def test_losses_are_averaged_over_videos() -> None:
    network = network_of(beta=1.0)
    features, labels = torch.rand(4, 5, 2), torch.tensor([[1.0, 0], [0, 1], [1, 1], [0, 1]])
    (together,) = network.objectives(Batch(features, labels))
    alone = [next(network.objectives(Batch(features[i : i + 1], labels[i : i + 1]))) for i in range(4)]
    for name, loss in together.items():
        assert loss.item() == pytest.approx(sum(one[name].item() for one in alone) / 4, rel=1e-5)


def test_untrained_sparsity_is_half_of_every_snippet() -> None:
    network = network_of(beta=1e-4)
    (losses,) = network.objectives(Batch(torch.zeros(3, 400, 2), torch.ones(3, 2)))
    assert losses["sparsity"].item() == pytest.approx(1e-4 * 400 / 2)  # sigmoid(0) everywhere: biases are zero
    assert losses["class"].item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("pool", ["mean", "sum", "normalized"])
def test_without_attention_snippets_are_averaged_plainly(pool: str) -> None:
    network = network_of(attention=False, pool=pool)
    set_classifier(network, WEIGHT, BIAS)
    found = network.activate(torch.tensor(X))
    assert found.attention.tolist() == [1, 1]
    expected = sigmoid(np.array([0.5, 1.0]) @ np.array(WEIGHT).T + BIAS)
    np.testing.assert_allclose(found.scores, expected, rtol=1e-5)
    (losses,) = network.objectives(Batch(torch.tensor([X]), torch.tensor([[1.0, 0.0]])))
    assert set(losses) == {"class"}
    assert set(network.state_dict()) == {"classifier.weight", "classifier.bias"}


def test_signal_is_attention_times_sigmoid_of_the_cas_without_bias() -> None:
    network = network_of()
    set_classifier(network, WEIGHT, BIAS)
    set_attention(network, 2.0, -1.0)
    found = network.activate(torch.tensor(X))
    np.testing.assert_allclose(found.cas, [[1, -1], [4, 1]], rtol=1e-6)
    np.testing.assert_allclose(found.attention, sigmoid(np.array([1, -1])), rtol=1e-6)
    np.testing.assert_allclose(found.signal, found.attention[:, None] * sigmoid(found.cas), rtol=1e-6)


def test_scores_are_the_attended_average_of_the_cas() -> None:
    """Equation 3: the logit of a video is the attention-weighted sum of its T-CAM (and, with a bias, plus it)."""
    network = network_of(dim=7, classes=3)
    torch.nn.init.normal_(network.classifier.bias)
    found = network.activate(torch.rand(33, 7))
    logits = (found.attention[:, None] * found.cas).mean(axis=0) + network.classifier.bias.detach().numpy()
    np.testing.assert_allclose(found.scores, sigmoid(logits), rtol=1e-5)


@pytest.mark.parametrize("pool", ["mean", "normalized"])
def test_scores_do_not_depend_on_how_often_the_video_repeats(pool: str) -> None:
    network, features = network_of(dim=5, pool=pool), torch.rand(20, 5)
    one, three = network.activate(features), network.activate(features.repeat(3, 1))
    np.testing.assert_allclose(one.scores, three.scores, rtol=1e-5)


def test_initial_weights_are_glorot_uniform_and_biases_zero() -> None:
    network = network_of(dim=300, classes=40, hidden=200)
    for key, value in network.state_dict().items():
        if key.endswith("bias"):
            assert not value.any()
        else:
            bound = math.sqrt(6 / sum(value.shape))
            assert bound * 0.95 < value.abs().max() <= bound
            assert value.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)


@pytest.mark.parametrize("config", [{}, {"pool": "normalized"}, {"pool": "sum", "beta": 0.1}, {"attention": False}])
def test_gradients_of_the_loss(config: dict[str, Any]) -> None:
    network = network_of(dim=3, classes=2, hidden=4, **config).double()
    names = [name for name, _ in network.named_parameters()]
    values = tuple(torch.randn_like(p).requires_grad_() for p in network.parameters())
    features, labels = torch.rand(2, 5, 3).double(), torch.tensor([[1.0, 0], [1, 1]]).double()
    network.forward = lambda: sum(next(network.objectives(Batch(features, labels))).values())  # type: ignore[method-assign]

    def total(*parameters: torch.Tensor) -> torch.Tensor:
        return functional_call(network, dict(zip(names, parameters, strict=True)), ())

    assert torch.autograd.gradcheck(total, values)


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_trained_weights_of_the_public_reimplementation(shared: Path, stream: str) -> None:
    stored = np.load(shared / "data" / "parity" / f"stpn_{stream}_ckpt001.npz")
    names = {
        "attention.hidden": "Attention.dense",
        "attention.output": "Attention.dense_1",
        "classifier": "Classification.class_weight",
    }
    weights = {f"{ours}.weight": torch.tensor(stored[f"{theirs}.kernel"].T) for ours, theirs in names.items()}
    weights |= {f"{ours}.bias": torch.tensor(stored[f"{theirs}.bias"]) for ours, theirs in names.items()}
    network = Network(Config(), 1024, 20)
    network.load_state_dict(weights)
    found = network.activate(torch.tensor(stored["x"]))
    np.testing.assert_allclose(found.attention, stored["attention"][:, 0], atol=1e-4)
    np.testing.assert_allclose(found.cas, stored["tcam"], atol=1e-4)
    np.testing.assert_allclose(found.scores, sigmoid(stored["logits"]), atol=1e-4)
    np.testing.assert_allclose(found.signal, stored["attention"] * sigmoid(stored["tcam"]), atol=1e-4)
