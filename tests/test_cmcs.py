"""CMCS: the network against PyTorch's convolutions, its losses together, its switches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from tal import config
from tal.localization import fuse
from tal.methods import resolve
from tal.methods._base import Batch, LabelledVideo
from tal.methods.cmcs import Config, Network, neighbourhoods
from tal.settings import LocalizeSettings

RULES = ["code", "paper1", "paper2"]


def network_of(dim: int = 3, classes: int = 2, **config: Any) -> Network:
    torch.manual_seed(0)
    return Network(Config(**config), dim, classes)


def terms(network: Network, batch: Batch) -> dict[str, Tensor]:
    (found,) = network.objectives(batch)
    return found


def packed(lengths: Sequence[int], dim: int = 3, classes: int = 2, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(sum(lengths), dim, generator=generator, dtype=torch.float64)
    labels = functional.one_hot(torch.arange(len(lengths)) % classes, classes).double()
    return Batch(features, labels, lengths=tuple(lengths))


def convolved(network: Network, video: Tensor) -> tuple[Tensor, Tensor]:
    """Figure 2 with PyTorch's convolutions: branch scores (K, S, T) and video-level scores (S,) of one video (T, D)."""
    assert network.attention is not None
    embedded = functional.relu(functional.conv1d(video.T, network.embedding.weight[..., None], network.embedding.bias))
    n_branches, _, width = network.heads.weight.shape
    kernels = network.branches.weight.view(n_branches, width, 3, -1).transpose(2, 3)  # (K, H, F, 3)
    scores = []
    for k in range(n_branches):
        hidden = functional.conv1d(embedded, kernels[k], network.branches.bias.view(n_branches, -1)[k], padding=1)
        scores.append(functional.conv1d(hidden.relu(), network.heads.weight[k][..., None], network.heads.bias[k, :, 0]))
    hidden = functional.conv1d(embedded, network.attention.hidden.weight[..., None], network.attention.hidden.bias)
    weights = functional.conv1d(hidden.relu(), network.attention.output.weight[..., None]).softmax(dim=1)
    return torch.stack(scores), (torch.stack(scores).mean(dim=0) * weights).sum(dim=1)


@pytest.mark.parametrize("lengths", [(7,), (1, 1), (2, 5, 1, 9)])
def test_videos_side_by_side_are_convolved_apart(lengths: tuple[int, ...]) -> None:
    network, batch = network_of(branches=3, filters=8).double().eval(), packed(lengths)
    scores, attention = network(batch.features, lengths)
    found = network.pool(scores.mean(dim=0), attention, lengths)
    for i, video in enumerate(batch.features.split(list(lengths))):
        expected, video_scores = convolved(network, video)
        torch.testing.assert_close(scores.split(list(lengths), dim=2)[i], expected)
        torch.testing.assert_close(found[i], video_scores)


def test_neighbours_are_of_the_same_video() -> None:
    snippets = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    expected = [[0, 1, 2], [1, 2, 3], [2, 3, 0], [0, 4, 0]]
    assert neighbourhoods(snippets, (3, 1)).tolist() == expected


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.sampled_from(RULES), st.booleans())
def test_losses_of_videos_add_up(lengths: list[int], rule: str, attention: bool) -> None:
    network = network_of(filters=4, norm=rule, attention=attention).double().eval()
    batch = packed(lengths)
    together = terms(network, batch)
    videos = zip(batch.features.split(lengths), batch.labels, strict=True)
    alone = [terms(network, Batch(video[None], label[None])) for video, label in videos]
    assert set(together) == {"class", "diversity", "norm"}
    for name, loss in together.items():
        torch.testing.assert_close(loss, sum(one[name] for one in alone))


@pytest.mark.parametrize("config", [{}, {"attention": False}, {"norm": "paper2"}, {"hard_negatives": "none"}])
def test_gradients_of_the_whole_loss(config: dict[str, Any]) -> None:
    network = network_of(filters=4, branches=2, dropout=0, **config).double()
    names, batch = [name for name, _ in network.named_parameters()], packed((3, 1, 5))
    values = tuple(torch.randn_like(p).requires_grad_() for p in network.parameters())

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self) -> Tensor:
            return torch.stack(list(terms(self.network, batch).values())).sum()

    def total(*parameters: Tensor) -> Tensor:
        return functional_call(Whole(), {f"network.{n}": p for n, p in zip(names, parameters, strict=True)}, ())

    assert torch.autograd.gradcheck(total, values)


def test_class_loss_by_hand() -> None:
    """Untouched scores: 2 classes and background, each of probability 1/3; weights count."""
    network = network_of(branches=1, dropout=0)
    torch.nn.init.zeros_(network.heads.weight)
    torch.nn.init.zeros_(network.heads.bias)
    labels = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    batch = Batch(torch.rand(3, 4, 3), labels, {"weight": torch.tensor([1.0, 2.0, 0.5])})
    assert terms(network, batch)["class"].item() == pytest.approx(3.5 * math.log(3))
    with torch.no_grad():
        network.heads.bias += torch.tensor([math.log(2.0), 0.0, math.log(5.0)])[:, None]  # shares 2, 1, 5 of 8
    expected = math.log(8 / 2) + 2 * math.log(8 / 5) + 0.5 * (math.log(8 / 2) + math.log(8 / 1)) / 2
    assert terms(network, batch)["class"].item() == pytest.approx(expected)


def test_a_video_once_per_label_loses_as_much_as_once_with_all() -> None:
    labels = np.array([1, 0, 1, 1], np.float32)
    video = LabelledVideo(np.random.default_rng(0).random((6, 5)).astype(np.float32), labels, None)
    found = []
    for per_label in (True, False):
        network = network_of(5, 4, dropout=0, per_label=per_label, hard_negatives="none")
        samples = network.prepare([video])
        features = torch.from_numpy(video.features).expand(len(samples), -1, -1)
        weight = torch.tensor([sample.weight for sample in samples])
        batch = Batch(features, torch.from_numpy(np.stack([s.labels for s in samples])), {"weight": weight})
        found.append((len(samples), terms(network, batch)))
    assert [n for n, _ in found] == [3, 1]
    for name, loss in found[0][1].items():
        torch.testing.assert_close(loss, found[1][1][name])


def test_dropout_takes_channels_from_whole_videos() -> None:
    network = network_of(64, filters=64, dropout=0.75)
    with torch.no_grad():
        network.embedding.weight.copy_(torch.eye(64))
        network.embedding.bias.zero_()
    seen = network.train().embed(torch.ones(7, 64), (4, 3))
    assert set(seen.unique().tolist()) == {0, 4}  # 1 / (1 - 0.75)
    assert (seen[:4] == seen[0]).all() and (seen[4:] == seen[4]).all()
    assert (seen[0] != seen[4]).any()
    assert network.eval().embed(torch.ones(7, 64), (4, 3)).eq(1).all()


def test_without_attention_the_largest_score_counts() -> None:
    network = network_of(attention=False).eval()
    features = torch.randn(9, 3)
    found = network.activate(features)
    average = network(features, (9,))[0].mean(dim=0)
    np.testing.assert_allclose(found.scores, average.max(dim=1).values.softmax(dim=0)[:2].detach(), rtol=1e-5)
    assert found.attention.tolist() == [1] * 9
    assert not [key for key in network.state_dict() if key.startswith("attention")]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"branches": 1}, {"class"}),
        ({"diversity": 0}, {"class", "norm"}),
        ({"norm_weight": 0}, {"class", "diversity"}),
    ],
)
def test_losses_can_be_left_out(config: dict[str, Any], expected: set[str]) -> None:
    assert set(terms(network_of(**config), Batch(torch.rand(2, 4, 3), torch.eye(2)))) == expected


def test_weights_scale_their_losses() -> None:
    batch = Batch(torch.rand(2, 4, 3), torch.eye(2))
    one, other = (terms(network_of(dropout=0, diversity=d, norm_weight=n), batch) for d, n in ((0.2, 0.3), (0.6, 0.15)))
    torch.testing.assert_close(3 * one["diversity"], other["diversity"])
    torch.testing.assert_close(one["norm"], 2 * other["norm"])


def test_without_hard_negatives_there_is_no_background() -> None:
    found = network_of(hard_negatives="none").eval().activate(torch.randn(5, 3))
    np.testing.assert_allclose(found.signal.sum(axis=1), np.ones(5), rtol=1e-5)
    np.testing.assert_allclose(found.scores.sum(), 1, rtol=1e-5)
    with_background = network_of().eval().activate(torch.randn(5, 3))
    assert (with_background.signal.sum(axis=1) < 1).all()
    assert with_background.scores.sum() < 1


def test_geometric_fusion_is_the_softmax_of_averaged_scores() -> None:
    """Late fusion averages raw scores, those of the background included, which never leave the method."""
    networks = {"rgb": network_of(branches=2).eval(), "flow": network_of(branches=3).eval()}
    features = 10 * torch.randn(6, 3)
    fused = fuse({name: one.activate(features) for name, one in networks.items()}, LocalizeSettings(fuse="geometric"))
    raw = [one(features, (6,)) for one in networks.values()]
    average = sum(scores.mean(dim=0) for scores, _ in raw) / 2
    video = sum(one.pool(s.mean(dim=0), a, (6,)) for one, (s, a) in zip(networks.values(), raw, strict=True)) / 2
    np.testing.assert_allclose(fused.signal, average.softmax(dim=0)[:2].T.detach(), atol=1e-6)
    np.testing.assert_allclose(fused.scores, video.softmax(dim=1)[0, :2].detach(), atol=1e-6)


@pytest.mark.parametrize("dataset", ["thumos14", "activitynet12", "activitynet13"])
def test_settings_of_the_data_sets_fit(dataset: str) -> None:
    shipped, special = config.load("cmcs"), config.load("cmcs", dataset=dataset)
    assert isinstance(resolve(special.method), Config)
    assert special.train.steps > shipped.train.steps
    assert special.localize.gamma == shipped.localize.gamma
