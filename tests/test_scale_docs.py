"""docs/scale.md shows what the result files say: its tables and figures are those that the script makes of them."""

from __future__ import annotations

import re
import sys
from xml.etree import ElementTree

import documents
import pytest

from tal.files import shipped

sys.path.append(str(shipped("benchmarks")))

import _scale_docs
import _scale_figures
from _scale_rates import Assumptions, measured

PAGE = documents.DOCS / "scale.md"
REMEDY = "run 'python benchmarks/_scale_docs.py'"


def test_every_table_of_the_page_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert _scale_docs.filled(text) == text, REMEDY


def test_every_table_that_can_be_made_stands_on_the_page() -> None:
    named = re.findall(r"<!-- table: (\w+) -->\n\|", PAGE.read_text(encoding="utf-8"))
    assert sorted(named) == sorted([*_scale_docs.TABLES, *_scale_docs.FROM_RESULTS])


def test_tables_take_the_place_of_what_stood_between_their_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_scale_docs.TABLES, "money", lambda rates, a: "| new |\n")
    page = "a\n<!-- table: money -->\n| old |\n| older |\n<!-- end -->\nb <!-- end -->\n"
    assert _scale_docs.filled(page) == "a\n<!-- table: money -->\n| new |\n<!-- end -->\nb <!-- end -->\n"


def test_figures_are_small_and_drawn_the_same_each_time() -> None:
    drawn, again = (_scale_figures.draw(measured(), Assumptions(), _scale_docs.result_rows()) for _ in range(2))
    assert drawn == again
    assert sorted(drawn) == ["scale-cores.svg", "scale-gpus.svg"]
    for name, text in drawn.items():
        assert len(text.encode()) <= 100_000
        assert ElementTree.fromstring(text).tag.endswith("svg")
        assert (documents.DOCS / "images" / name).is_file(), REMEDY
        assert f"images/{name}" in PAGE.read_text(encoding="utf-8")


def test_simulated_fleets_of_equal_videos_stay_below_the_least_limit() -> None:
    found = [row for row in _scale_docs.result_rows() if "cores a GPU" in row["name"]]
    assert len(found) == 9
    assert all(0.5 * row["peer"] < row["ours"] <= row["peer"] for row in found)


def test_passes_that_were_not_fitted_on_are_predicted() -> None:
    """Whole commands depend on what else the machine did; passes that wait do not."""
    found = [row for row in _scale_docs.result_rows() if row["name"].startswith("measured, waiting")]
    assert len(found) == 5
    assert all(abs(row["peer"] / row["ours"] - 1) < 0.15 for row in found)
