"""ECM: closed forms of its equations, PyTorch's own convolutions, and what the official network gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from tal.errors import ModelError
from tal.methods._base import Batch
from tal.methods._ecm_authors import config_from_authors, from_authors
from tal.methods._ecm_parts import absence_loss, label_cross_entropy, mixtures, positive_minmax, top_k_means, twins
from tal.methods.ecm import Config, Network
from tal.settings import LocalizeSettings

D, C = 6, 3
LABELS = torch.tensor([[1.0, 0, 0], [0, 1, 1]])


def network_of(dim: int = D, classes: int = C, **config: Any) -> Network:
    torch.manual_seed(0)
    return Network(Config(**{"dropout": 0.0, "precision": "fp32", **config}), dim, classes)


def losses_of(network: Network, features: Tensor, labels: Tensor = LABELS, **batch: Any) -> Mapping[str, Tensor]:
    (losses,) = network.objectives(Batch(features, labels, **batch))
    return losses


def flat_transition(network: Network, weight: float) -> None:
    """Make all action weights the same, whatever the CAS."""
    assert network.transition is not None
    torch.nn.init.zeros_(network.transition.weight)
    torch.nn.init.constant_(network.transition.bias, math.log(weight / (1 - weight)) if weight < 1 else 100.0)


def softmax(values: Any) -> Any:
    return np.exp(values) / np.exp(values).sum()


# Losses


def test_cross_entropy_of_a_known_softmax() -> None:
    logits = torch.tensor([[math.log(2), 0, 0], [0, 0, 0]])  # 1/2, 1/4, 1/4 and thirds
    assert label_cross_entropy(logits, LABELS).item() == pytest.approx((math.log(2) + math.log(3)) / 2)


def test_labels_add_up_to_one() -> None:
    logits = torch.tensor([[math.log(2), 0, 0]])
    found = label_cross_entropy(logits, torch.tensor([[1.0, 1, 0]]))
    assert found.item() == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_a_video_without_labels_costs_nothing() -> None:
    nothing = torch.zeros(1, C)
    assert label_cross_entropy(torch.randn(1, C), nothing) == 0
    assert absence_loss(torch.randn(1, C), torch.randn(1, C), nothing) == 0


def test_absence_loss_by_hand() -> None:
    """Scores are one softmax over presence and absence: with equal logits 1/6 each for three classes."""
    zeros = torch.zeros(2, C)
    expected = (math.log(6) + math.log(6 / 5)) / 2
    assert absence_loss(zeros, zeros, LABELS).item() == pytest.approx(expected)
    post, absent = torch.tensor([[math.log(3), 0, 0]]), torch.tensor([[math.log(2), 0, 0]])  # of a total of 9
    found = absence_loss(post, absent, torch.tensor([[1.0, 0, 0]]))
    assert found.item() == pytest.approx(-(math.log(3 / 9) + math.log(1 - 2 / 9)) / 2)


def test_absence_loss_is_finite_and_has_a_gradient_where_absence_is_certain() -> None:
    absent = torch.tensor([[500.0, 0, 0]], requires_grad=True)
    loss = absence_loss(torch.zeros(1, C), absent, LABELS[:1])
    loss.backward()
    assert loss.item() == pytest.approx((500 + 500 - math.log(5)) / 2)
    assert absent.grad is not None
    assert absent.grad[0, 0].item() == pytest.approx(1.0)


def test_top_k_takes_a_share_of_each_video() -> None:
    cas = torch.tensor([[1.0], [5], [3], [2], [9], [-1], [7]])
    assert top_k_means(cas, (4, 3), 0.5).tolist() == [[4.0], [9.0]]  # two of four, one of three
    assert top_k_means(cas, (4, 3), 0.01).tolist() == [[5.0], [9.0]]
    assert top_k_means(cas, (7,), 1.0)[0, 0].item() == pytest.approx(26 / 7)


def test_consistency_is_the_mean_square_of_differing_logits() -> None:
    network = network_of(top_k=1.0, c2c=2.0)
    flat_transition(network, 0.5)
    features = torch.rand(2, 3, D)
    losses = losses_of(network, features)
    pre = network.classifier(features.reshape(6, D), (3, 3), torch.float32).view(2, 3, C).mean(1)
    post = network.classifier(0.5 * features.reshape(6, D), (3, 3), torch.float32).view(2, 3, C).mean(1)
    assert losses["c2c"].item() == pytest.approx(2 * ((pre - post) ** 2).mean().item(), rel=1e-4)


# Aggregation


def test_three_folds_take_every_third_snippet() -> None:
    features = torch.arange(7.0).unsqueeze(1)
    weights = torch.full((7, 2), 0.5)
    items, counts = mixtures(features, (7,), weights, torch.ones(1, 2), None, mean=False)
    assert items[..., 0].tolist() == [[4.5, 4.5], [2.5, 2.5], [3.5, 3.5]]  # half of 0+3+6, 1+4, 2+5
    assert counts == [1]
    items, _ = mixtures(features, (7,), weights, torch.ones(1, 2), None, mean=True)
    assert items[..., 0].tolist() == [[1.5, 1.5], [1.25, 1.25], [1.75, 1.75]]


def test_action_and_background_of_the_paper_make_up_the_whole() -> None:
    features, weights = torch.rand(11, D), torch.rand(11, C)
    items, counts = mixtures(features, (5, 6), weights, LABELS, "paper", mean=False)
    assert counts == [2, 2]
    first, second = items[:, :6].view(3, 2, C, D), items[:, 6:].view(3, 2, C, D)
    for found, video in ((first, features[:5]), (second, features[5:])):
        whole = torch.stack([video[i::3].sum(0) for i in range(3)])
        torch.testing.assert_close(found.sum(1), whole.unsqueeze(1).expand(3, C, D))


def test_official_background_is_weighted_twice_for_present_classes_alone() -> None:
    features, weights = torch.rand(5, D), torch.rand(5, C)
    items, counts = mixtures(features, (5,), weights, torch.tensor([[0.0, 1, 1]]), "official", mean=False)
    assert counts == [3]
    for place, present in ((1, 1), (2, 2)):
        for c in range(C):
            both = weights[:, c] * (1 - weights[:, present])
            folds = torch.stack([(both[i::3, None] * features[i::3]).sum(0) for i in range(3)])
            torch.testing.assert_close(items[:, C * place + c], folds)


def test_absent_classes_are_judged_by_the_mean_over_present_ones() -> None:
    scores = torch.tensor([[1.0, 2, 3], [10, 20, 30]])
    assert twins(scores, torch.tensor([0.0, 1, 1])).tolist() == [5.5, 2.0, 30.0]
    assert twins(scores[:1], torch.tensor([0.0, 1, 0])).tolist() == [1.0, 2.0, 3.0]
    assert twins(scores[:0], torch.zeros(3)).tolist() == [0.0, 0.0, 0.0]


# The classifier


def plain_scores(network: Network, features: Tensor) -> Tensor:
    """Return a video's CAS, (T, C), by PyTorch's own convolutions."""
    hidden = features.t().unsqueeze(0)
    for layer in (network.classifier.first, network.classifier.second):
        hidden = functional.leaky_relu(functional.conv1d(hidden, layer.weight.permute(1, 2, 0), layer.bias, padding=1))
    return hidden[0].t() @ network.classifier.output.t()


@pytest.mark.parametrize("lengths", [(1,), (2,), (1, 1, 1), (5, 1, 8), (4, 4), (7, 2)])
def test_snippets_are_scored_as_by_two_convolutions_per_video(lengths: tuple[int, ...]) -> None:
    network = network_of(hidden=10).double()
    features = torch.randn(sum(lengths), D).double()
    found = network.classifier(features, lengths, torch.float64)
    expected = torch.cat([plain_scores(network, video) for video in features.split(lengths)])
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_gradients_are_those_of_two_convolutions_per_video() -> None:
    network, lengths = network_of(hidden=10).double(), (5, 1, 8, 2)
    features, pull = torch.randn(16, D).double(), torch.randn(16, C).double()
    parameters = list(network.classifier.parameters())
    found = torch.autograd.grad((network.classifier(features, lengths, torch.float64) * pull).sum(), parameters)
    plain = torch.cat([plain_scores(network, video) for video in features.split(lengths)])
    for ours, theirs in zip(found, torch.autograd.grad((plain * pull).sum(), parameters), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_both_streams_are_one_mapping() -> None:
    """A video of three snippets with weights of 1 is its own aggregate: both streams must say the same of it."""
    network = network_of(top_k=1.0)
    flat_transition(network, 1.0)
    losses = losses_of(network, torch.rand(2, 3, D))
    assert losses["class_pre"].item() == pytest.approx(losses["class_post"].item(), rel=1e-5)
    assert losses["c2c"].item() == pytest.approx(0, abs=1e-9)


def test_sub_classifiers_judge_their_own_class_alone() -> None:
    network = network_of()
    items = torch.rand(3, 2 * C, D)
    scores = network.classifier.of_items(items, C, torch.float32)
    for place in range(2 * C):
        every = plain_scores(network, items[:, place]).mean(0)
        assert scores[place // C, place % C].item() == pytest.approx(every[place % C].item(), rel=1e-4, abs=1e-6)


def test_dropout_zeroes_its_share_and_keeps_the_mean() -> None:
    network = network_of(hidden=512, dropout=0.25).train()
    torch.nn.init.ones_(network.classifier.output)
    features = torch.rand(400, D)
    torch.manual_seed(3)
    dropped = network.classifier(features, (400,), torch.float32)
    kept = network.eval().classifier(features, (400,), torch.float32)
    assert not torch.equal(dropped, kept)
    assert dropped.mean().item() == pytest.approx(kept.mean().item(), rel=0.02)


@pytest.mark.parametrize(("streams", "least"), [("pre", 0.999), ("both", 0.95)])
def test_half_precision_is_close_and_its_gradient_points_the_same_way(streams: str, least: float) -> None:
    """Sums of snippets put some of the post-classification stream's units on the other side of the leaky ReLU."""
    features, found = torch.rand(2, 60, 64), {}
    for precision in ("fp32", "bf16"):
        network = network_of(dim=64, precision=precision, streams=streams, top_k=1.0)
        total = torch.stack(list(losses_of(network, features).values())).sum()
        gradient = torch.autograd.grad(total, list(network.parameters()))
        found[precision] = total.item(), torch.cat([one.flatten() for one in gradient])
    (exact, along), (rounded, other) = found["fp32"], found["bf16"]
    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=0.02)
    assert functional.cosine_similarity(along, other, dim=0).item() > least


def test_automatic_precision_is_one_of_both() -> None:
    features = torch.rand(2, 60, 64)
    found = {
        precision: losses_of(network_of(dim=64, precision=precision), features)["class_post"].item()
        for precision in ("fp32", "bf16", "auto")
    }
    assert found["auto"] in (found["fp32"], found["bf16"])


def test_inference_does_not_know_of_half_precision() -> None:
    features = torch.rand(50, D)
    one, two = (network_of(precision=p).eval().activate(features) for p in ("fp32", "bf16"))
    assert np.array_equal(one.cas, two.cas)


# Memory that is used again


def test_graphs_that_live_at_once_do_not_disturb_each_other() -> None:
    network, parts = network_of(), [torch.rand(2, 9, D), torch.rand(2, 5, D)]

    def total(features: Tensor) -> Tensor:
        return torch.stack(list(losses_of(network, features).values())).sum()

    parameters = list(network.parameters())
    alone = [torch.autograd.grad(total(features), parameters) for features in parts]
    graphs = [total(features) for features in parts]
    together = [torch.autograd.grad(graph, parameters, retain_graph=True) for graph in graphs]
    again = [torch.autograd.grad(graph, parameters) for graph in graphs]
    for one, two, three in zip(alone, together, again, strict=True):
        assert all(torch.equal(a, b) and torch.equal(a, c) for a, b, c in zip(one, two, three, strict=True))


def test_updates_use_the_same_memory() -> None:
    network, seen = network_of(), []
    for lengths in ((9, 4), (5, 8), (3, 3)):
        batch = Batch(torch.rand(sum(lengths), D), LABELS, lengths=lengths)
        for losses in network.objectives(batch):
            torch.stack(list(losses.values())).sum().backward()
        del losses
        seen.append({buffer.data_ptr() for buffer in network.classifier.pool.free})
    assert seen[0]
    assert seen[0] == seen[1] == seen[2]


def test_training_is_repeatable() -> None:
    def trained() -> dict[str, Tensor]:
        network = network_of(dropout=0.5, precision="bf16").train()
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
        for _ in range(4):
            optimizer.zero_grad()
            torch.stack(list(losses_of(network, torch.rand(2, 20, D)).values())).sum().backward()
            optimizer.step()
        return network.state_dict()

    one, two = trained(), trained()
    assert all(torch.equal(one[key], two[key]) for key in one)


# Switches


@pytest.mark.parametrize("rule", ["official", "paper"])
def test_videos_below_each_other_are_the_same_batch(rule: str) -> None:
    features = torch.rand(2, 8, D)
    one = losses_of(network_of(bg_agg=rule), features)
    two = losses_of(network_of(bg_agg=rule), features.reshape(16, D), lengths=(8, 8))
    assert {key: value.item() for key, value in one.items()} == {key: value.item() for key, value in two.items()}


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({}, {"class_pre", "class_post", "c2c", "a2c"}),
        ({"c2c": 0.0}, {"class_pre", "class_post", "a2c"}),
        ({"a2c": 0.0}, {"class_pre", "class_post", "c2c"}),
        ({"streams": "pre"}, {"class_pre"}),
        ({"streams": "post"}, {"class_post"}),
    ],
)
def test_ablations_leave_out_losses(config: dict[str, Any], names: set[str]) -> None:
    assert set(losses_of(network_of(**config), torch.rand(2, 8, D))) == names


def test_classifiers_that_are_not_shared_hear_of_one_stream_each() -> None:
    network = network_of(share_classifier=False, a2c=0.0, c2c=0.0)
    flat_transition(network, 0.5)
    losses = losses_of(network, torch.rand(2, 8, D))
    assert network.own_post is not None
    pre, post = list(network.classifier.parameters()), list(network.own_post.parameters())
    found = torch.autograd.grad(losses["class_pre"], post, retain_graph=True, allow_unused=True)
    assert found == (None,) * len(post)
    own = torch.autograd.grad(losses["class_post"], post, retain_graph=True)
    assert all(one.abs().sum() > 0 for one in own)
    through_weights = torch.autograd.grad(losses["class_post"], pre)
    assert all(one.abs().sum() == 0 for one in through_weights)  # the flat transition lets nothing through


def test_class_agnostic_weights_aggregate_once_for_all_classes() -> None:
    network = network_of(weights="class_agnostic")
    assert network.transition is not None
    assert network.transition.weight.shape == (1, C)
    features = torch.rand(2, 9, D)
    flat_transition(network, 0.5)
    specific = network_of()
    flat_transition(specific, 0.5)
    one, two = losses_of(network, features), losses_of(specific, features)
    assert {key: value.item() for key, value in one.items()} == pytest.approx(
        {key: value.item() for key, value in two.items()}, rel=1e-5
    )


def test_width_follows_the_features() -> None:
    assert network_of(dim=10).classifier.output.shape == (C, 10)
    assert network_of(dim=10, hidden=7).classifier.output.shape == (C, 7)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"bg_agg": "paper"},
        {"agg": "mean", "share_classifier": False},
        {"weights": "class_agnostic", "bg_agg": "official"},
        {"weights": "class_agnostic", "bg_agg": "paper"},
        {"streams": "pre"},
        {"streams": "post"},
    ],
)
def test_gradients_of_all_losses(config: dict[str, Any]) -> None:
    network = network_of(dim=3, hidden=4, top_k=0.5, **config).double()
    names = [name for name, _ in network.named_parameters()]
    torch.manual_seed(5)
    values = tuple(torch.randn_like(p).requires_grad_() for p in network.parameters())
    batch = Batch(torch.rand(11, 3).double(), LABELS.double(), lengths=(4, 7))

    def total(*parameters: Tensor) -> Tensor:
        return functional_call(network, dict(zip(names, parameters, strict=True)), ())

    network.forward = lambda: sum(next(network.objectives(batch)).values())  # type: ignore[method-assign]
    assert torch.autograd.gradcheck(total, values)


# Inference


def test_one_classifier_has_one_cas() -> None:
    network, features = network_of().eval(), torch.rand(40, D)
    found = network.activate(features)
    expected = plain_scores(network, features).detach().numpy()
    np.testing.assert_allclose(found.cas, expected, atol=1e-5)
    np.testing.assert_allclose(found.signal, expected, atol=1e-5)
    best = np.sort(expected, axis=0)[-5:].mean(0)  # an eighth of forty
    np.testing.assert_allclose(found.scores, softmax(best), rtol=1e-4)


@pytest.mark.parametrize(("infer", "share"), [("pre", 1), ("post", 0), ("weighted", 0.3)])
def test_inference_weighs_the_streams(infer: str, share: float) -> None:
    network, features = network_of(share_classifier=False, infer=infer, pre_share=0.3).eval(), torch.rand(40, D)
    assert network.own_post is not None
    pre = plain_scores(network, features).detach()
    post = network.own_post(features, (40,), torch.float32).detach()
    found = network.activate(features)
    np.testing.assert_allclose(found.cas, share * pre + (1 - share) * post, atol=1e-5)
    assert found.scores.sum() == pytest.approx(1, rel=1e-5)


def test_merged_streams_find_what_either_finds() -> None:
    network, features = network_of(share_classifier=False, infer="merge").eval(), torch.randn(60, D)
    assert network.own_post is not None
    one = positive_minmax(plain_scores(network, features).detach())
    two = positive_minmax(network.own_post(features, (60,), torch.float32).detach())
    found = network.activate(features).signal
    for threshold in (0.1, 0.5, 0.9):
        assert np.array_equal(found > threshold, ((one > threshold) | (two > threshold)).numpy())


def test_a_single_stream_speaks_for_itself() -> None:
    features = torch.rand(30, D)
    one = network_of(streams="post", infer="pre").eval().activate(features)
    two = network_of(infer="post").eval().activate(features)  # the same seed, the same weights
    assert np.array_equal(one.scores, two.scores)
    pre = network_of(streams="pre").eval().activate(features)
    assert (pre.attention == 1).all()


def test_negative_activations_stay_negative() -> None:
    found = positive_minmax(torch.tensor([[-2.0, 1, -3], [2.0, 3, -1], [4.0, 2, -2]]))
    assert found.tolist() == [[-0.5, 0, -3], [0.5, 1, -1], [1, 0.5, -2]]


def test_shipped_localization_is_that_of_the_public_code() -> None:
    from tal import config

    found = config.load("ecm").localize
    np.testing.assert_allclose(found.thresholds, np.arange(0.01, 0.2, 0.025), atol=1e-9)
    assert isinstance(found, LocalizeSettings)
    assert (found.normalise, found.score, found.context, found.zeroed) == ("positive", "contrast", 0.4, True)


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
