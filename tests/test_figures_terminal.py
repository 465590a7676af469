"""Timelines as text: where blocks stand, how high they are, and that any width and encoding does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from timelines_made_up import timeline

from tal.errors import ConfigError
from tal.figures import terminal
from tal.figures.clock import clock, tick_step_s, ticks_s
from tal.figures.rows import Picture, Row, binned, columns, picture, shares, to_dict
from tal.figures.terminal import ASCII, BLOCKS, glyphs_for
from tal.timelines import Mark, Timeline
from tal.types import Detection, Segment

QUICK = settings(max_examples=60, deadline=None)


def lanes(shown: Picture, width: int = 118, glyphs: terminal.Glyphs = BLOCKS) -> dict[str, str]:
    """Return lanes by name; with this width and short names there are 100 columns, one per second of 100 s."""
    found = {}
    for line in terminal.draw(shown, width, glyphs):
        if len(line) == 3:
            found[line[0][0].strip()] = line[1][0] + "|" + line[2][0].strip()
    return found


def one(**about: object) -> Picture:
    return picture([Row("", timeline(**about))])  # type: ignore[arg-type]


def test_a_hundred_columns_show_seconds() -> None:
    shown = one(found=[("x", 10, 20, 0.8), ("x", 15, 30, 0.4)], truth=[("x", 12, 20), ("x", 90, 100)], networks=["a"])
    assert lanes(shown) == {
        "x": " " * 10 + "█" * 10 + "▄" * 10 + " " * 70 + "|0.8",
        "cas": " " * 40 + "█" * 20 + " " * 40 + "|",
        "truth": " " * 12 + "━" * 8 + " " * 70 + "━" * 10 + "|×2",
        "attention": " " * 40 + "▄" * 20 + " " * 40 + "|",
    }


def test_ascii_says_the_same() -> None:
    shown = one(found=[("x", 10, 20, 0.8), ("x", 20, 30, 0.4)], truth=[("x", 12, 20)])
    drawn = lanes(shown, glyphs=ASCII)
    assert drawn["x"] == " " * 10 + "@" * 10 + "=" * 10 + " " * 70 + "|0.8"
    assert drawn["truth"] == " " * 12 + "=" * 8 + " " * 80 + "|x1"


def test_glyphs_fit_the_encoding() -> None:
    assert glyphs_for("utf-8") is BLOCKS
    assert glyphs_for("cp437") is glyphs_for("ascii") is glyphs_for(None) is glyphs_for("no such encoding") is ASCII


def test_the_axis_has_its_ticks_where_times_are() -> None:
    *_, base, texts = terminal.draw(one(), 118)
    line, times = base[1][0], texts[1][0]
    assert [i for i, c in enumerate(line) if c == "┴"] == [0, 15, 30, 45, 60, 75, 90]
    assert times.split() == ["0:00", "0:15", "0:30", "0:45", "1:00", "1:15", "1:30"]
    assert [times.index(text) for text in times.split()] == [0, 15, 30, 45, 60, 75, 90]


def test_marks_are_drawn_and_named_and_what_covers_all_is_told_in_words() -> None:
    marks = [
        Mark("shot", Segment(7, 7)),
        Mark("gap", Segment(50, 52), "no pictures for 2.00 s"),
        Mark("damage", Segment(0, 100), "3 bad packets"),
    ]
    lines = terminal.plain(list(terminal.draw(one(marks=marks), 118))).splitlines()
    assert lanes(one(marks=marks))["marks"] == " " * 7 + "╎" + " " * 42 + "××" + " " * 48 + "|"
    assert [line.strip() for line in lines if "cut" in line] == ["╎ cut, × no pictures"]
    assert "damaged: 3 bad packets" in lines


def test_methods_are_stacked_under_their_label() -> None:
    a = Row("A", timeline([("x", 0, 50, 1.0)], [("x", 0, 50)]))
    b = Row("B", timeline([("y", 50, 100, 0.5)]))
    text = terminal.plain(list(terminal.draw(picture([a, b]), 118))).splitlines()
    assert [line.split()[0] for line in text[2:-2]] == ["x", "A", "B", "truth", "y", "A", "B", "truth"]
    assert text[1] == "1:40 · A: 1 detection · B: 1 detection · 1 true"


def test_nothing_found_says_why() -> None:
    nothing = Timeline("v", 5.0, reason="no class passed rejection")
    text = terminal.plain(list(terminal.draw(picture([Row("", nothing)]), 60))).splitlines()
    assert text[1] == "0:05.0 · no detections (no class passed rejection)"


NAMES = st.text(max_size=30)
TIMES = st.floats(0, 200)
FOUND = st.lists(st.tuples(NAMES, TIMES, TIMES, st.floats(-5, 5)), max_size=5)


@QUICK
@given(found=FOUND, width=st.integers(1, 200), duration_s=st.floats(0, 1e5), ascii=st.booleans(), name=NAMES)
def test_no_line_is_wider_than_the_terminal(
    found: list[tuple[str, float, float, float]], width: int, duration_s: float, ascii: bool, name: str
) -> None:
    detections = tuple(Detection(label, Segment(min(s, e), max(s, e)), score) for label, s, e, score in found)
    shown = picture([Row(name, Timeline(name, duration_s, detections, ()))])
    for line in terminal.draw(shown, width, ASCII if ascii else BLOCKS):
        text = "".join(piece for piece, _ in line)
        assert cell_len(text.rstrip()) <= max(width, 40)
        assert text.isprintable() or not any(c in text for c in "\n\r\t\x1b")


# What pictures are made of


@pytest.mark.parametrize(
    ("duration_s", "n", "expected"),
    [
        (1.0, 6, (0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        (100.0, 9, (0, 15, 30, 45, 60, 75, 90)),
        (60.0, 3, (0, 30, 60)),
        (5400.0, 4, (0, 1800, 3600, 5400)),
        (100_000.0, 4, (0, 57600)),
        (0.05, 5, (0,)),
    ],
)
def test_ticks(duration_s: float, n: int, expected: tuple[float, ...]) -> None:
    assert ticks_s(duration_s, n) == expected


@QUICK
@given(st.floats(0.01, 1e6), st.integers(2, 30))
def test_there_are_never_more_ticks_than_asked_for(duration_s: float, n: int) -> None:
    times = ticks_s(duration_s, n)
    assert 1 <= len(times) <= n
    assert times[0] == 0
    assert times[-1] <= duration_s + 1e-6
    assert times[-1] + tick_step_s(duration_s, n) > duration_s - 1e-6


@pytest.mark.parametrize(
    ("seconds", "step_s", "text"),
    [(0, 1, "0:00"), (59.6, 1, "1:00"), (75, 15, "1:15"), (3600, 60, "1:00:00"), (1.26, 0.1, "0:01.3")],
)
def test_clock(seconds: float, step_s: float, text: str) -> None:
    assert clock(seconds, step_s) == text


def test_scores_become_shares() -> None:
    def of(*scores: float) -> list[float]:
        return list(shares(timeline([("x", 0, 1, score) for score in scores])).values())

    assert of(0.8, 0.4, 0.0) == [1.0, 0.5, 0.0]
    assert of(3.0, -1.0) == [1.0, 0.0]
    assert of(-2.0, -3.0, -4.0) == [1.0, 0.5, 0.0]
    assert of(0.0, 0.0) == [1.0, 1.0]
    assert of() == []


def test_columns_touch_at_least_one() -> None:
    assert columns(Segment(0, 100), 100, 50) == (0, 50)
    assert columns(Segment(10, 12), 100, 50) == (5, 6)
    assert columns(Segment(10, 10), 100, 50) == (5, 6)
    assert columns(Segment(99.9, 250), 100, 50) == (49, 50)
    assert columns(Segment(250, 300), 100, 50) == (49, 50)


def test_binning_keeps_peaks_and_fills_gaps() -> None:
    peaks = binned(np.arange(8) + 0.5, np.array([0, 5, 0, 0, 1, 0, 0, 2.0]), 8, 4)
    assert peaks.tolist() == [5, 0, 1, 2]
    between = binned(np.array([1.0, 7.0]), np.array([1.0, 7.0]), 8, 4)
    assert between.tolist() == [1, 3, 5, 7]


def test_what_is_not_wanted_is_left_out() -> None:
    row = Row("", timeline([("x", 0, 1, 0.9), ("x", 2, 3, 0.5), ("x", 4, 5, 0.7), ("y", 0, 1, 0.2)], [("z", 0, 1)]))

    def kept(*args: object) -> list[float]:
        return [one.score for one in picture([row], *args).rows[0].timeline.detections]  # type: ignore[arg-type]

    assert picture([row]).labels == ("z", "x", "y")
    assert kept() == [0.9, 0.7, 0.5, 0.2]
    assert kept(["x"]) == [0.9, 0.7, 0.5]
    assert kept((), 0.5) == [0.9, 0.7, 0.5]
    assert kept((), None, 1) == [0.9, 0.2]
    with pytest.raises(ConfigError, match=r"--class 'jump': not among what is known of this video; known: x, y, z"):
        kept(["jump"])


def test_a_picture_as_json_has_all_of_it() -> None:
    found = to_dict(one(found=[("x", 10, 20, 0.8)], truth=[("x", 12, 20)], networks=["a"]))
    assert found["truth"] == [{"label": "x", "segment": [12, 20]}]
    (method,) = found["methods"]
    assert method["detections"] == [{"label": "x", "segment": [10, 20], "score": 0.8}]
    assert sum(method["curves"]["a"]["cas"]["x"]) == 20
    assert sum(method["curves"]["a"]["attention"]) == 10
