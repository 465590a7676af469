"""The report's file: what is in it, that nothing in it can break out, what it weighs, how videos enter it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reported import DURATION_S, HOSTILE, curves, timeline

from tal.report import Page, render
from tal.report.page import FOLDER
from tal.report.payload import MAX_POINTS, decimated, packed, payload, script_json
from tal.timelines import Timeline
from tal.types import Detection, Segment


class Read(HTMLParser):
    """What a parser of HTML sees: the scripts by their id, and all tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: dict[str, str] = {}
        self.code: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._inside: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = (dict(attrs).get("id") or "") if tag == "script" else None

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[self._inside] = self.scripts.get(self._inside, "") + data
        elif self._inside == "":
            self.code.append(data)


def shown(*timelines: Timeline, **more: Any) -> Read:
    return Read("".join(render(Page("A report", timelines, **more))))


def test_the_file_holds_the_data_and_asks_for_nothing() -> None:
    found = shown(timeline())
    data = json.loads(found.scripts["video-0"])
    assert data["labels"] == ["jump", "throw"]
    assert data["detections"][0] == [0, 10, 16, 0.9]
    assert data["truth"] == [[0, 10, 15], [1, 31, 34], [0, 45, 47]]
    assert [kind for kind, *_ in data["marks"]] == ["damage", "shot", "gap", "ambiguous"]
    assert list(data["curves"]) == ["rgb", "flow"]
    assert json.loads(found.scripts["overview"]) is None
    (card,) = json.loads(found.scripts["index"])["videos"]
    assert card == {
        **{"name": "games", "href": "#/video/games", "duration_s": 60.0, "n_detections": 4, "n_truth": 3},
        **{"best": 0.9, "labels": ["jump", "throw"], "reason": ""},
    }
    linked = [(tag, value) for tag, attrs in found.tags for key in ("src", "href") if (value := attrs.get(key))]
    assert set(linked) == {("a", "#main"), ("a", "#/"), ("link", "data:,")}


def test_no_truth_is_not_the_same_as_no_instance() -> None:
    found = shown(Timeline("unknown", 1.0), Timeline("none", 1.0, truth=()))
    assert json.loads(found.scripts["video-0"])["truth"] is None
    assert json.loads(found.scripts["video-1"])["truth"] == []
    assert [card["n_truth"] for card in json.loads(found.scripts["index"])["videos"]] == [None, 0]


def test_only_scripts_with_a_known_hash_may_run() -> None:
    import hashlib

    found = shown(timeline())
    (policy,) = [attrs["content"] or "" for tag, attrs in found.tags if attrs.get("http-equiv")]
    allowed = re.search(r"script-src ([^;]*);", policy)
    assert allowed is not None
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in found.code]
    assert allowed[1].split() == [f"'sha256-{one}'" for one in hashes]
    assert policy.startswith("default-src 'none';")


def test_the_plotting_library_travels_with_its_licence() -> None:
    folder = FOLDER / "assets" / "uplot"
    version = (folder / "VERSION").read_text().strip()
    assert f"(v{version})" in (folder / "uPlot.iife.min.js").read_text()[:300]
    assert "The MIT License" in (folder / "LICENSE").read_text()


@settings(max_examples=25, deadline=None)
@given(st.text(), st.text())
def test_no_text_ends_its_script(name: str, label: str) -> None:
    hostile = timeline(name + HOSTILE, labels=(label + HOSTILE, "b"))
    found = Read("".join(render(Page(name + HOSTILE, [hostile]))))
    assert json.loads(found.scripts["video-0"])["name"] == name + HOSTILE
    assert json.loads(found.scripts["index"])["videos"][0]["labels"][0] == label + HOSTILE
    assert len(found.code) == len(shown(timeline()).code)
    assert not [tag for tag, _ in found.tags if tag == "img"]


@given(st.recursive(st.text() | st.floats(allow_nan=False, allow_infinity=False) | st.none(), st.lists))
def test_json_in_a_script_is_read_back_and_has_no_markup(value: object) -> None:
    text = script_json(value)
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_json_keeps_half_characters() -> None:
    assert json.loads(script_json("\ud800")) == "\ud800"  # such names come from JSON files


def test_videos_are_written_one_at_a_time() -> None:
    asked: list[int] = []

    def endless() -> Iterator[Timeline]:
        for k in range(3):
            asked.append(k)
            yield Timeline(f"video {k}", 1.0)

    for piece in render(Page("A report", endless())):
        if 'id="video-0"' in piece or '"video 0"' in piece:
            break
    assert asked == [0]


def unpacked(plain: dict[str, Any]) -> np.ndarray:
    levels = np.frombuffer(base64.b64decode(plain["data"]), "<u2").astype(np.float64)
    return plain["low"] + levels * (plain["high"] - plain["low"]) / 65535


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=200))
def test_packed_curves_are_right_within_half_a_level(values: list[float]) -> None:
    array = np.array(values, np.float32)
    spread = float(array.max()) - float(array.min())
    bound = spread / 65535 * 0.5 + 1e-5 * float(np.abs(array).max())  # bounds are written with 6 digits
    assert np.abs(unpacked(packed(array)) - array).max() <= bound + 1e-12


def test_what_is_not_finite_is_drawn_at_the_bottom() -> None:
    assert unpacked(packed(np.array([1.0, np.nan, 3.0, np.inf]))).tolist() == [1, 1, 3, 1]
    assert unpacked(packed(np.array([np.nan, np.nan]))).tolist() == [0, 0]


@given(st.integers(MAX_POINTS + 1, 5 * MAX_POINTS), st.integers(0, 2**32 - 1))
def test_decimation_keeps_every_extreme(t: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=t)
    kept = decimated(values)
    assert len(kept) == MAX_POINTS
    bounds = np.arange(MAX_POINTS // 2 + 1) * t // (MAX_POINTS // 2)
    for k in (0, 7, MAX_POINTS // 2 - 1):
        stretch, pair = values[bounds[k] : bounds[k + 1]], kept[2 * k : 2 * k + 2]
        assert (pair.min(), pair.max()) == (stretch.min(), stretch.max())
        assert (pair[0] <= pair[1]) == (stretch.argmin() <= stretch.argmax())


def test_times_of_a_long_curve_span_the_video() -> None:
    one = curves(["jump"], n=10 * MAX_POINTS)
    first, last, n = payload(Timeline("long", DURATION_S, curves={"rgb": one}))["curves"]["rgb"]["times_s"]
    assert n == MAX_POINTS
    assert first == pytest.approx(DURATION_S / MAX_POINTS / 2, abs=1e-4)
    assert last == pytest.approx(DURATION_S - DURATION_S / MAX_POINTS / 2, abs=1e-4)


def test_half_an_hour_with_twenty_classes_stays_below_3_mb() -> None:
    labels = [f"class {k}" for k in range(20)]
    n = 1800 * 25 // 16
    found = tuple(Detection(labels[k % 20], Segment(k, k + 3), 1 - k / 2000) for k in range(1000))
    both = {"rgb": curves(labels, 1800, n), "flow": curves(labels, 1800, n)}
    text = "".join(render(Page("A report", [Timeline("long", 1800.0, found, curves=both)])))
    assert len(text.encode()) < 3_000_000


def test_segments_without_an_end_and_scores_that_are_none_can_be_drawn() -> None:
    endless = Timeline("v", 9.0, (Detection("a", Segment(1, float("inf")), float("nan")),))
    assert payload(endless)["detections"] == [[0, 1, 9, 0]]
