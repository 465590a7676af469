"""What notebooks show: everything at its time, nothing that runs, nothing from elsewhere, all names escaped."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tal import display
from tal.annotations import Instance
from tal.display import texts
from tal.display.lanes import NEUTRAL, PALETTE, tick_step_s
from tal.results import Results
from tal.timelines import Curves, Mark, Timeline
from tal.types import Detection, Segment

QUICK = settings(max_examples=60, deadline=None)
LABELS = st.text(max_size=12)
DETECTIONS = st.builds(
    lambda label, start, length, score: Detection(label, Segment(start, start + length), score),
    LABELS,
    st.floats(0, 1e5),
    st.floats(0, 1e4),
    st.floats(-1e3, 1e3),
)
RUN = Detection("run", Segment(25.0, 75.0), 0.5)


def parse(html: str) -> ElementTree.Element:
    """Return the tree of what is shown, which is well-formed XML."""
    return ElementTree.fromstring(html)


def bars(tree: ElementTree.Element) -> dict[str, tuple[float, float]]:
    """Return where each titled thing lies: its words to left and right end, as shares of the axis."""
    axis = [re.fullmatch(r"M(\S+) \S+H(\S+)", path.attrib["d"]) for path in tree.iter("path")]
    left, right = next((float(m[1]), float(m[2])) for m in axis if m)
    found = {}
    for group in tree.iter("g"):
        rect, title = group.find("rect"), group.find("title")
        assert rect is not None and title is not None
        x = float(rect.attrib["x"])
        ends = ((x - left) / (right - left), (x + float(rect.attrib["width"]) - left) / (right - left))
        found[str(title.text)] = ends
    return found


@QUICK
@given(video=st.text(max_size=12), found=st.lists(DETECTIONS, max_size=8), reason=st.text(max_size=12))
def test_nothing_in_it_runs_or_comes_from_elsewhere(video: str, found: list[Detection], reason: str) -> None:
    html = display.timeline(display.Detected(video, tuple(found), reason))
    tree = parse(html)
    known = {"div", "strong", "svg", "g", "title", "rect", "text", "path", "details", "summary"}
    assert {node.tag for node in tree.iter()} <= known | {"table", "thead", "tbody", "tr", "th", "td"}
    names = {name for node in tree.iter() for name in node.attrib}
    assert not {name for name in names if name.startswith("on") or name in {"href", "src", "id", "class"}}
    assert "http" not in re.sub('>[^<]*<|aria-label="[^"]*"', "", html)


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '" onload="x', "a&amp;b", "\x1b[31m\x00", "\ud800"])
def test_names_are_words_and_nothing_else(evil: str) -> None:
    found = (Detection(evil, Segment(0, 1), 1.0),)
    for html in (display.timeline(display.Detected(evil, found)), Results({evil: found})._repr_html_()):
        tree = parse(html)
        shown = "".join(tree.itertext())
        assert texts.safe(evil) in shown
        assert "<script" not in html and 'onload="' not in html
        html.encode()


def test_bars_lie_where_their_times_are() -> None:
    truth, marks = (Instance("jump", Segment(10, 20)),), (Mark("gap", Segment(50, 60), "lost"),)
    html = Timeline("v", 100.0, (RUN,), truth, {}, marks)._repr_html_()
    found = bars(parse(html))
    assert found["run: 25.00 to 75.00 s, score 0.500"] == pytest.approx((0.25, 0.75), abs=1e-4)
    assert found["truth, jump: 10.00 to 20.00 s"] == pytest.approx((0.1, 0.2), abs=1e-4)
    assert found["gap: 50.00 to 60.00 s lost"] == pytest.approx((0.5, 0.6), abs=1e-4)


def test_what_ends_after_the_video_still_fits() -> None:
    late = Detection("run", Segment(90.0, 200.0), 1.0)
    (ends,) = bars(parse(Timeline("v", 100.0, (late,))._repr_html_())).values()
    assert ends == pytest.approx((0.45, 1.0), abs=1e-4)


def test_each_class_has_a_lane_of_its_own() -> None:
    found = tuple(Detection(label, Segment(0, 1), score) for label, score in (("a", 0.2), ("b", 0.9), ("a", 0.3)))
    tree = parse(display.timeline(display.Detected("v", found)))
    rows = {str(g.findtext("title"))[0]: set[str]() for g in tree.iter("g")}
    for group in tree.iter("g"):
        rect = group.find("rect")
        assert rect is not None
        rows[str(group.findtext("title"))[0]].add(rect.attrib["y"])
    assert {label: len(ys) for label, ys in rows.items()} == {"a": 1, "b": 1}
    assert min(rows["b"]) != min(rows["a"])
    names = [text.text for text in tree.iter("text") if text.attrib["text-anchor"] == "end"]
    assert names == ["b", "a"]  # the best detection first


def test_fuller_bars_score_higher() -> None:
    found = tuple(Detection("a", Segment(i, i + 1), score) for i, score in enumerate((1.0, 0.5, 0.0)))
    tree = parse(display.timeline(display.Detected("v", found)))
    filled = {g.findtext("title"): float(g.find("rect").attrib["fill-opacity"]) for g in tree.iter("g")}  # type: ignore[union-attr]
    assert [filled[f"a: {i}.00 to {i + 1}.00 s, score {s:.3f}"] for i, s in enumerate((1, 0.5, 0))] == [0.85, 0.5, 0.15]


def test_a_video_without_detections_says_why() -> None:
    html = display.timeline(display.Detected("v", (), "no class above 0.1"))
    assert "no detections: no class above 0.1" in html and "<svg" not in html
    assert "<svg" in Timeline("v", 10.0)._repr_html_()


def test_attention_is_a_curve_of_at_most_400_points() -> None:
    times_s, attention = np.linspace(0, 100, 5000), np.linspace(0, 1, 5000, dtype=np.float32)
    curves = {"flow": Curves(times_s, {}, {}, None), "rgb": Curves(times_s, {}, {}, attention)}
    tree = parse(Timeline("v", 100.0, (RUN,), None, curves)._repr_html_())
    (line,) = tree.iter("polyline")
    points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    assert 100 < len(points) <= 400
    heights = [y for _, y in points]
    assert heights == sorted(heights, reverse=True)  # upwards on the page
    (line,) = (e for e in tree.iter("text") if e.text == "attention")


def test_what_is_too_much_is_left_out_and_told() -> None:
    many = tuple(Detection(f"c{i % 40:02d}", Segment(i, i + 1), 1 - i / 1000) for i in range(1000))
    html = display.timeline(display.Detected("v", many))
    assert len(list(parse(html).iter("g"))) == 400
    assert "600 detections are not drawn" in html and "best 50 of 1000 detections" in html
    assert len(html) < 200_000
    videos = Results({f"v{i}": () for i in range(30)})._repr_html_()
    assert "and 10 more videos" in videos and "v19" in videos and "v20" not in videos


@QUICK
@given(span_s=st.floats(1e-3, 36000))
def test_ticks_are_neither_crowded_nor_rare(span_s: float) -> None:
    step_s = tick_step_s(span_s)
    assert 3.99 <= span_s / step_s <= 10.001


@pytest.mark.parametrize(("span_s", "last"), [(8.0, "8 s"), (0.45, "0.45 s"), (600.0, "10:00"), (5400.0, "90:00")])
def test_ticks_are_seconds_or_minutes(span_s: float, last: str) -> None:
    tree = parse(Timeline("v", span_s)._repr_html_())
    assert [text.text for text in tree.iter("text")][-1] == last


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.1)."""
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in shares]
    return sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("colour", [*PALETTE, NEUTRAL])
@pytest.mark.parametrize("page", ["#ffffff", "#111111"])
def test_colours_stand_out_on_light_and_on_dark_pages(colour: str, page: str) -> None:
    low, high = sorted((luminance(colour), luminance(page)))
    assert (high + 0.05) / (low + 0.05) >= 3


def test_text_takes_the_colour_of_the_page() -> None:
    tree = parse(display.timeline(display.Detected("v", (RUN,))))
    assert {text.attrib["fill"] for text in tree.iter("text")} == {"currentColor"}


def test_tables() -> None:
    tree = parse(display.table("<t>", ["a", "b & c"], [("x<y", 0.12345), (None, 3)], ["n > 1"]))
    assert [cell.text for cell in tree.iter("td")] == ["x<y", "0.123", None, "3"]
    assert [cell.text for cell in tree.iter("th")] == ["a", "b & c"]
    assert tree.findtext(".//caption") == "<t>" and tree.findtext("p") == "n > 1"
    with pytest.raises(ValueError, match="1 cells under 2 columns"):
        display.table("", ["a", "b"], [("x",)])


def test_columns_of_text() -> None:
    rows = [("a", "1.5"), ("日本", "22.25"), ("x\x1b", "3")]
    assert texts.columns(("name", "s"), rows, 1).splitlines() == [
        "name      s",
        "a       1.5",
        "日本  22.25",
        "x�        3",
    ]
