"""The rule by which a number is compared with a published one: closed cases."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tal.pipeline.reproduction_reports import judge, spread


@pytest.mark.parametrize(
    ("ours", "published", "deviation", "word", "difference", "margin"),
    [
        ((28.0, 29.0, 30.0), 29.5, None, "within", -0.5, 1.0),
        ((28.0, 29.0, 30.0), 28.0, None, "within", 1.0, 1.0),  # exactly one deviation is within
        ((28.0, 29.0, 30.0), 27.9, None, "above", 1.1, 1.0),
        ((28.0, 29.0, 30.0), 30.1, None, "below", -1.1, 1.0),
        ((28.0, 29.0, 30.0), 31.5, 2.5, "within", -2.5, 2.5),  # the larger deviation counts
        ((28.0, 29.0, 30.0), 31.5, 0.1, "below", -2.5, 1.0),
        ((28.11,), 28.5, 0.55, "within", -0.39, 0.55),
        ((28.11,), 29.1, 0.55, "below", -0.99, 0.55),
        ((28.11,), 29.1, None, "unclear", -0.99, None),
        ((20.0, 20.0), 20.0, None, "within", 0.0, 0.0),
        ((20.0, 20.0), 20.1, None, "below", -0.1, 0.0),
    ],
)
def test_closed_cases(
    ours: Sequence[float],
    published: float,
    deviation: float | None,
    word: str,
    difference: float,
    margin: float | None,
) -> None:
    found = judge(ours, published, deviation)
    assert found.word == word
    assert found.difference == pytest.approx(difference)
    assert found.margin == (None if margin is None else pytest.approx(margin))


percent = st.floats(0, 100)


@given(st.lists(percent, min_size=1, max_size=5), percent, st.none() | st.floats(0.01, 10))
def test_the_word_says_what_the_numbers_say(ours: list[float], published: float, deviation: float | None) -> None:
    found = judge(ours, published, deviation)
    if found.margin is None:
        assert found.word == "unclear" and len(ours) == 1 and deviation is None
        return
    assert found.margin >= (deviation or 0)
    expected = "within" if abs(found.difference) <= found.margin else "above" if found.difference > 0 else "below"
    assert found.word == expected


@given(st.lists(percent, min_size=2, max_size=5), percent, st.floats(-20, 20))
def test_moving_all_numbers_changes_nothing(ours: list[float], published: float, by: float) -> None:
    one, other = judge(ours, published), judge([value + by for value in ours], published + by)
    assert math.isclose(one.difference, other.difference, abs_tol=1e-9)
    assert math.isclose(one.margin or 0, other.margin or 0, abs_tol=1e-6)


def test_mean_and_deviation_in_words() -> None:
    assert spread([28.0, 29.0, 30.0]) == "29.00 ± 1.00"
    assert spread([28.111]) == "28.11"
