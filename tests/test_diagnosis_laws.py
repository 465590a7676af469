"""Diagnosis: laws that hold for any detections, the rules followed step by step, a published detection file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from diagnosed import Place, kinds_by_definition, taken_by_definition, video
from hypothesis import given, settings
from hypothesis import strategies as st

from tal.annotations import Truth, read_truth
from tal.diagnosis import DiagnoseSettings, Diagnosis, diagnose
from tal.diagnosis.false_positives import ALL_ERRORS, FIXES, KINDS, MISSED
from tal.evaluation import evaluate
from tal.results import Results, read_results
from tal.settings import EvaluateSettings
from tal.types import Detection, Segment

QUICK = settings(max_examples=20, deadline=None)
TIOU = (0.2, 0.5, 0.75)
EVERYTHING = DiagnoseSettings(n_splits=1000, min_precision=0.0)
BY_QUANTILES = DiagnoseSettings(buckets="quantiles")
SPANS = st.tuples(st.integers(0, 12), st.integers(1, 8)).map(lambda pair: (float(pair[0]), float(sum(pair))))
LABELLED = st.tuples(st.sampled_from("xy"), SPANS)
REAL = st.dictionaries(st.sampled_from("abc"), st.lists(LABELLED, max_size=4), min_size=1).filter(
    lambda videos: any(videos.values())
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Truth, Results]:
    """Small videos with many overlaps, equal ones among them; scores are all different."""
    real = draw(REAL)
    scores = iter(draw(st.permutations(range(40))))
    guesses = draw(st.dictionaries(st.sampled_from("abcd"), st.lists(LABELLED, max_size=8), min_size=1))
    listed = {
        name: tuple(Detection(label, Segment(*span), float(next(scores))) for label, span in spans)
        for name, spans in guesses.items()
    }
    known = {name: video(*((label, *span) for label, span in spans)) for name, spans in real.items()}
    return Truth(known), Results(listed)


def without(results: Results, gone: Callable[[Place], bool]) -> Results:
    kept = {n: tuple(d for k, d in enumerate(v) if not gone((n, k))) for n, v in results.by_video.items()}
    return Results(kept)


def told(
    case: tuple[Truth, Results], tiou: tuple[float, ...] = TIOU, options: DiagnoseSettings = EVERYTHING
) -> Diagnosis:
    return diagnose(case[1], case[0], EvaluateSettings(tiou=tiou), options)


def map_of(known: Truth, results: Results, tiou: float) -> float:
    return evaluate(results, known, EvaluateSettings(tiou=(tiou,))).average


@QUICK
@given(case=cases(), tiou=st.sampled_from(TIOU))
def test_kinds_are_what_the_definition_says(case: tuple[Truth, Results], tiou: float) -> None:
    known, results = case
    expected = kinds_by_definition(known, results, tiou)
    evaluated = [k for (name, i), k in expected.items() if results.by_video[name][i].label in known.classes]
    counts = told(case, (tiou,)).counts.sum(axis=(0, 1))
    assert dict(zip(KINDS, counts.tolist(), strict=True)) == {kind: evaluated.count(kind) for kind in KINDS}


@QUICK
@given(case=cases(), tiou=st.sampled_from(TIOU), kind=st.sampled_from(KINDS[1:]))
def test_a_gain_is_what_evaluating_without_those_detections_gives(
    case: tuple[Truth, Results], tiou: float, kind: str
) -> None:
    known, results = case
    kinds = kinds_by_definition(known, results, tiou)
    expected = map_of(known, without(results, lambda place: kinds[place] == kind), tiou)
    assert told(case, (tiou,)).gains.fixed[kind][0, 0] == pytest.approx(expected)


@QUICK
@given(case=cases(), tiou=st.sampled_from(TIOU))
def test_fixing_everything_gives_one(case: tuple[Truth, Results], tiou: float) -> None:
    """Right detections alone reach recall; what is missed is the rest, and without both nothing is wrong."""
    known, results = case
    taken = taken_by_definition(known, results, tiou)
    right = without(results, lambda place: place not in taken)
    diagnosis = told(case, (tiou,))
    assert diagnosis.gains.fixed[ALL_ERRORS][0, 0] == pytest.approx(map_of(known, right, tiou))
    assert diagnosis.missed[0] == pytest.approx(1 - len(taken) / sum(len(v.instances) for v in known.videos.values()))
    assert (told((known, right), (tiou,)).gains.fixed[MISSED] == 1).all()
    kept = {
        name: tuple(i for k, i in enumerate(v.instances) if (name, k) in taken.values())
        for name, v in known.videos.items()
    }
    found = Truth(
        {name: video(*((i.label, i.segment.start_s, i.segment.end_s) for i in v)) for name, v in kept.items()}
    )
    if any(kept.values()):
        assert map_of(found, right, tiou) == pytest.approx(1)


@QUICK
@given(case=cases())
def test_shares_add_up_and_map_is_that_of_the_evaluation(case: tuple[Truth, Results]) -> None:
    known, results = case
    diagnosis = told(case)
    n = diagnosis.n_looked_at
    assert diagnosis.shares[n > 0].sum(axis=1) == pytest.approx(np.ones((n > 0).sum()))
    assert np.isnan(diagnosis.shares[n == 0]).all()
    assert (diagnosis.counts.sum(axis=2) == n).all()
    plain = evaluate(results, known, EvaluateSettings(tiou=TIOU))
    assert diagnosis.gains.base[0] == pytest.approx(plain.map)
    assert diagnosis.gains.base[1] == pytest.approx(diagnosis.map_n)
    assert diagnosis.evaluation.map.tolist() == plain.map.tolist()


@QUICK
@given(case=cases())
def test_no_fix_does_harm_and_no_kind_is_worth_more_than_all(case: tuple[Truth, Results]) -> None:
    gains = told(case).gains
    for fix in FIXES:
        assert (gains.fixed[fix] >= gains.base - 1e-12).all() and (gains.fixed[fix] <= 1 + 1e-12).all()
        assert fix == MISSED or (gains.fixed[fix] <= gains.fixed[ALL_ERRORS] + 1e-12).all()


@QUICK
@given(case=cases(), buckets=st.sampled_from(["activitynet", "thumos14", "quantiles"]))
def test_buckets_part_the_instances(case: tuple[Truth, Results], buckets: str) -> None:
    diagnosis = told(case, options=DiagnoseSettings.model_validate({"buckets": buckets}))
    n = diagnosis.evaluation.n_instances
    for one in diagnosis.characteristics:
        filled = [b for b in one.buckets if b.n_instances]
        assert sum(b.n_instances for b in filled) == n
        missed = sum(b.missed * b.n_instances for b in filled)
        assert missed / n == pytest.approx(diagnosis.missed)
        assert all(((b.map_n >= 0) & (b.map_n <= 1)).all() for b in filled)
        assert buckets != "quantiles" or len(filled) == len(one.buckets)


def ap_n_by_definition(case: tuple[Truth, Results], label: str, tiou: float, inside: Callable[[Place], bool]) -> float:
    """AP_N of the instances of a class that are inside, from P_N after each detection that found one of them."""
    known, results = case
    taken = taken_by_definition(known, results, tiou)
    real = [(n, k) for n, v in known.videos.items() for k, i in enumerate(v.instances) if i.label == label]
    all_instances = sum(len(v.instances) for v in known.videos.values())
    n_mean, n_inside = all_instances / len(known.classes), sum(map(inside, real))
    ranked = sorted((-d.score, n, k) for n, v in results.by_video.items() for k, d in enumerate(v) if d.label == label)
    right = wrong = 0
    precisions = []  # at each instance that is found
    for place in ((name, k) for _, name, k in ranked):
        wrong += place not in taken
        if place in taken and inside(taken[place]):
            right += 1
            precisions.append(right / n_inside * n_mean / (right / n_inside * n_mean + wrong))
    return sum(max(precisions[k:]) for k in range(len(precisions))) / n_inside


@QUICK
@given(case=cases(), tiou=st.sampled_from(TIOU))
def test_normalised_ap_of_a_bucket_is_what_the_definition_says(case: tuple[Truth, Results], tiou: float) -> None:
    known, _ = case
    (length,) = (one for one in told(case, (tiou,), BY_QUANTILES).characteristics if one.name == "length")
    for b in length.buckets:
        first = b is length.buckets[0]

        def inside(place: Place, low: float = -1.0 if first else b.bucket.lower, high: float = b.bucket.upper) -> bool:
            return low < known.videos[place[0]].instances[place[1]].segment.duration_s <= high

        there = {i.label for n, v in known.videos.items() for k, i in enumerate(v.instances) if inside((n, k))}
        expected = [ap_n_by_definition(case, label, tiou, inside) for label in sorted(there)]
        assert b.n_classes == len(there)
        assert b.map_n[0] == pytest.approx(sum(expected) / len(expected))


# A published detection file


def published(shared: Path, options: DiagnoseSettings | None = None, **chosen: object) -> Diagnosis:
    results = read_results(shared / "data/detections/turn_flow_scnn_iou0.5.txt")
    known = read_truth(shared / "data/annotations/thumos14.json")
    return diagnose(results, known, EvaluateSettings.model_validate({"subset": "test", **chosen}), options)


def test_published_detections(shared: Path) -> None:
    """The matching here and that of the evaluation were written apart, and many scores of this file are equal."""
    diagnosis = published(shared, DiagnoseSettings(buckets="thumos14", n_splits=1000), tiou=(0.3, 0.5, 0.7))
    assert (diagnosis.counts.sum(axis=(1, 2)) == diagnosis.evaluation.n_detections).all()
    assert diagnosis.gains.base[0] == pytest.approx(diagnosis.evaluation.map)
    assert 100 * diagnosis.evaluation.map[1] == pytest.approx(26.37, abs=0.02)
    true_positives = diagnosis.counts[:, :, 0].sum(axis=1)
    assert true_positives.tolist() == sorted(true_positives, reverse=True)
    for one in diagnosis.characteristics:
        assert sum(b.n_instances for b in one.buckets) == diagnosis.evaluation.n_instances == 3311


def test_a_named_set_of_videos(shared: Path) -> None:
    results = read_results(shared / "data/detections/turn_flow_scnn_iou0.5.txt")
    known = read_truth(shared / "data/annotations/thumos14_txt")
    chosen = EvaluateSettings.model_validate({"subset": "test", "videos": "thumos14-210", "tiou": 0.5})
    diagnosis = diagnose(results, known, chosen, DiagnoseSettings(n_splits=1000))
    assert diagnosis.evaluation.n_videos == 210 and "thumos14-210" in diagnosis.title
    assert diagnosis.gains.base[0] == pytest.approx(diagnosis.evaluation.map)
    assert diagnosis.counts.sum() == diagnosis.evaluation.n_detections
    assert "coverage is left out: the truth gives no durations of videos" in diagnosis.notes
