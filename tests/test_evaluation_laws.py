"""Evaluation: laws that hold for any detections, and agreement with the definitions followed step by step."""

from __future__ import annotations

import random
from bisect import insort

import numpy as np
import pytest
from annotated import PROTOCOLS, Span, chosen, detections, truth
from hypothesis import given, settings
from hypothesis import strategies as st

from tal.annotations import Truth
from tal.evaluation import evaluate
from tal.evaluation.protocols import tiou_matrix
from tal.results import Results
from tal.types import Detection, Segment

QUICK = settings(max_examples=60, deadline=None)
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


def ap_by_definition(known: Truth, found: Results, protocol: str, tiou: float) -> float:
    """AP of the one class, followed step by step from the definition of the protocol."""
    ranked: list[tuple[float, str, Segment]] = []
    for name, listed in found.by_video.items():
        for d in listed:
            insort(ranked, (-d.score, name, d.segment), key=lambda item: item[0])
    real = [(name, i.segment) for name, video in known.videos.items() for i in video.instances]
    right = (_by_detection if protocol == "activitynet" else _by_instance)(ranked, real, tiou)
    curve: list[tuple[float, float]] = []  # recall, precision
    hits = counted = 0
    for rank, (_, name, segment) in enumerate(ranked):
        vague = known.videos[name].ambiguous if name in known.videos else ()
        if protocol == "thumos14" and rank not in right and any(segment.tiou(other) > 0 for other in vague):
            continue
        hits, counted = hits + (rank in right), counted + 1
        curve.append((hits / len(real), hits / counted))
    if protocol == "thumos14":
        steps = [p for (r, p), (before, _) in zip(curve, [(0.0, 0.0), *curve], strict=False) if r > before]
        return sum(steps) / len(real)
    reached = [max((p for r, p in curve if r >= (k + 1) / len(real) - 1e-9), default=0) for k in range(len(real))]
    return sum(reached) / len(real)


def _by_detection(ranked: list[tuple[float, str, Segment]], real: list[tuple[str, Segment]], tiou: float) -> set[int]:
    taken, right = set(), set()
    for rank, (_, name, segment) in enumerate(ranked):
        fits = [(segment.tiou(s), k) for k, (n, s) in enumerate(real) if n == name and k not in taken]
        if fits and max(fits)[0] >= tiou:
            taken.add(max(fits)[1])
            right.add(rank)
    return right


def _by_instance(ranked: list[tuple[float, str, Segment]], real: list[tuple[str, Segment]], tiou: float) -> set[int]:
    right: set[int] = set()
    for name, segment in real:
        fits = [(segment.tiou(s), -k) for k, (_, n, s) in enumerate(ranked) if n == name and k not in right]
        if fits and max(fits)[0] > tiou:
            right.add(-max(fits)[1])
    return right


@pytest.mark.parametrize("protocol", PROTOCOLS)
@QUICK
@given(case=cases())
def test_ap_is_what_the_definition_says(protocol: str, case: tuple[Truth, Results]) -> None:
    known, found = case
    result = evaluate(found, known, chosen(protocol, THRESHOLDS))
    assert result.ap[0] == pytest.approx([ap_by_definition(known, found, protocol, t) for t in THRESHOLDS])
    assert np.all((result.ap >= 0) & (result.ap <= 1))


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
    known, _ = case
    perfect = {n: tuple(Detection(i.label, i.segment, 0.5) for i in v.instances) for n, v in known.videos.items()}
    assert evaluate(Results(perfect), known, chosen(protocol, (0.1, 0.5, 0.99))).ap.tolist() == [[1, 1, 1]]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@QUICK
@given(case=cases(), score=st.sampled_from([-1.0, 11.5, 99.0]))
def test_a_false_positive_never_helps(protocol: str, case: tuple[Truth, Results], score: float) -> None:
    known, found = case
    more = Results({**found.by_video, "elsewhere": detections([(0, 1, score)])})
    rules = chosen(protocol, THRESHOLDS)
    before, after = evaluate(found, known, rules).ap, evaluate(more, known, rules).ap
    assert np.all(after <= before)
    assert score > 0 or np.array_equal(after, before)  # ranked last, it comes after all recall


@given(a=st.lists(SPANS, max_size=4), b=st.lists(SPANS, max_size=4))
@QUICK
def test_the_matrix_of_tiou_agrees_with_segments(a: list[Span], b: list[Span]) -> None:
    found = tiou_matrix(np.reshape(a, (-1, 2)), np.reshape(b, (-1, 2)))
    assert found.shape == (len(a), len(b))
    assert found.tolist() == [[Segment(*x).tiou(Segment(*y)) for y in b] for x in a]


def test_tiou_of_segments_without_length_is_zero() -> None:
    assert tiou_matrix(np.array([[1.0, 1.0]]), np.array([[1.0, 1.0], [0.0, 2.0]])).tolist() == [[0, 0]]
