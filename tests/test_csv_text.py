"""What is written as CSV is read as it was by Python's reader; no cell breaks a row or moves into another."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from bounded import refused
from hypothesis import example, given
from hypothesis import strategies as st

from tal.csv_text import written
from tal.errors import AnnotationError
from tal.feature_sets import read_durations

ROWS = st.lists(st.lists(st.text(max_size=8), min_size=1, max_size=4), max_size=6)


@given(rows=ROWS, separator=st.sampled_from(",;\t"), end=st.sampled_from(["\n", "\r\n"]))
@example(rows=[["a\0b", "\r", '"', ""], [""]], separator=",", end="\n")
def test_every_cell_is_read_as_it_was(rows: list[list[str]], separator: str, end: str) -> None:
    text = written(rows, separator, end)
    read = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    assert read == [[cell.replace("\0", "\ufffd") for cell in row] for row in rows]
    assert text.endswith(end) or not rows


def test_plain_cells_stay_plain() -> None:
    assert written([("video", "end"), ("a b", 2.5)], end="\r\n") == "video,end\r\na b,2.5\r\n"


@pytest.mark.parametrize("line", ["video," + "d" * 140_000, "v" * 140_000 + ",1\n"])
def test_a_first_line_that_is_no_csv_is_refused_in_one_line(line: str, tmp_path: Path) -> None:
    path = tmp_path / "durations.csv"
    path.write_text(f"{line}\nv,1\n")
    assert "line 1: not CSV (field larger than field limit" in refused(AnnotationError, lambda: read_durations(path))
