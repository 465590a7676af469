"""The localizer finds what is planted in the activations."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tal.localization import localize, minmax, runs, suppress, upsample
from tal.settings import LocalizeSettings
from tal.types import Activations, Detection, Segment, SnippetGrid

CLASSES = ("jump", "wave")


def planted(first: int, last: int, t: int = 20, c: int = 0, score: float = 0.9, cas: float = 3.0) -> Activations:
    values = np.zeros((t, 2), np.float32)
    values[first : last + 1, c] = 1
    scores = np.zeros(2, np.float32)
    scores[c] = score
    return Activations(cas * values, scores, values, np.ones(t, np.float32))


def test_a_planted_action_gets_its_exact_segment_at_half_height() -> None:
    grid = SnippetGrid(20, Fraction(25))
    found = localize({"rgb": planted(4, 7)}, grid, CLASSES, LocalizeSettings(thresholds=(0.5,)))
    (detection,) = found.detections
    assert detection.label == "jump"
    assert detection.segment.start_s == pytest.approx(4 * 16 / 25, abs=16 / 25 / 24)
    assert detection.segment.end_s == pytest.approx(8 * 16 / 25, abs=16 / 25 / 24)


def test_offset_and_rate_of_the_grid_reach_the_seconds() -> None:
    grid = SnippetGrid(20, Fraction(10), offset=5)
    (detection,) = localize({"rgb": planted(2, 2)}, grid, CLASSES, LocalizeSettings(thresholds=(0.5,))).detections
    assert detection.segment.start_s == pytest.approx((5 + 2 * 16) / 10, abs=1.6 / 24)


def test_equation_7_scores_with_the_proposing_streams_attention_and_both_cas() -> None:
    rgb, flow = planted(4, 7, cas=2.0), planted(4, 7, cas=6.0)
    flow = Activations(flow.cas, flow.scores, flow.signal, np.full(20, 0.5, np.float32))
    settings = LocalizeSettings(alpha=0.25, scale=1, thresholds=(0.5,), nms=1.0)
    scores = sorted(
        d.score for d in localize({"rgb": rgb, "flow": flow}, SnippetGrid(20), CLASSES, settings).detections
    )
    fused = 0.25 * 2.0 + 0.75 * 6.0
    assert scores == pytest.approx([0.5 * fused, 1.0 * fused])


def test_a_stream_that_rejects_a_class_proposes_nothing_for_it() -> None:
    sure, unsure = planted(2, 3), planted(10, 12, score=0.05)
    both = {"rgb": sure, "flow": unsure}
    per_stream = localize(both, SnippetGrid(20), CLASSES, LocalizeSettings(thresholds=(0.5,)))
    assert len(per_stream.detections) == 1
    mean = localize(both, SnippetGrid(20), CLASSES, LocalizeSettings(thresholds=(0.5,), class_source="mean"))
    assert len(mean.detections) == 2


def test_an_empty_answer_says_why() -> None:
    quiet = localize({"rgb": planted(1, 2, score=0.01)}, SnippetGrid(20), CLASSES, LocalizeSettings())
    assert quiet.detections == () and quiet.reason == "no class reached the score 0.1"
    flat = localize({"rgb": planted(1, 2)}, SnippetGrid(20), CLASSES, LocalizeSettings(thresholds=(2.0,)))
    assert flat.reason == "no segment passed the thresholds"


def test_the_first_class_counts_like_any_other() -> None:
    for c in (0, 1):
        found = localize({"rgb": planted(3, 5, c=c)}, SnippetGrid(20), CLASSES, LocalizeSettings())
        assert [d.label for d in found.detections] == [CLASSES[c]]


def test_contrast_subtracts_the_neighbourhood_even_at_the_start() -> None:
    values = np.full((20, 2), 0.2, np.float32)
    values[0:4, 0] = 1.0
    one = Activations(values, np.array([1.0, 0.0], np.float32), values, np.ones(20, np.float32))
    settings = LocalizeSettings(score="contrast", scale=1, context=0.5, thresholds=(0.5,), gamma=0.25)
    (detection,) = localize({"rgb": one}, SnippetGrid(20), CLASSES, settings).detections
    assert detection.score == pytest.approx(1.0 - 0.2 + 0.25)


def test_relative_thresholds_follow_the_signal() -> None:
    values = np.zeros((10, 2), np.float32)
    values[2:4, 0] = 0.02  # far below a fixed threshold of 0.05
    one = Activations(values, np.array([1.0, 0.0], np.float32), values, np.ones(10, np.float32))
    assert not localize({"rgb": one}, SnippetGrid(10), CLASSES, LocalizeSettings()).detections
    for rule in ("max", "mean"):
        found = localize({"rgb": one}, SnippetGrid(10), CLASSES, LocalizeSettings(rule=rule, thresholds=(0.5,)))
        assert len(found.detections) == 1


def test_suppression_uses_true_seconds() -> None:
    best = Detection("jump", Segment(0.0, 1.0), 0.9)
    half = Detection("jump", Segment(0.0, 2.0), 0.8)  # tIoU 0.5 with the best
    apart = Detection("jump", Segment(1.5, 1.9), 0.7)  # disjoint from the best, 0.2 with the second
    assert suppress([apart, half, best], LocalizeSettings(nms=0.49)) == [best, apart]
    assert suppress([apart, half, best], LocalizeSettings(nms=0.5)) == [best, half, apart]


@given(arrays(bool, st.integers(1, 40)))
def test_runs_cover_the_mask_and_nothing_else(mask: np.ndarray) -> None:
    painted = np.zeros_like(mask)
    for first, stop in runs(mask):
        assert not painted[max(0, first - 1) : stop].any()
        painted[first:stop] = True
    assert (painted == mask).all()


@given(arrays(np.float32, (7, 2), elements=st.floats(-5, 5, width=32)), st.integers(1, 30))
def test_upsampling_keeps_the_range_and_the_centres(values: np.ndarray, scale: int) -> None:
    fine = upsample(values, scale)
    assert fine.shape == (7 * scale, 2)
    assert fine.min() >= values.min() - 1e-5 and fine.max() <= values.max() + 1e-5
    if scale % 2:
        assert np.allclose(fine[scale // 2 :: scale], values, atol=1e-5)


def test_minmax_of_a_constant_class_is_zero_not_nan() -> None:
    assert (minmax(np.full((5, 2), 3.0, np.float32)) == 0).all()


def test_segments_stay_inside_the_video() -> None:
    found = localize({"rgb": planted(17, 19)}, SnippetGrid(20), CLASSES, LocalizeSettings(), duration_s=12.0)
    assert found.detections[0].segment.end_s == 12.0
