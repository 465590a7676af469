"""Diagnosis by what instances are like: bounds of the buckets, normalised AP and missed instances by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from diagnosed import Scored, found, studied, video

from tal.diagnosis import CharacteristicReport, Diagnosis


def of(told: Diagnosis, name: str) -> CharacteristicReport:
    (report,) = (one for one in told.characteristics if one.name == name)
    return report


def counts(told: Diagnosis, name: str) -> dict[str, int]:
    return {b.bucket.name: b.n_instances for b in of(told, name).buckets}


@pytest.mark.parametrize(
    ("length_s", "activitynet", "thumos14"),
    [
        (0, "XS", "XS"),  # the first bucket holds its lower bound
        (3, "XS", "XS"),
        (3.01, "XS", "S"),
        (6, "XS", "S"),
        (12, "XS", "M"),
        (18, "XS", "L"),
        (18.01, "XS", "XL"),
        (30, "XS", "XL"),
        (30.01, "S", "XL"),
        (60, "S", "XL"),
        (120, "M", "XL"),
        (120.01, "L", "XL"),
        (180, "L", "XL"),
        (5000, "XL", "XL"),
    ],
)
def test_bounds_of_length(length_s: float, activitynet: str, thumos14: str) -> None:
    for buckets, expected in (("activitynet", activitynet), ("thumos14", thumos14)):
        told = studied([("x", 0, length_s)], [], buckets=buckets)
        assert counts(told, "length") == {name: int(name == expected) for name in ("XS", "S", "M", "L", "XL")}


@pytest.mark.parametrize(
    ("share", "bucket"),
    [(0, "XS"), (0.2, "XS"), (0.21, "S"), (0.4, "S"), (0.6, "M"), (0.8, "L"), (0.81, "XL"), (1, "XL")],
)
def test_bounds_of_coverage(share: float, bucket: str) -> None:
    told = studied({"v": video(("x", 0, 100 * share), duration_s=100)}, {})
    assert counts(told, "coverage") == {name: int(name == bucket) for name in ("XS", "S", "M", "L", "XL")}


@pytest.mark.parametrize(("n", "bucket"), [(1, "XS"), (2, "S"), (4, "S"), (5, "M"), (8, "M"), (9, "L")])
def test_bounds_of_the_number_of_instances(n: int, bucket: str) -> None:
    """Instances of other classes and in other videos do not count."""
    real = {"v": video(*(("x", 10 * i, 10 * i + 5) for i in range(n)), ("y", 0, 5)), "w": video(("x", 0, 5))}
    expected = {name: n * (name == bucket) for name in ("XS", "S", "M", "L")}
    expected["XS"] += 2  # the y, and the x of w
    assert counts(studied(real, {}), "instances") == expected


def test_texts_of_the_bounds() -> None:
    told = studied({"v": video(("x", 0, 1), duration_s=10)}, {})
    texts = {one.name: [b.bucket.text for b in one.buckets] for one in told.characteristics}
    assert texts == {
        "length": ["0 to 30 s", "30 to 60 s", "60 to 120 s", "120 to 180 s", "over 180 s"],
        "coverage": ["0 to 20 %", "20 to 40 %", "40 to 60 %", "60 to 80 %", "80 to 100 %"],
        "instances": ["1", "2 to 4", "5 to 8", "9 or more"],
    }


def test_quantiles_make_buckets_of_equal_size() -> None:
    told = studied([("x", 100 * i, 100 * i + i) for i in range(1, 11)], [], buckets="quantiles")
    length = of(told, "length")
    assert [b.n_instances for b in length.buckets] == [2, 2, 2, 2, 2]
    assert [b.bucket.upper for b in length.buckets] == [2, 4, 6, 8, math.inf]
    assert [b.n_instances for b in of(told, "instances").buckets] == [10]  # all the same: one bucket
    assert of(told, "instances").buckets[0].bucket.text == "1 or more"


def test_quantiles_never_cut_through_equal_values() -> None:
    lengths = [5] * 8 + [7, 9]
    told = studied([("x", 100 * i, 100 * i + n) for i, n in enumerate(lengths)], [], buckets="quantiles")
    assert [(b.bucket.name, b.bucket.upper, b.n_instances) for b in of(told, "length").buckets] == [
        ("XS", 5, 8),
        ("S", math.inf, 2),
    ]


# What is known of videos


def test_without_durations_there_is_no_coverage_and_that_is_said() -> None:
    told = studied([("x", 0, 10)], [])
    assert [one.name for one in told.characteristics] == ["length", "instances"]
    assert "coverage is left out: the truth gives no durations of videos" in told.notes


def test_some_durations_are_not_known() -> None:
    real = {"v": video(("x", 0, 10), duration_s=100), "w": video(("x", 0, 10)), "u": video(("x", 0, 10), duration_s=0)}
    told = studied(real, {})
    assert counts(told, "coverage") == {"XS": 1, "S": 0, "M": 0, "L": 0, "XL": 0}
    assert "coverage leaves out 2 of 3 instances: the durations of their videos are not known" in told.notes


def test_instances_longer_than_their_video() -> None:
    told = studied({"v": video(("x", 0, 20), ("x", 30, 31), duration_s=10)}, {})
    assert counts(told, "coverage") == {"XS": 1, "S": 0, "M": 0, "L": 0, "XL": 1}
    assert "coverage counts as 1 for 1 of 2 instances: they are longer than their videos" in told.notes


def test_buckets_that_tell_little_are_named() -> None:
    short = [("x", 100 * i, 100 * i + 5) for i in range(20)]
    told = studied(short, [])
    note = "100 % of the instances are in one bucket of length, 0 to 30 s; other buckets may tell more"
    assert note in told.notes
    assert note not in studied(short, [], buckets="quantiles").notes


# Normalised AP by hand

SHORT, LONG = ("x", 0.0, 10.0), ("x", 100.0, 200.0)


def test_sensitivity_by_hand() -> None:
    """N = 2. For the short one the ranking is right, wrong; for the long one it is wrong, right."""
    told = studied([SHORT, LONG], [(*SHORT, 0.9), ("x", 50, 60, 0.8), (*LONG, 0.7)])
    scores = {b.bucket.name: b.map_n[0] for b in of(told, "length").buckets if b.n_instances}
    assert scores == pytest.approx({"XS": 1.0, "M": 2 / (2 + 1)})
    assert told.map_n.tolist() == pytest.approx([(1 + 2 / 3) / 2])
    rows = told.to_dict()["characteristics"]["length"]
    assert rows[0]["change"] == pytest.approx(1 - 5 / 6) and rows[2]["change"] == pytest.approx(2 / 3 - 5 / 6)
    assert rows[1]["change"] is None


def test_only_classes_with_an_instance_in_the_bucket_count() -> None:
    told = studied([SHORT, ("y", 100, 200)], [(*SHORT, 0.9)])
    assert [(b.n_classes, b.map_n[0]) for b in of(told, "length").buckets if b.n_instances] == [(1, 1.0), (1, 0.0)]


def test_one_bucket_of_everything_has_the_overall_value() -> None:
    real = [("x", 20 * i, 20 * i + 10) for i in range(6)] + [("y", 0, 10)]
    scored: list[Scored] = [("x", 0, 10, 0.9), ("x", 200, 210, 0.8), ("x", 20, 30, 0.7), ("y", 0, 12, 0.6)]
    told = studied(real, scored, (0.3, 0.5, 0.9))
    assert of(told, "length").buckets[0].map_n.tolist() == told.map_n.tolist()
    assert of(told, "length").buckets[0].missed.tolist() == told.missed.tolist()


# Missed instances


def test_missed_instances_by_hand() -> None:
    told = studied([SHORT, LONG, ("x", 20, 30)], [(*SHORT, 0.9)])
    assert {b.bucket.name: b.missed[0] for b in of(told, "length").buckets if b.n_instances} == {"XS": 0.5, "M": 1.0}
    assert told.missed.tolist() == pytest.approx([2 / 3])


@pytest.mark.parametrize(("n_wrong", "missed"), [(18, 0), (19, 1)])
def test_what_is_found_among_too_many_errors_is_missed(n_wrong: int, missed: int) -> None:
    """N = 1: precision is 1/19 or 1/20, which is the bound."""
    scored = [("x", 100.0 + i, 101.0 + i, 0.9) for i in range(n_wrong)]
    told = studied({"v": video(SHORT)}, {"v": found(*scored, (*SHORT, 0.1))})
    assert told.missed.tolist() == [missed]
    assert studied([SHORT], [*scored, (*SHORT, 0.1)], min_precision=0).missed.tolist() == [0]
    assert told.evaluation.average > 0  # AP does not know that bound


def test_empty_buckets_are_not_zero() -> None:
    empty = of(studied([SHORT], [(*SHORT, 0.9)]), "length").buckets[1]
    assert empty.n_instances == empty.n_classes == 0
    assert np.isnan(empty.map_n).all() and np.isnan(empty.missed).all()
