"""How seeds and axes of a sweep are written."""

from __future__ import annotations

import pytest

from tal.errors import ConfigError
from tal.pipeline.sweeps import Axis, parse_axis, parse_seeds


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0-4", (0, 1, 2, 3, 4)), ("0,3,7", (0, 3, 7)), ("7", (7,)), ("9, 2-3", (9, 2, 3)), ("5-5", (5,))],
)
def test_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4-0", "--seeds '4-0': 4-0 runs backwards; write 0-4"),
        ("a", "--seeds 'a': 'a' is no seed; write 0-4 or 0,3,7"),
        ("", "--seeds '': '' is no seed; write 0-4 or 0,3,7"),
        ("1,", "--seeds '1,': '' is no seed; write 0-4 or 0,3,7"),
        ("-3", "--seeds '-3': '-3' is no seed; write 0-4 or 0,3,7"),
        ("1.5", "--seeds '1.5': '1.5' is no seed; write 0-4 or 0,3,7"),
        ("٣", "--seeds '٣': '٣' is no seed; write 0-4 or 0,3,7"),
        ("3,3", "--seeds '3,3': 3 stands twice; write each seed once"),
        ("0-4,2", "--seeds '0-4,2': 2 stands twice; write each seed once"),
        ("0-999999999", "1000000000 runs; at most 10000 at once"),
    ],
)
def test_what_is_no_list_of_seeds(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_seeds(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("train.lr=1e-3,1e-4", Axis("train.lr", ("1e-3", "1e-4"))),
        ("a.b=[0.1,0.2], [0.3]", Axis("a.b", ("[0.1,0.2]", "[0.3]"))),
        ("a.b='x,y',z", Axis("a.b", ("'x,y'", "z"))),
        ("a.b={c: 1, d: 2},null", Axis("a.b", ("{c: 1, d: 2}", "null"))),
        ("a.b=true", Axis("a.b", ("true",))),
    ],
)
def test_an_axis_of_a_sweep(text: str, axis: Axis) -> None:
    assert parse_axis(text) == axis


@pytest.mark.parametrize("text", ["train.lr", "train.lr=", "=1,2", "train.lr=[1", "train.lr=1]", "a=1,,2", "a=1 #,2"])
def test_what_is_no_axis(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_axis(text)
    assert str(caught.value) == f"--sweep '{text}': write KEY=V1,V2,..., e.g. --sweep train.lr=1e-3,1e-4"


def test_an_axis_with_one_value_twice() -> None:
    with pytest.raises(ConfigError, match=r"^--sweep 'a=1,2,1': 1 stands twice; write each value once$"):
        parse_axis("a=1,2,1")
