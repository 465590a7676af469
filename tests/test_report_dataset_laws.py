"""What holds for any detections: the areas under the overview's curves, and its histograms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnosed import video
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from tal.annotations import Truth, VideoTruth, read_truth
from tal.evaluation import evaluate
from tal.evaluation.curves import rematch
from tal.report.dataset import overview
from tal.report.dataset_numbers import N_BINS, bin_edges, binned
from tal.results import Results, read_results
from tal.settings import EvaluateSettings
from tal.settings.protocols import PROTOCOLS
from tal.types import Detection, Segment

LABELS = st.sampled_from(["dive", "jump"])
SPANS = st.tuples(LABELS, st.integers(0, 40), st.integers(1, 20))
SCORED = st.tuples(LABELS, st.integers(0, 40), st.integers(1, 20), st.integers(0, 5))


def _truth(spans: list[tuple[str, int, int]], vague: int | None) -> VideoTruth:
    plain = video(*((label, a, a + n) for label, a, n in spans))
    return VideoTruth(60.0, "", plain.instances, () if vague is None else (Segment(vague, vague + 4.0),))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(
    real=st.lists(SPANS, min_size=1, max_size=8),
    scored=st.lists(SCORED, max_size=12),
    vague=st.none() | st.integers(0, 40),
    n_bins=st.integers(1, 150),
)
def test_the_area_under_a_curve_is_average_precision(
    protocol: str, real: list[Any], scored: list[Any], vague: int | None, n_bins: int
) -> None:
    truth = Truth({"v": _truth(real, vague), "w": _truth(real[:1], None)})
    listed = tuple(Detection(label, Segment(a, a + n), score / 5) for label, a, n, score in scored)
    results = Results({"v": listed, "w": listed[:3]})
    evaluation = evaluate(results, truth, EvaluateSettings(protocol=protocol, tiou=(0.2, 0.6)))
    matched = rematch(results, truth, evaluation)
    assert_allclose(matched.curves(n_bins).mean(axis=2), evaluation.ap.T, atol=1e-12)
    recall = matched.n_found.sum(axis=1) / matched.n_in_video.sum()
    weights = matched.n_instances / matched.n_instances.sum()
    assert_allclose(recall, weights @ evaluation.recall, atol=1e-12)


def area(curve: list[int], n_bins: int) -> float:
    return sum(curve) / 1000 / n_bins


def test_areas_on_published_detections(shared: Path) -> None:
    truth = read_truth(shared / "data/annotations/thumos14.json")
    results = read_results(shared / "data/detections/turn_flow_scnn_iou0.5.txt")
    evaluation = evaluate(results, truth, EvaluateSettings(subset="test"))
    data = overview(results, truth, evaluation=evaluation)
    curves = data["curves"]
    for n in range(len(evaluation.tiou)):
        assert area(curves["mean"][n], curves["n_bins"]) == pytest.approx(evaluation.map[n], abs=1e-3)
    for k, label in enumerate(evaluation.classes):
        assert area(curves["classes"]["4"][label], curves["n_bins"]) == pytest.approx(evaluation.ap[k, 4], abs=1e-3)
    assert len(json.dumps(data)) < 100_000


@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=50))
def test_bins_hold_every_value_once(values: list[float]) -> None:
    edges, _ = bin_edges(np.array(values))
    assert (np.diff(edges) > 0).all()
    assert sum(binned(np.array(values), edges)) == len(values)


def test_a_histogram_by_hand() -> None:
    assert binned(np.array([-1.0, 0.0, 0.9, 1.0, 2.0, 9.0]), np.array([0.0, 1.0, 2.0])) == [3, 3]
    edges, log = bin_edges(np.array([1.0, 1000.0]))
    assert log
    assert edges[-1] / edges[0] == pytest.approx(1000)
    edges, log = bin_edges(np.array([0.4] * 3))
    assert not log
    assert edges[0] < 0.4 < edges[-1]
    assert len(edges) == N_BINS + 1
