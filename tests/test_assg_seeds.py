"""ASSG's seeds and their growth, by hand and against eq. 1 word by word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from masks import drawn, mask_of

from tal.methods._assg_seeds import SeedRule, collate, find_seeds, grow
from tal.types import Activations

RULE = SeedRule(foreground=0.5, source="low_attention", share=0.25, quiet=0.1)


def guide_of(signal: Any, attention: Any) -> Activations:
    signal = np.array(signal, np.float32)
    return Activations(signal, np.ones(signal.shape[1], np.float32), signal, np.array(attention, np.float32))


# Seeds


def test_seeds_by_hand() -> None:
    signal = [[0.0, 0.9], [0.03, 0.9], [0.8, 0.9], [0.41, 0.9], [0.4, 0.9], [0.05, 0.9], [0.0, 0.9], [0.04, 0.9]]
    attention = [0.1, 0.2, 0.9, 0.8, 0.7, 0.3, 0.6, 0.5]
    seeds = find_seeds(np.zeros((8, 3), np.float32), np.array([1.0, 0]), guide_of(signal, attention), RULE)
    assert seeds.columns.tolist() == [0, 1]  # the second class is not in the video, however strong its signal
    assert drawn(seeds.mask.unsqueeze(0)) == ["xx......", "..xx...."]  # 0.4 is no more than half of 0.8


def test_background_keeps_away_from_where_a_class_is_active() -> None:
    guide = guide_of([[0.5], [0.0], [1.0], [1.0]], [0.0, 0.1, 0.9, 0.9])
    rule = SeedRule(foreground=0.7, source="low_attention", share=0.5, quiet=0.1)
    seeds = find_seeds(np.zeros((4, 3), np.float32), np.ones(1, np.float32), guide, rule)
    assert drawn(seeds.mask.unsqueeze(0)) == [".x..", "..xx"]


@pytest.mark.parametrize(
    ("source", "expected"), [("shot", "....x..."), ("both", "xx..x..."), ("low_attention", "xx......")]
)
def test_where_background_is_looked_for(source: Any, expected: str) -> None:
    features = np.repeat(np.eye(2, dtype=np.float32), 4, axis=0)  # the shot changes at snippet 4
    guide = guide_of([[0.0]] * 7 + [[1.0]], [0.1, 0.1] + [0.9] * 6)
    rule = SeedRule(0.5, source, 0.25, 0.1)
    assert drawn(find_seeds(features, np.ones(1, np.float32), guide, rule).mask.unsqueeze(0))[0] == expected


def test_a_class_that_is_nowhere_positive_has_no_seeds() -> None:
    guide = guide_of([[0.0, -2.0], [0.0, -1.0]], [0.5, 0.5])
    seeds = find_seeds(np.zeros((2, 3), np.float32), np.ones(2, np.float32), guide, RULE)
    assert not seeds.mask[:, 1:].any()


def test_seeds_are_looked_up_by_snippet() -> None:
    guide = guide_of([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.9]], [1.0, 0.0, 1.0])
    seeds = find_seeds(np.zeros((3, 3), np.float32), np.array([0.0, 0, 1]), guide, RULE)
    found = collate([seeds, seeds], torch.tensor([[0, 0, 1, 2], [2, 1, 1, 1]]), 4)
    assert drawn(found[:1]) == ["..x.", "....", "....", "xx.x"]
    assert drawn(found[1:]) == [".xxx", "....", "....", "x..."]


# Growth


def test_seeds_grow_up_to_the_first_gap_on_either_side() -> None:
    seeds = mask_of("....x......", "x..........")
    willing = mask_of("xx.xxxx.xxx", ".xx.xxxxxxx")
    assert drawn(grow(seeds, willing)) == ["...xxxx....", "xxx........"]


def test_a_seed_stays_where_the_heatmap_is_not_willing() -> None:
    assert drawn(grow(mask_of("..x.."), mask_of("x...."))) == ["..x.."]


def test_seeds_bridge_what_separates_willing_snippets() -> None:
    assert drawn(grow(mask_of("..x...x"), mask_of("xx.x..."))) == ["xxxx..x"]


@pytest.mark.parametrize(("rings", "expected"), [(1, "..xxx..."), (2, ".xxxxx.."), (3, "xxxxxx.."), (9, "xxxxxx..")])
def test_growth_in_one_update_can_be_bounded(rings: int, expected: str) -> None:
    assert drawn(grow(mask_of("...x...."), mask_of("xxxxxx.x"), rings)) == [expected]


def spread(seeds: list[bool], willing: list[bool], rings: int) -> list[bool]:
    """Eq. 1 word by word: again and again, label what is willing and next to a label."""
    found = list(seeds)
    for _ in range(rings):
        near = [any(found[max(0, i - 1) : i + 2]) for i in range(len(found))]
        found = [was or (close and wants) for was, close, wants in zip(found, near, willing, strict=True)]
    return found


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30), st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_growth_is_what_eq_1_says(places: list[tuple[bool, bool]], rings: int) -> None:
    seeds, willing = ([bool(pair[i]) for pair in places] for i in (0, 1))
    expected = spread(seeds, willing, rings or len(places))
    found = grow(torch.tensor(seeds).view(1, -1, 1), torch.tensor(willing).view(1, -1, 1), rings)
    assert found.flatten().tolist() == expected
