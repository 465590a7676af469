"""What each choice of post-processing does, in closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tal.localization import fuse, localize, minmax, runs, suppress, widened
from tal.settings import LocalizeSettings
from tal.types import Activations, Detection, Segment, SnippetGrid

GRID = SnippetGrid(20)
CLASSES = ("jump", "wave")
SNIPPET_S = 0.64


def said(jump: np.ndarray | list[float], score: float = 0.9, other: float = 0.0) -> Activations:
    """Return activations whose first class has this signal."""
    signal = np.stack([np.asarray(jump, np.float32), np.full(len(jump), other, np.float32)], axis=1)
    return Activations(signal, np.array([score, 0.0], np.float32), signal, np.ones(len(jump), np.float32))


def box(first: int, last: int, height: float = 1.0, t: int = 20) -> np.ndarray:
    values = np.zeros(t, np.float32)
    values[first : last + 1] = height
    return values


def found(activations: dict[str, Activations] | Activations, **choices: object) -> tuple[Detection, ...]:
    by_name = {"rgb": activations} if isinstance(activations, Activations) else activations
    settings = LocalizeSettings.model_validate({"thresholds": (0.5,), "scale": 1, **choices})
    return localize(by_name, GRID, CLASSES, settings).detections


def spans(detections: tuple[Detection, ...]) -> list[tuple[int, int]]:
    return sorted((round(d.segment.start_s / SNIPPET_S), round(d.segment.end_s / SNIPPET_S)) for d in detections)


def test_dilation_widens_and_joins() -> None:
    signal = box(4, 5) + box(9, 10) + box(19, 19)
    assert spans(found(said(signal))) == [(4, 6), (9, 11), (19, 20)]
    assert spans(found(said(signal), dilation=1)) == [(3, 7), (8, 12), (18, 20)]
    assert spans(found(said(signal), dilation=2)) == [(2, 13), (17, 20)]
    (half,) = found(said(box(4, 5)), scale=4, dilation=0.5)
    assert half.segment.start_s == pytest.approx(3.5 * SNIPPET_S)


@given(arrays(bool, st.integers(1, 40)), st.integers(0, 6))
def test_widening_is_binary_dilation(mask: np.ndarray, reach: int) -> None:
    padded = np.pad(mask, reach)
    dilated = np.array([padded[i : i + 2 * reach + 1].any() for i in range(len(mask))])
    assert widened(runs(mask), reach, len(mask)).tolist() == runs(dilated).tolist()


def test_fused_proposals_come_from_the_average() -> None:
    both = {"rgb": said(box(4, 9)), "flow": said(box(8, 13))}
    assert spans(found(both, nms=1)) == [(4, 10), (8, 14)]
    assert spans(found(both, streams="fused", thresholds=(0.4,))) == [(4, 14)]
    assert spans(found(both, streams="fused", thresholds=(0.6,))) == [(8, 10)]
    assert spans(found(both, streams="fused", alpha=0.9, thresholds=(0.6,))) == [(4, 10)]


@given(
    arrays(np.float64, (2, 3, 4), elements=st.floats(-6, 6)),
    st.floats(0, 1),
)
def test_geometric_fusion_is_the_softmax_of_averaged_logits(logits: np.ndarray, alpha: float) -> None:
    def softmax(x: np.ndarray) -> np.ndarray:
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    rgb, flow = (softmax(one)[:, :3].astype(np.float32) for one in logits)  # the fourth class is the background
    ones = {name: Activations(p, p[0], p, np.ones(3, np.float32)) for name, p in (("rgb", rgb), ("flow", flow))}
    fused = fuse(ones, LocalizeSettings(fuse="geometric", alpha=alpha))
    expected = softmax(alpha * logits[0] + (1 - alpha) * logits[1])[:, :3]
    assert np.allclose(fused.signal, expected, atol=2e-3)
    assert np.allclose(fused.scores, expected[0], atol=2e-3)


def test_mean_fusion_weighs_by_alpha() -> None:
    fused = fuse({"rgb": said(box(0, 0, 1.0)), "flow": said(box(0, 0, 0.5), score=0.1)}, LocalizeSettings(alpha=0.3))
    assert fused.signal[0, 0] == pytest.approx(0.3 + 0.35)
    assert fused.scores[0] == pytest.approx(0.3 * 0.9 + 0.7 * 0.1)


def test_fused_and_product_scores() -> None:
    both = {"rgb": said(box(4, 7), score=0.8), "flow": said(box(6, 7, 0.4), score=0.4)}
    (one,) = found(both, score="fused", alpha=0.5, class_threshold=0.5)
    assert one.score == pytest.approx((2 * 0.5 + 2 * 0.7) / 4)
    (two,) = found(both, score="product", alpha=0.5, class_threshold=0.5)
    assert two.score == pytest.approx((2 * 0.5 + 2 * 0.7) / 4 * 0.6)


def test_zeroing_leaves_the_neighbourhood_out_of_the_outer_mean() -> None:
    signal = np.full(20, 0.3, np.float32)
    signal[8:12] = 0.9
    (plain,) = found(said(signal), score="contrast", context=0.5)
    (zeroed,) = found(said(signal), score="contrast", context=0.5, zeroed=True)
    assert plain.score == pytest.approx(0.6)
    assert zeroed.score == pytest.approx(0.9)


def test_one_segment_from_two_thresholds_keeps_its_better_score() -> None:
    signal = np.full(20, 0.3, np.float32)
    signal[8:12] = 0.9
    (one,) = found(said(signal), score="contrast", context=0.5, zeroed=True, thresholds=(0.4, 0.8))
    assert one.score == pytest.approx(0.9)
    low, high = found(said(signal), score="contrast", zeroed=True, thresholds=(0.1, 0.8), nms=1)
    assert (low.score, high.score) == pytest.approx((0.9, 0.42))


def test_minmax_with_a_floor_keeps_the_negative_negative() -> None:
    values = np.array([[-2.0, -3.0], [0.0, -1.0], [4.0, -2.0]], np.float32)
    assert minmax(values).tolist() == [[0, 0], [np.float32(1 / 3), 1], [1, 0.5]]
    assert minmax(values, floor=0.0).tolist() == [[-0.5, -3], [0, -1], [1, -2]]


SECONDS = [(0.0, 10.0, 0.9), (5.0, 15.0, 0.8), (30.0, 31.0, 0.7)]  # the first two share a third
DETECTIONS = [Detection("jump", Segment(start, end), score) for start, end, score in SECONDS]


def test_soft_suppression_lowers_by_a_gaussian_of_the_overlap() -> None:
    one, two, three = suppress(DETECTIONS, LocalizeSettings(suppression="soft", nms=0.5))
    assert [d.segment.start_s for d in (one, two, three)] == [0.0, 30.0, 5.0]
    assert three.score == pytest.approx(0.8 * math.exp(-((1 / 3) ** 2) / 0.5))
    assert (one.score, two.score) == (0.9, 0.7)


def test_soft_suppression_with_sigma_zero_drops_all_that_overlaps() -> None:
    kept = suppress(DETECTIONS, LocalizeSettings(suppression="soft", nms=0.0))
    assert [d.segment.start_s for d in kept] == [0.0, 30.0]


def test_an_extra_second_raises_overlaps_as_in_public_codes() -> None:
    shared, union = 5 + 1, 11 + 11 - 6  # as if segments were closed intervals of whole seconds
    just_above = LocalizeSettings(nms=shared / union + 1e-6, plus_one=True)
    just_below = LocalizeSettings(nms=shared / union - 1e-6, plus_one=True)
    assert len(suppress(DETECTIONS, just_above)) == 3
    assert len(suppress(DETECTIONS, just_below)) == 2
    assert len(suppress(DETECTIONS, LocalizeSettings(nms=shared / union - 1e-6))) == 3


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20), st.floats(-1, 1)), max_size=12))
def test_suppression_never_raises_a_score_and_keeps_the_best(rows: list[tuple[int, int, float]]) -> None:
    given_ = [Detection("jump", Segment(float(s), float(s + n)), score) for s, n, score in rows]
    for kind in ("hard", "soft"):
        kept = suppress(given_, LocalizeSettings.model_validate({"suppression": kind, "nms": 0.4}))
        best = {d.segment: max(o.score for o in given_ if o.segment == d.segment) for d in given_}
        assert all(d.score <= best[d.segment] + 1e-12 for d in kept)
        assert [d.score for d in kept] == sorted((d.score for d in kept), reverse=True)
        if given_:
            assert kept[0].score == pytest.approx(max(d.score for d in given_), abs=1e-12)
