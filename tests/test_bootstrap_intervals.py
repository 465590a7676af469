"""What is drawn and what intervals are made of it: by hand, and how often they cover what is true."""

from __future__ import annotations

import numpy as np
import pytest
from annotated import FAR, A, Span, chosen, detections, truth
from bootstrapped import once

from tal.annotations import Truth
from tal.bootstrap import averages, centred, interval, resamples
from tal.bootstrap.matching import instances_of
from tal.evaluation import evaluate
from tal.results import Results


def test_draws_are_a_function_of_the_seed() -> None:
    n_instances = np.array([1, 0, 2, 1], np.int32)
    first, again, other = (np.concatenate(list(resamples(n_instances, 300, seed)), axis=1) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.shape == (4, 300) and (first.sum(axis=0) == 4).all()
    assert np.abs(first.mean(axis=1) - 1).max() < 0.25  # each is drawn once on average


def test_a_resample_without_an_instance_is_drawn_again() -> None:
    n_instances = np.array([0, 0, 0, 0, 3], np.int32)
    weights = np.concatenate(list(resamples(n_instances, 200, 0)), axis=1)
    assert (weights[4] >= 1).all() and (weights.sum(axis=0) == 5).all()
    with pytest.raises(ValueError, match="no video has an instance"):
        next(resamples(np.zeros(3, np.int32), 1, 0))


def test_the_interval_and_the_share_of_the_other_sign() -> None:
    drawn = np.linspace(-1, 3, 401)  # a quarter is negative, one is zero
    found = interval(1.0, drawn, 0.9)
    assert (found.value, found.low, found.high) == pytest.approx((1.0, -0.8, 2.8))
    assert found.other_sign == pytest.approx(101 / 401)
    assert interval(-1.0, drawn).other_sign == pytest.approx(301 / 401)
    assert interval(0.0, np.zeros(5)).other_sign == 0
    assert interval(0.0, np.full(5, 1e-15)).other_sign == 0  # rounding has no sign


def test_the_bias_of_a_single_map_is_taken_off() -> None:
    drawn = np.array([0.5, 0.6, 0.7])
    assert centred(0.5, drawn) == pytest.approx([0.4, 0.5, 0.6])
    assert centred(0.95, drawn) == pytest.approx([0.85, 0.95, 1.0])  # mAP ends at 1


def test_copies_lift_the_map_of_a_resample() -> None:
    """Why: of two videos, one hit below a false positive of the other, a draw of one video twice is all or nothing."""
    known = Truth({"a": truth([A]), "b": truth([A])})
    found = once(Results({"a": detections([(*A, 0.5)]), "b": detections([(*FAR, 0.9)])}), known, tiou=(0.5,))
    ap = found.mean_average_precision(np.array([[1, 2, 0], [1, 0, 2]], np.int32))[0]
    assert ap.tolist() == [0.25, 1.0, 0.0]
    assert np.average(ap, weights=[0.5, 0.25, 0.25]) > ap[0]


def spans(rng: np.random.Generator, chance: float) -> tuple[list[Span], list[tuple[float, float, float]]]:
    hit = [(*A, rng.uniform(0.3, 1.0))] if rng.uniform() < chance else []
    return [A], [*hit, (*FAR, rng.uniform(0.0, 0.7))]


def test_intervals_cover_the_true_difference_about_as_often_as_they_say() -> None:
    """Samples of 60 videos from a population of which the difference is known from 4,000."""
    rng = np.random.default_rng(0)

    def sample(n: int) -> tuple[Truth, Results, Results]:
        drawn = [(spans(rng, 0.75), spans(rng, 0.55)) for _ in range(n)]
        names = [f"v{i:05}" for i in range(n)]
        known = Truth({name: truth(one[0]) for name, (one, _) in zip(names, drawn, strict=True)})
        sides = [
            Results({name: detections(pair[side][1]) for name, pair in zip(names, drawn, strict=True)})
            for side in (0, 1)
        ]
        return known, sides[0], sides[1]

    def difference(known: Truth, one: Results, two: Results) -> float:
        return evaluate(one, known, chosen("activitynet")).average - evaluate(two, known, chosen("activitynet")).average

    true = difference(*sample(4_000))
    covered = 0
    for _ in range(64):
        known, one, two = sample(60)
        a, b = (averages([once(side, known, tiou=(0.5,))], instances_of(known.videos), 256, 0) for side in (one, two))
        found = interval(difference(known, one, two), a - b)
        covered += found.low <= true <= found.high
    assert 0.87 <= covered / 64 <= 0.995
