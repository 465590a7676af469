"""Parts of the videos for job arrays: disjoint, complete, settled by the name alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tal.errors import ConfigError
from tal.pipeline.parts import Part


@given(names=st.sets(st.text(max_size=20), max_size=50), count=st.integers(1, 12))
def test_every_video_is_in_exactly_one_part(names: set[str], count: int) -> None:
    parts = [Part(i, count) for i in range(count)]
    assert all(sum(part.holds(name) for part in parts) == 1 for name in names)


def test_parts_are_about_equal_and_stay_what_they_are() -> None:
    names = [f"video_validation_{i:07}" for i in range(2000)]
    sizes = [sum(Part(i, 4).holds(name) for name in names) for i in range(4)]
    assert all(400 < size < 600 for size in sizes)
    # SHA-256 of "v" begins with 4c94485e0c21ae6c: 0x6c % 4 == 0, 0x...6c % 5 from the whole number
    assert Part(0, 4).holds("v") and Part(0x4C94485E0C21AE6C % 5, 5).holds("v")


@pytest.mark.parametrize("text", ["0/4", "3/4", " 0/1 "])
def test_parts_are_counted_from_0(text: str) -> None:
    part = Part.parse(text)
    assert f"{part.index}/{part.count}" == text.strip()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4/4", "--shard '4/4': parts are counted from 0; the 4 parts are 0/4 to 3/4"),
        ("1/1", "--shard '1/1': parts are counted from 0; the 1 parts are 0/1 to 0/1"),
        ("1", "--shard '1': write i/n, part i of n counted from 0, e.g. 0/4"),
        ("0/0", "--shard '0/0': write i/n, part i of n counted from 0, e.g. 0/4"),
        ("-1/4", "--shard '-1/4': write i/n, part i of n counted from 0, e.g. 0/4"),
        ("a/b", "--shard 'a/b': write i/n, part i of n counted from 0, e.g. 0/4"),
    ],
)
def test_what_is_no_part_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Part.parse(text)
    assert str(caught.value) == message
