"""Files of strangers, changed at random: each is read, or refused in one line; nothing else happens.

The readers and the good files are those of ``benchmarks/_parsers.py``; ``tal bench fuzz`` goes on for as long as one
likes, led by the code that an input reaches.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import bounded
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tal.files import shipped

sys.path.append(str(shipped("benchmarks")))

import _fuzzing
import _parsers

FUZZ = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def limits() -> Iterator[None]:
    with bounded.room():
        yield


def parsers() -> list[str]:
    return sorted(_parsers.PARSERS)


@pytest.fixture(params=parsers())
def parser(request: pytest.FixtureRequest) -> _parsers.Parser:
    if request.param in _parsers.NEED_TORCH:
        pytest.importorskip("torch")
    found = _parsers.PARSERS[request.param]
    assert found.seeds  # made before memory is limited
    return found


def test_good_files_are_read(parser: _parsers.Parser, tmp_path: Path) -> None:
    assert None in [_parsers.attempt(parser, seed, tmp_path) for seed in parser.seeds]


@FUZZ
@given(data=st.data())
def test_changed_files_are_read_or_refused_in_one_line(
    parser: _parsers.Parser, tmp_path: Path, limits: None, data: st.DataObject
) -> None:
    seeds = parser.seeds
    content = data.draw(st.sampled_from(seeds))
    for _ in range(data.draw(st.integers(1, 4))):
        change = data.draw(st.sampled_from(_fuzzing.CHANGES))
        content = change(content, data.draw(st.randoms(use_true_random=False)), seeds)
    _parsers.attempt(parser, content, tmp_path)


@settings(FUZZ, max_examples=15)
@given(content=st.binary(max_size=200) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace")))
def test_anything_at_all_is_read_or_refused_in_one_line(
    parser: _parsers.Parser, tmp_path: Path, limits: None, content: bytes
) -> None:
    _parsers.attempt(parser, content, tmp_path)


@pytest.mark.parametrize("name", [*(n for n in parsers() if n.endswith("json")), "annotations-via", "config"])
@pytest.mark.parametrize("opened", ["[", '{"a":', "- "])
def test_depth_is_refused(name: str, opened: str, tmp_path: Path, limits: None) -> None:
    """No reader falls over its own recursion, whether what is too deep is closed again or not."""
    parser = _parsers.PARSERS[name]
    closed = {"[": "]", '{"a":': "}"}.get(opened, "")
    for n in (100, 900, 5000):
        for text in (opened * n, opened * n + "1" + closed * n, f'{{"database": {opened * n}1{closed * n}}}'):
            assert _parsers.attempt(parser, text.encode(), tmp_path) is not None


def test_a_finding_is_told(tmp_path: Path) -> None:
    """The judge itself: what is no refusal, and a refusal of two lines, are findings."""
    from tal.errors import InputError

    def refuses(path: Path) -> None:
        raise InputError(path.read_text())

    def falls(path: Path) -> None:
        raise KeyError(path)

    assert _parsers.attempt(_parsers.Parser("a", refuses, ()), b"no good", tmp_path) == "no good"
    with pytest.raises(ValueError, match="refused with"):
        _parsers.attempt(_parsers.Parser("a", refuses, ()), b"no\ngood", tmp_path)
    with pytest.raises(KeyError):
        _parsers.attempt(_parsers.Parser("a", falls, ()), b"", tmp_path)
