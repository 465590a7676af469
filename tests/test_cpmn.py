"""CPMN: its losses against plain NumPy, its erasures by hand, and what each switch leaves out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from plain_cpmn import T, arrays, batch_of, classify, cross_entropy, label_maps, network_of, scaled
from torch import Tensor
from torch.func import functional_call

from tal import config
from tal.methods._base import Batch
from tal.methods.cpmn import Config, Network


def losses_of(network: Network, batch: Batch) -> dict[str, float]:
    (losses,) = network.objectives(batch)
    return {name: loss.item() for name, loss in losses.items()}


@pytest.mark.parametrize("mask", ["positive", "minmax", "sigmoid"])
@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_losses_of_the_cascade_in_plain_numpy(mask: str, threshold: float) -> None:
    network, batch = network_of(stages=3, mask=mask, erase_threshold=threshold), batch_of()
    expected, n_erased = np.zeros(3), 0
    for features, labels in zip(batch.features.double().numpy(), batch.labels.numpy(), strict=True):
        kept = np.ones(T)
        for number, stage in enumerate(network.cascade):
            n_erased += int((1 - kept).sum()) if number == 1 else 0
            cas, logits = classify(stage, features * kept[:, None])
            expected[number] += cross_entropy(logits, labels) / len(batch.labels)
            kept = kept * ~(scaled(cas, mask)[:, labels > 0] > threshold).any(axis=1)
    assert 0 < n_erased < T * len(batch.labels)
    found = losses_of(network, batch)
    assert [found[f"stage {n}"] for n in (1, 2, 3)] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("lateral", ["none", "fpn"])
@pytest.mark.parametrize("levels", [1, 2, 4])
def test_losses_of_the_pyramid_in_plain_numpy(levels: int, lateral: str) -> None:
    batch = batch_of()
    videos = list(zip(batch.features.double().numpy(), batch.labels.numpy(), strict=True))
    network = network_of(levels=levels, lateral=lateral)
    logits = [np.mean([maps.mean(axis=0) for maps in label_maps(network, x)], axis=0) for x, _ in videos]
    expected = np.mean([cross_entropy(one, y) for one, (_, y) in zip(logits, videos, strict=True)])
    assert losses_of(network, batch)["pyramid"] == pytest.approx(expected, rel=1e-4)
    network = network_of(levels=levels, lateral=lateral, pam_label="window")
    halves = [(x[part], y) for x, y in videos for part in (slice(0, 8), slice(8, 16))]
    logits = [np.mean([maps.mean(axis=0) for maps in label_maps(network, x)], axis=0) for x, _ in halves]
    expected = np.mean([cross_entropy(one, y) for one, (_, y) in zip(logits, halves, strict=True)])
    assert losses_of(network, batch)["pyramid"] == pytest.approx(expected, rel=1e-4)


def test_l2_is_half_the_squares_of_the_cascades_kernels() -> None:
    network = network_of(stages=2, l2=0.01)
    kernels = [values for name, values in arrays(network.stages).items() if name.endswith("weight")]
    assert len(kernels) == 6
    expected = 0.01 * sum((kernel**2).sum() for kernel in kernels) / 2
    assert losses_of(network, batch_of())["l2"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, {"stage 1", "stage 2", "pyramid", "l2"}),
        ({"stages": 1}, {"stage 1", "pyramid", "l2"}),
        ({"stages": 3, "l2": 0}, {"stage 1", "stage 2", "stage 3", "pyramid"}),
        ({"pam": False}, {"stage 1", "stage 2", "l2"}),
    ],
)
def test_switches_leave_their_losses_out(settings: dict[str, Any], names: set[str]) -> None:
    assert set(losses_of(network_of(**settings), batch_of())) == names


@pytest.mark.parametrize(
    "settings",
    [
        {"stages": 3, "levels": 1},
        {"mask": "minmax", "lateral": "none", "pam_label": "window"},
        {"mask": "sigmoid", "levels": 3},
    ],
)
def test_gradients_of_the_losses(settings: dict[str, Any]) -> None:
    network = network_of(dim=2, classes=2, filters=2, **settings).double()
    names = [name for name, _ in network.named_parameters()]
    values = tuple(p.detach().clone().requires_grad_() for p in network.parameters())
    batch = Batch(torch.randn(2, 8, 2).double(), torch.tensor([[1.0, 0], [1, 1]]).double())
    network.forward = lambda: sum(next(network.objectives(batch)).values())  # type: ignore[method-assign]

    def total(*parameters: Tensor) -> Tensor:
        return functional_call(network, dict(zip(names, parameters, strict=True)), ())

    assert torch.autograd.gradcheck(total, values)


def test_masks_carry_no_gradient() -> None:
    network = network_of(stages=3)
    (losses,) = network.objectives(batch_of())
    (losses["stage 2"] + losses["stage 3"]).backward()
    assert all(p.grad is None for p in network.cascade[0].parameters())
    assert all(p.grad is not None for stage in network.cascade[1:] for p in stage.parameters())


CAS = torch.tensor([[[-6.0, 1.0], [-2.0, 1.0], [0.9, 1.0], [2.0, 1.0]]])  # one video, four snippets, two classes


@pytest.mark.parametrize(
    ("mask", "threshold", "kept"),
    [
        ("positive", 0.4, [1, 1, 0, 0]),  # 0, 0, 0.45, 1
        ("positive", 0.5, [1, 1, 1, 0]),
        ("minmax", 0.4, [1, 0, 0, 0]),  # 0, 0.5, 0.86, 1
        ("minmax", 0.9, [1, 1, 1, 0]),
        ("sigmoid", 0.4, [1, 1, 0, 0]),  # 0, 0.12, 0.71, 0.88
        ("sigmoid", 1.0, [1, 1, 1, 1]),
    ],
)
def test_erasures_by_hand(mask: str, threshold: float, kept: list[int]) -> None:
    network = network_of(classes=2, mask=mask, erase_threshold=threshold)
    assert network.unmarked(CAS, torch.tensor([[1.0, 0.0]])).tolist() == [kept]


@pytest.mark.parametrize("mask", ["positive", "minmax"])
def test_what_hardly_speaks_for_a_class_or_never_varies_is_not_erased(mask: str) -> None:
    network = network_of(classes=2, mask=mask)
    still = torch.full((1, 5, 2), -3.0)
    assert network.unmarked(still, torch.ones(1, 2)).tolist() == [[1] * 5]
    assert network.unmarked(CAS, torch.zeros(1, 2)).tolist() == [[1] * 4]  # no label, nothing to erase


def test_labelled_classes_are_erased_together() -> None:
    cas = torch.tensor([[[5.0, -1.0, 0.0], [-1.0, 5.0, 0.0], [-1.0, -1.0, 9.0]]])
    network = network_of(classes=3)
    assert network.unmarked(cas, torch.tensor([[1.0, 1.0, 0.0]])).tolist() == [[0, 0, 1]]


def test_initial_weights_are_glorot_uniform_and_biases_zero() -> None:
    network = Network(Config(filters=64), 100, 20)
    for name, values in network.named_parameters():
        if name.endswith("bias"):
            assert not values.any()
        else:
            taps = values[0, 0].numel()
            bound = math.sqrt(6 / ((values.shape[0] + values.shape[1]) * taps))
            assert bound * 0.95 < values.abs().max() <= bound


def test_shipped_settings_of_activitynet() -> None:
    settings = config.load("cpmn", dataset="activitynet13")
    assert settings.method["resize"] == 64
    assert (settings.localize.top_classes, settings.localize.nms) == (1, 0.5)
    assert config.load("cpmn", dataset="thumos14").train.steps == 150 * 200 // 16
