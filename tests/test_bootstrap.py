"""The bootstrap over videos: closed forms, and agreement with evaluating resampled data sets one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from annotated import chosen, detections, truth
from bootstrapped import TIOU, once
from hypothesis import given, settings
from hypothesis import strategies as st

from tal.annotations import Truth
from tal.bootstrap import averages, interval, resamples
from tal.bootstrap.matching import instances_of
from tal.bootstrap.rankings import Counts
from tal.evaluation import evaluate
from tal.evaluation.protocols import PROTOCOLS
from tal.results import Results
from tal.types import Detection

A, FAR = (0.0, 10.0), (50.0, 60.0)

SPANS = st.tuples(st.integers(0, 12), st.integers(1, 8)).map(lambda pair: (float(pair[0]), float(sum(pair))))


def counts(*weights: int) -> Counts:
    return np.array([weights], np.int32).T


# The independent reference: a data set that really holds copies of its videos


def copied(found: Results, known: Truth, weights: Counts) -> tuple[Results, Truth]:
    """Return the data set with each video as often as it counts, copies beside each other."""
    videos, results = {}, {}
    for name, n in zip(known.videos, weights[:, 0].tolist(), strict=True):
        videos |= {f"{name}#{i}": known.videos[name] for i in range(n)}
    names = list(known.videos)
    for name, listed in found.by_video.items():
        n = int(weights[names.index(name), 0]) if name in known.videos else 1
        results |= {f"{name}#{i}": listed for i in range(n)}
    return Results(results), Truth(videos)


@st.composite
def resampled(draw: st.DrawFn) -> tuple[Truth, Results, Counts]:
    """Small videos of two classes with many overlaps; in a video scores differ, between videos some are equal."""
    names = draw(st.lists(st.sampled_from("abcd"), min_size=1, unique=True))
    videos = {}
    for name in names:
        one, two = (draw(st.lists(SPANS, max_size=3)) for _ in range(2))
        of_x, of_y = truth(one, draw(st.lists(SPANS, max_size=1))), truth(two, label="y")
        videos[name] = replace(of_x, instances=(*of_x.instances, *of_y.instances))
    found: dict[str, tuple[Detection, ...]] = {}
    for name in draw(st.permutations([*names, "stranger"])):
        scores = iter(draw(st.permutations(range(8))))
        listed = [(*span, float(next(scores))) for span in draw(st.lists(SPANS, max_size=4))]
        found[name] = (*detections(listed[:2]), *detections(listed[2:], "y"))
    weights = draw(st.lists(st.integers(0, 3), min_size=len(names), max_size=len(names)))
    return Truth(videos), Results(found), counts(*weights)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(max_examples=50, deadline=None)
@given(case=resampled())
def test_a_resample_is_the_evaluation_of_a_data_set_with_copies(
    protocol: str, case: tuple[Truth, Results, Counts]
) -> None:
    known, found, weights = case
    more, copies = copied(found, known, weights)
    if not any(video.instances for video in copies.videos.values()):
        return  # `resamples` never draws it
    expected = evaluate(more, copies, chosen(protocol, TIOU))
    result = once(found, known, protocol).mean_average_precision(weights)
    assert result[:, 0] == pytest.approx(expected.map.tolist(), abs=1e-12)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_many_resamples_of_many_videos(protocol: str) -> None:
    """More than one batch of resamples; the draws are those of the seed, evaluated one by one."""
    rng = np.random.default_rng(3)
    videos, found = {}, {}
    for v in range(12):
        starts = rng.uniform(0, 90, 3).tolist()
        videos[f"v{v:02}"] = truth([(s, s + 8) for s in starts], [(40.0, 44.0)], "xy"[v % 2])
        guesses = [(s + rng.normal(0, 3) + 9, s + 17, rng.uniform()) for s in [*starts, *rng.uniform(0, 90, 4)]]
        found[f"v{v:02}"] = detections([(min(a, b), max(a, b), c) for a, b, c in guesses], "xy"[v % 2])
    known, results = Truth(videos), Results(found)
    drawn = averages([once(results, known, protocol)], instances_of(videos), 130, 7)
    weights = np.concatenate(list(resamples(instances_of(videos), 130, 7)), axis=1)
    assert weights.shape == (12, 130) and (weights.sum(axis=0) == 12).all()
    for r in (0, 1, 127, 128, 129):
        more, copies = copied(results, known, weights[:, r : r + 1])
        assert drawn[r] == pytest.approx(evaluate(more, copies, chosen(protocol, TIOU)).average, abs=1e-12)
    assert len(set(drawn.tolist())) > 100  # something is resampled at all


# Closed forms


def test_copies_of_one_detection_are_ranked_one_after_the_other() -> None:
    """A false positive, then w copies of a hit: precision rises from 1/2 to w / (w + 1)."""
    known = Truth({"a": truth([A]), "b": truth([])})
    found = Results({"a": detections([(*A, 0.8)]), "b": detections([(*FAR, 0.9)])})
    for w in (1, 2, 5):
        weights = counts(w, 1)
        plain = once(found, known, "thumos14", (0.5,)).mean_average_precision(weights)
        assert plain[0, 0] == pytest.approx(sum(k / (k + 1) for k in range(1, w + 1)) / w)
        interpolated = once(found, known, "activitynet", (0.5,)).mean_average_precision(weights)
        assert interpolated[0, 0] == pytest.approx(w / (w + 1))


def test_a_class_that_a_resample_lacks_leaves_the_mean() -> None:
    known = Truth({"a": truth([A]), "b": truth([A], label="y")})
    found = Results({"a": detections([(*A, 0.9)]), "b": detections([(*A, 0.1)], "x")})  # y is never found
    weights = np.array([[1, 2, 0], [1, 0, 2]], np.int32)
    assert once(found, known).mean_average_precision(weights)[0].tolist() == [0.5, 1.0, 0.0]


def test_detections_in_unknown_videos_always_count_once() -> None:
    known = Truth({"a": truth([A])})
    found = Results({"a": detections([(*A, 0.5)]), "stranger": detections([(*A, 0.9)])})
    ap = once(found, known).mean_average_precision(np.array([[1, 3]], np.int32))
    assert ap[0] == pytest.approx([1 / 2, 3 / 4])


def test_one_video_leaves_nothing_to_chance() -> None:
    known = Truth({"a": truth([A, (20, 30)])})
    found = Results({"a": detections([(*A, 0.9), (*FAR, 0.8)])})
    drawn = averages([once(found, known)], instances_of(known.videos), 50, 0)
    assert np.ptp(drawn) == 0 and drawn[0] == 0.5
    assert (interval(0.5, drawn).low, interval(0.5, drawn).high) == (0.5, 0.5)


def test_videos_that_are_all_alike_leave_nothing_to_chance() -> None:
    """Each holds one hit and one false positive of a lower score."""
    known = Truth({f"v{i}": truth([A, (20.0, 30.0)]) for i in range(9)})
    found = Results({f"v{i}": detections([(*A, 0.9), (*FAR, 0.1)]) for i in range(9)})
    drawn = averages([once(found, known)], instances_of(known.videos), 300, 0)
    assert drawn == pytest.approx(np.full(300, 0.5))


def test_a_perfect_detector_against_one_that_finds_some() -> None:
    """AP without false positives is recall: the other's is the share of drawn videos in which it finds something."""
    n, n_found = 20, 12
    known = Truth({f"v{i:02}": truth([A]) for i in range(n)})
    perfect = Results({f"v{i:02}": detections([(*A, 0.5)]) for i in range(n)})
    some = Results({f"v{i:02}": detections([(*A, 0.5)] if i < n_found else []) for i in range(n)})
    n_instances = instances_of(known.videos)
    best, other = (averages([once(one, known)], n_instances, 4000, 0) for one in (perfect, some))
    assert (best == 1).all()
    weights = np.concatenate(list(resamples(n_instances, 4000, 0)), axis=1)
    assert other == pytest.approx(weights[:n_found].sum(axis=0) / n)
    found = interval(1 - n_found / n, best - other)
    p = n_found / n  # a binomial share: mean p, deviation sqrt(p (1 - p) / n)
    half = 1.96 * np.sqrt(p * (1 - p) / n)
    assert found.low == pytest.approx(1 - p - half, abs=0.06) and found.high == pytest.approx(1 - p + half, abs=0.06)
    assert found.other_sign == 0


def test_a_group_is_the_mean_of_its_members_on_the_same_resamples() -> None:
    known = Truth({f"v{i}": truth([A]) for i in range(6)})
    one = once(Results({f"v{i}": detections([(*A, 0.5)]) for i in range(3)}), known)
    two = once(Results({f"v{i}": detections([(*A, 0.5)]) for i in range(3, 6)}), known)
    n_instances = instances_of(known.videos)
    assert averages([one, two], n_instances, 200, 5) == pytest.approx(np.full(200, 0.5))
    apart = [averages([each], n_instances, 200, 5) for each in (one, two)]
    assert np.ptp(apart[0]) > 0 and apart[0] + apart[1] == pytest.approx(np.ones(200))
