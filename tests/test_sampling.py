"""Sampling: closed forms, and laws that hold for videos of any length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tal.sampling import sample, shuffled, stratified, uniform

lengths = st.integers(1, 300)
seeds = st.integers(0, 2**32)


@pytest.mark.parametrize(
    ("n", "t", "expected"),
    [
        (10, 5, [0, 2, 4, 6, 8]),
        (5, 5, [0, 1, 2, 3, 4]),
        (3, 6, [0, 0, 1, 1, 2, 2]),
        (7, 3, [0, 2, 4]),
        (1, 4, [0, 0, 0, 0]),
    ],
)
def test_uniform_takes_the_first_snippet_of_each_stratum(n: int, t: int, expected: list[int]) -> None:
    assert uniform(n, t).tolist() == expected


@given(n=lengths, t=lengths, seed=seeds)
def test_stratified_indices_stay_in_their_strata(n: int, t: int, seed: int) -> None:
    chosen = stratified(n, t, np.random.default_rng(seed))
    edges = [i * n // t for i in range(t)] + [n - 1]
    assert chosen.shape == (t,)
    assert all(low <= index <= high for low, index, high in zip(edges, chosen, edges[1:], strict=False))
    assert (np.diff(chosen) >= 0).all()
    assert chosen[-1] < n


@given(n=lengths, seed=seeds)
def test_as_many_samples_as_snippets_take_each_once(n: int, seed: int) -> None:
    assert stratified(n, n, np.random.default_rng(seed)).tolist() == list(range(n))


@given(n=lengths, factor=st.integers(1, 5), seed=seeds)
def test_longer_samples_miss_no_stratum_of_a_short_video(n: int, factor: int, seed: int) -> None:
    assert set(uniform(n, n * factor).tolist()) == set(range(n))


def test_stratified_reaches_every_snippet_and_both_ends_of_a_stratum() -> None:
    rng = np.random.default_rng(0)
    drawn = np.stack([stratified(12, 4, rng) for _ in range(400)])
    assert [sorted(set(column)) for column in drawn.T.tolist()] == [
        [0, 1, 2, 3],  # a stratum may give the first snippet of the next
        [3, 4, 5, 6],
        [6, 7, 8, 9],
        [9, 10, 11],
    ]


def test_the_generator_alone_decides() -> None:
    one, two = (stratified(100, 9, np.random.default_rng(5)).tolist() for _ in range(2))
    assert one == two
    assert one != stratified(100, 9, np.random.default_rng(6)).tolist()


def test_rules_by_name() -> None:
    rng = np.random.default_rng(0)
    assert sample("uniform", 10, 5, rng).tolist() == [0, 2, 4, 6, 8]
    expected = stratified(50, 5, np.random.default_rng(3)).tolist()
    assert sample("stratified", 50, 5, np.random.default_rng(3)).tolist() == expected


@pytest.mark.parametrize(("n", "t"), [(0, 5), (5, 0)])
def test_nothing_cannot_be_sampled(n: int, t: int) -> None:
    with pytest.raises(ValueError, match=f"cannot sample {t} of {n} snippets"):
        uniform(n, t)


def _rng_of(epoch: int) -> np.random.Generator:
    return np.random.default_rng(epoch)


@given(n=st.integers(1, 20), epochs=st.integers(1, 4))
def test_every_video_comes_once_per_epoch(n: int, epochs: int) -> None:
    order = shuffled(n, 0, n * epochs, _rng_of).reshape(epochs, n)
    assert (np.sort(order, axis=1) == np.arange(n)).all()


@given(n=st.integers(1, 20), start=st.integers(0, 50), count=st.integers(1, 30))
def test_a_stretch_of_the_order_is_the_same_wherever_it_is_entered(n: int, start: int, count: int) -> None:
    whole = shuffled(n, 0, start + count, _rng_of)
    assert shuffled(n, start, count, _rng_of).tolist() == whole[start:].tolist()
