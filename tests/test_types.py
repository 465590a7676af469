"""Index to seconds, and segments."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tal.types import Activations, Features, Segment, SnippetGrid

times = st.floats(-100, 100)


def test_contiguous_snippets_tile_the_time_line() -> None:
    grid = SnippetGrid(10, Fraction(25), 16, 16)
    assert [grid.time_s(i) for i in (0, 1, 10)] == [0.0, 0.64, 6.4]


def test_overlapping_snippets_own_the_cell_around_their_middle() -> None:
    grid = SnippetGrid(10, Fraction(30), 16, 4)
    assert (grid.time_s(0) + grid.time_s(1)) / 2 == pytest.approx(8 / 30)  # middle of frames 0..16
    start = SnippetGrid(10, Fraction(30), 16, 4, convention="start")
    assert start.time_s(0) == 0.0 and start.time_s(1) == pytest.approx(4 / 30)


@given(st.integers(0, 500), st.fractions(1, 120), st.integers(1, 64), st.integers(1, 64), st.integers(-9, 99))
def test_a_grid_survives_its_json_form(n: int, fps: Fraction, length: int, stride: int, offset: int) -> None:
    grid = SnippetGrid(n, fps, length, stride, offset)
    assert SnippetGrid.from_dict(grid.to_dict()) == grid


@given(times, times, times, times)
def test_tiou_is_symmetric_and_bounded(a: float, b: float, c: float, d: float) -> None:
    one, other = Segment(min(a, b), max(a, b)), Segment(min(c, d), max(c, d))
    assert one.tiou(other) == other.tiou(one)
    assert 0 <= one.tiou(other) <= 1
    if one.duration_s > 1e-6:
        assert one.tiou(one) == pytest.approx(1)


def test_tiou_of_half_an_overlap() -> None:
    assert Segment(0, 2).tiou(Segment(1, 3)) == pytest.approx(1 / 3)
    assert Segment(0, 1).tiou(Segment(1, 2)) == 0
    assert Segment(1, 1).tiou(Segment(1, 1)) == 0  # zero length: 0/0 counts as no overlap


def test_values_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match="3 snippets"):
        Features({"rgb": np.zeros((2, 4), np.float32)}, SnippetGrid(3), 1.0)
    with pytest.raises(ValueError, match="do not fit"):
        Activations(np.zeros((3, 2)), np.zeros(3), np.zeros((3, 2)), np.zeros(3))
