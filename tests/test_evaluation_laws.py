"""Evaluation: laws that hold for any detections, and agreement with the definitions followed step by step."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest
from annotated import Span, chosen, detections, truth
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tal.annotations import Instance, Truth, VideoTruth
from tal.evaluation import evaluate, overlaps
from tal.evaluation.overlaps import Spans, overlapping
from tal.evaluation.protocols import PROTOCOLS, tiou_matrix
from tal.files import shipped
from tal.results import Results
from tal.types import Detection, Segment

sys.path.append(str(shipped("benchmarks")))

from _plain_evaluation import plain_ap

QUICK = settings(max_examples=40, deadline=None)
SPANS = st.tuples(st.integers(0, 12), st.integers(1, 8)).map(lambda pair: (float(pair[0]), float(sum(pair))))
VIDEOS = st.dictionaries(st.sampled_from("abc"), st.lists(SPANS, max_size=4), min_size=1)
SCORES = st.permutations(range(24))
THRESHOLDS = (0.1, 0.3, 0.5, 0.75)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Truth, Results]:
    """Small videos with many overlaps; scores are all different."""
    real = draw(VIDEOS.filter(lambda videos: any(videos.values())))
    vague = draw(st.lists(SPANS, max_size=2))
    scores = iter(draw(SCORES))
    found = {name: detections([(*span, float(next(scores))) for span in spans]) for name, spans in draw(VIDEOS).items()}
    return Truth({name: truth(spans, vague) for name, spans in real.items()}), Results(found)


HALVES = st.tuples(st.integers(0, 30), st.integers(0, 20)).map(lambda pair: (0.32 * pair[0], 0.32 * sum(pair)))
LABELS, NAMES = st.sampled_from("xyz"), st.sampled_from("abcd")


@st.composite
def crowds(draw: st.DrawFn) -> tuple[Truth, Results]:
    """Two classes, equal scores, segments without length, unknown videos and labels; times in half snippets."""
    videos = {}
    for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)):
        rows = draw(st.lists(st.tuples(st.sampled_from("xy"), HALVES), max_size=8))
        vague = tuple(Segment(*span) for span in draw(st.lists(HALVES, max_size=1)))
        videos[name] = VideoTruth(None, "test", tuple(Instance(label, Segment(*span)) for label, span in rows), vague)
    assume(any(video.instances for video in videos.values()))
    listed = st.lists(st.tuples(LABELS, HALVES, st.integers(0, 4)), max_size=12)
    found = {name: draw(listed) for name in draw(st.lists(NAMES, unique=True))}
    by_video = {
        n: tuple(Detection(c, Segment(*span), score / 4) for c, span, score in rows) for n, rows in found.items()
    }
    return Truth(videos), Results(by_video)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(max_examples=40, deadline=None)
@given(case=crowds())
def test_ap_is_what_plain_loops_say(protocol: str, case: tuple[Truth, Results]) -> None:
    known, found = case
    result = evaluate(found, known, chosen(protocol, THRESHOLDS))
    expected = [[plain_ap(known, found, protocol, t, label) for t in THRESHOLDS] for label in result.classes]
    assert result.ap == pytest.approx(np.array(expected), abs=1e-12)
    assert np.all(result.recall >= result.ap - 1e-12)  # precision is at most 1
    assert np.all(result.recall <= 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@QUICK
@given(case=cases(), rng=st.randoms(use_true_random=False))
def test_the_order_of_detections_does_not_matter(
    protocol: str, case: tuple[Truth, Results], rng: random.Random
) -> None:
    known, found = case
    shuffled = {name: tuple(sorted(listed, key=lambda _: rng.random())) for name, listed in found.by_video.items()}
    turned = Results({name: shuffled[name] for name in reversed(list(shuffled))})
    rules = chosen(protocol, THRESHOLDS)
    assert evaluate(found, known, rules).ap.tolist() == evaluate(turned, known, rules).ap.tolist()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@QUICK
@given(case=cases())
def test_perfect_detections_reach_one(protocol: str, case: tuple[Truth, Results]) -> None:
    """In whole snippets, since two protocols round the truth, and clear of ambiguous time, where they remove."""
    known, _ = case
    spans = {n: [i.segment for i in v.instances] for n, v in known.videos.items()}
    whole = {n: [(0.64 * s.start_s, 0.64 * s.end_s) for s in found] for n, found in spans.items()}
    exact = Truth({n: truth(found, [(100, 101)]) for n, found in whole.items()})
    perfect = Results({n: detections([(*span, 0.5) for span in found]) for n, found in whole.items()})
    assert evaluate(perfect, exact, chosen(protocol, (0.1, 0.5, 0.99))).ap.tolist() == [[1, 1, 1]]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@QUICK
@given(case=cases(), score=st.sampled_from([-1.0, 11.5, 99.0]))
def test_a_false_positive_never_helps(protocol: str, case: tuple[Truth, Results], score: float) -> None:
    known, found = case
    more = Results({**found.by_video, "elsewhere": detections([(0, 1, score)])})
    rules = chosen(protocol, THRESHOLDS)
    before, after = evaluate(found, known, rules).ap, evaluate(more, known, rules).ap
    assert np.all(after <= before + 1e-12)
    assert score > 0 or after == pytest.approx(before, abs=1e-12)  # ranked last, it comes after all recall


@given(a=st.lists(SPANS, max_size=4), b=st.lists(SPANS, max_size=4))
@QUICK
def test_the_matrix_of_tiou_agrees_with_segments(a: list[Span], b: list[Span]) -> None:
    found = tiou_matrix(np.reshape(a, (-1, 2)), np.reshape(b, (-1, 2)))
    assert found.shape == (len(a), len(b))
    assert found.tolist() == [[Segment(*x).tiou(Segment(*y)) for y in b] for x in a]


def test_tiou_of_segments_without_length_is_zero() -> None:
    assert tiou_matrix(np.array([[1.0, 1.0]]), np.array([[1.0, 1.0], [0.0, 2.0]])).tolist() == [[0, 0]]


GROUPED = st.lists(st.tuples(st.integers(0, 2), SPANS), max_size=12)


@given(a=GROUPED, b=GROUPED, least=st.sampled_from([0.0, 0.3, 1.0]), block=st.sampled_from([1, 3, 1 << 20]))
@QUICK
def test_pairs_are_those_of_the_matrix(
    a: list[tuple[int, Span]], b: list[tuple[int, Span]], least: float, block: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlaps, "BLOCK", block)
        pairs = overlapping(_spans(a), _spans(b), least)
    matrix = tiou_matrix(_spans(a).bounds, _spans(b).bounds)
    same = _spans(a).group[:, None] == _spans(b).group[None, :]
    i, j = np.nonzero((matrix > 0) & (matrix >= least) & same)
    assert np.all(np.diff(pairs.a) >= 0)
    order = np.lexsort((pairs.b, pairs.a))
    assert (pairs.a[order].tolist(), pairs.b[order].tolist()) == (i.tolist(), j.tolist())
    assert pairs.tiou[order].tolist() == matrix[i, j].tolist()


def _spans(rows: list[tuple[int, Span]]) -> Spans:
    return Spans(np.array([g for g, _ in rows], np.int64), np.reshape([span for _, span in rows], (-1, 2)))
