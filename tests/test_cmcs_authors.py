"""CMCS: the outputs of the weights that its authors trained, and what is no checkpoint of theirs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tal.errors import ModelError
from tal.methods import _cmcs_losses as losses
from tal.methods._cmcs_authors import config_from_authors, from_authors
from tal.methods.cmcs import Config, Network


@pytest.mark.parametrize(("name", "dim"), [("rgb", 1024), ("flow", 1024), ("both", 2048)])
def test_weights_that_the_authors_trained(shared: Path, name: str, dim: int) -> None:
    stored = np.load(shared / "data" / "parity" / f"cmcs_{name}_thumosI3D.npz")
    state = {key[3:]: torch.tensor(stored[key]) for key in stored.files if key.startswith("sd.")}
    network = Network(Config(**config_from_authors(state, 20)), dim, 20).eval()
    network.load_state_dict(from_authors(state))
    features = torch.tensor(stored["x"][0].T)  # (120, D)
    scores = network(features, (120,))[0].detach()
    np.testing.assert_allclose(scores.transpose(1, 2), stored["branches"][:, 0], atol=1e-4)
    np.testing.assert_allclose(losses.diversity(scores, (120,)), stored["div"], atol=1e-4)
    np.testing.assert_allclose(losses.norm_deviation(scores, (120,), "code"), stored["norm"], atol=1e-4)
    found = network.activate(features)
    np.testing.assert_allclose(found.cas, stored["avg_score"][0, :, :20], atol=1e-4)
    np.testing.assert_allclose(found.attention, stored["att"][0, :, 0], atol=1e-4)
    expected = np.exp(stored["global_score"][0]) / np.exp(stored["global_score"][0]).sum()
    np.testing.assert_allclose(found.scores, expected[:20], atol=1e-4)


def authors_state(n_branches: int, attention: bool, n_scores: int = 6) -> dict[str, Tensor]:
    """Random weights under the authors' names and in their shapes: 4 channels, 8 filters."""
    shapes: dict[str, tuple[int, ...]] = {"base.base_conv_0": (8, 4, 1)}
    for k in range(n_branches):
        shapes |= {f"cls_bottoms.{k}.cls_b{k}_conv_0": (4, 8, 3), f"cls_heads.{k}": (n_scores, 4)}
    if attention:
        shapes |= {"att_bottom.att_conv_0": (4, 8, 1), "att_head": (1, 4)}
    weights = {f"{name}.weight": torch.randn(shape) for name, shape in shapes.items()}
    return weights | {f"{name}.bias": torch.randn(shape[0]) for name, shape in shapes.items()}


@pytest.mark.parametrize(("n_branches", "attention", "n_classes"), [(1, True, 5), (3, False, 6)])
def test_checkpoints_of_other_architectures(n_branches: int, attention: bool, n_classes: int) -> None:
    state = authors_state(n_branches, attention)
    config = config_from_authors(state, n_classes)
    negatives = "motion" if n_classes == 5 else "none"
    assert config == {"branches": n_branches, "filters": 8, "attention": attention, "hard_negatives": negatives}
    network = Network(Config(**config), 4, n_classes)
    network.load_state_dict(from_authors(state))
    if attention:
        video = torch.randn(7, 4)
        expected = functional.conv1d(video.T, state["base.base_conv_0.weight"], state["base.base_conv_0.bias"]).relu()
        torch.testing.assert_close(network.eval().embed(video, (7,)), expected.T)


def test_wrong_checkpoints_are_refused() -> None:
    state = authors_state(2, attention=True)
    with pytest.raises(ModelError, match=r"scores 6 classes, not 9 or, with background, 10; name its classes"):
        config_from_authors(state, 9)
    del state["cls_bottoms.1.cls_b1_conv_0.bias"]
    with pytest.raises(ModelError, match=r"no tensor 'cls_bottoms\.1\.cls_b1_conv_0\.bias'"):
        from_authors(state)
    with pytest.raises(ModelError, match="not a CMCS checkpoint"):
        from_authors({"weight": torch.zeros(3)})
    with pytest.raises(ModelError, match="not a CMCS checkpoint"):
        from_authors(authors_state(0, attention=False))


def test_other_architectures_of_theirs_are_refused() -> None:
    deeper = authors_state(2, attention=True) | {"base.base_conv_1.weight": torch.zeros(8, 8, 1)}
    with pytest.raises(ModelError, match=r"tensor 'base\.base_conv_1\.weight' is one too many"):
        from_authors(deeper)
    wider = authors_state(2, attention=True) | {"base.base_conv_0.weight": torch.zeros(8, 4, 3)}
    with pytest.raises(ModelError, match=r"a convolution of shape \(8, 4, 3\)"):
        from_authors(wider)
