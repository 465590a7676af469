"""ECM with the official network's weights, and the authors' checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_ecm import C, D, losses_of, network_of, softmax
from torch import Tensor
from torch.nn import functional

from tal.errors import ModelError
from tal.methods._ecm_authors import config_from_authors, from_authors
from tal.methods.ecm import Config, Network

# The official network


def reference(shared: Path) -> tuple[Any, Any]:
    """Return the module of deterministic weights, and what the official network gives for them."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("ecm_weights", shared / "bench" / "ecm_reference_weights.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, np.load(shared / "data" / "parity" / "ecm_reference.npz")


def theirs(weights: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return weights under the names of the authors' checkpoints."""
    names = {
        "base_module.conv_1": "conv1",
        "base_module.conv_2": "conv2",
        "classifier_module.conv": "classifier",
        "attention_module.conv_1": "transition",
    }
    return {
        f"{name}.{kind}": torch.as_tensor(weights[f"{own}.{kind}"])
        for name, own in names.items()
        for kind in ("weight", "bias")
        if f"{own}.{kind}" in weights
    }


def test_outputs_and_losses_of_the_official_network(shared: Path) -> None:
    module, stored = reference(shared)
    state = theirs(module.weights())
    network = Network(Config(precision="fp32", **config_from_authors(state, module.C)), module.D, module.C).eval()
    network.load_state_dict(from_authors(state))
    features, labels = module.batch()
    losses = losses_of(network, torch.tensor(features.transpose(0, 2, 1).copy()), torch.tensor(labels))
    assert losses["class_pre"].item() == pytest.approx(float(stored["loss_pre"]), abs=1e-4)
    assert losses["class_post"].item() == pytest.approx(float(stored["loss_post"]), abs=1e-4)
    assert losses["c2c"].item() / 0.05 == pytest.approx(float(stored["loss_c2c"]), abs=1e-4)
    assert losses["a2c"].item() / 5 == pytest.approx(float(stored["loss_a2c"]), abs=1e-4)
    for video, cas, score in zip(features, stored["cas"], stored["score_pre"], strict=True):
        found = network.activate(torch.tensor(video.T.copy()))
        np.testing.assert_allclose(found.cas, cas.T, atol=1e-4)
        np.testing.assert_allclose(found.scores, softmax(score), atol=1e-4)


# The authors' checkpoints


def made_up_checkpoint(hidden: int = 5) -> dict[str, Tensor]:
    torch.manual_seed(1)
    shapes = {
        "conv1.weight": (hidden, D, 3),
        "conv1.bias": (hidden,),
        "conv2.weight": (hidden, hidden, 3),
        "conv2.bias": (hidden,),
        "classifier.weight": (C, hidden, 1),
        "transition.weight": (C, C, 1),
        "transition.bias": (C,),
    }
    return theirs({name: torch.randn(shape) for name, shape in shapes.items()})


def test_the_authors_weights_compute_the_same_here() -> None:
    state, features = made_up_checkpoint(), torch.randn(9, D)
    hidden = features.t().unsqueeze(0)
    for name in ("base_module.conv_1", "base_module.conv_2"):
        hidden = functional.conv1d(hidden, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)
        hidden = functional.leaky_relu(hidden)
    expected = functional.conv1d(hidden, state["classifier_module.conv.weight"])[0].t()
    weights = functional.conv1d(
        expected.t().unsqueeze(0), state["attention_module.conv_1.weight"], state["attention_module.conv_1.bias"]
    )
    network = network_of(**config_from_authors(state, C)).eval()
    network.load_state_dict(from_authors(state))
    cas = network.classifier(features, (9,), torch.float32)
    torch.testing.assert_close(cas, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(network.weigh(cas), weights[0].t().sigmoid(), rtol=1e-4, atol=1e-4)


def test_checkpoints_of_others_are_refused() -> None:
    state = made_up_checkpoint()
    start = "not an ECM checkpoint of the authors' code: "
    end = "; give the 'state_dict' of one of their '.pth' files"
    with pytest.raises(ModelError) as caught:
        from_authors({key: value for key, value in state.items() if key != "base_module.conv_2.bias"})
    assert str(caught.value) == f"{start}no tensor 'base_module.conv_2.bias'{end}"
    with pytest.raises(ModelError) as caught:
        from_authors({**state, "more.weight": torch.zeros(1)})
    assert str(caught.value) == f"{start}tensor 'more.weight' is one too many{end}"
    with pytest.raises(ModelError) as caught:
        from_authors({**state, "classifier_module.conv.weight": torch.zeros(C, 5, 3)})
    assert str(caught.value) == f"{start}tensor 'classifier_module.conv.weight' has shape (3, 5, 3){end}"


def test_number_of_classes_must_fit_the_checkpoint() -> None:
    with pytest.raises(ModelError, match="the checkpoint scores 3 classes, not 4; name its classes in its order"):
        config_from_authors(made_up_checkpoint(), 4)
