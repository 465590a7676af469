"""`tal label`: a template that loses nothing of what is there, and the command."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import labelled
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled import QUICK, videos
from small import Done, tal

from tal.annotations import read_labels
from tal.errors import AnnotationError, InputError
from tal.pipeline.labelling import make_template

films = labelled.films  # a fixture


# The template


def test_a_template_has_a_row_per_video(films: Path, tmp_path: Path) -> None:
    made = make_template(films, tmp_path / "labels.csv")
    assert made.path.read_bytes() == b"video,label\na.mp4,\nb.avi,\nc.mkv,\n"
    assert (made.added, made.n_kept, made.n_unlabelled) == (("a", "b", "c"), 0, 3)


def test_a_filled_in_template_is_read(films: Path, tmp_path: Path) -> None:
    path = make_template(films, tmp_path / "labels.csv").path
    path.write_text(path.read_text().replace("a.mp4,", "a.mp4,jump").replace("c.mkv,", "c.mkv,run"))
    assert read_labels(path).by_video == {"a": ("jump",), "c": ("run",)}


def test_new_videos_are_added_below_in_the_files_own_manner(films: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    before = b'\xef\xbb\xbfnote;label;video\r\n"seen; twice";jump;b\r\nold;run;gone.mp4'
    path.write_bytes(before)
    made = make_template(films, path)
    assert path.read_bytes() == before + b"\r\n;;a.mp4\r\n;;c.mkv\r\n"
    assert (made.added, made.n_kept, made.n_unlabelled) == (("a", "c"), 2, 2)
    assert make_template(films, path).added == ()
    assert path.read_bytes() == before + b"\r\n;;a.mp4\r\n;;c.mkv\r\n"


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


@QUICK
@given(rows=st.lists(st.tuples(CELL, CELL), max_size=5), mark=st.sampled_from(",;\t|"))
def test_nothing_that_was_typed_is_lost(tmp_path: Path, rows: list[tuple[str, str]], mark: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=mark).writerows([("video", "label"), *rows])
    path = tmp_path / "labels.csv"
    path.write_bytes(before := text.getvalue().encode())
    make_template(videos(tmp_path, "a.mp4", "b.mp4"), path)
    assert path.read_bytes().startswith(before)
    after = list(csv.reader(io.StringIO(path.read_bytes().decode(), newline=""), delimiter=mark))
    there = {name.strip() for name, _ in rows if name.strip()}
    assert {row[0].strip() for row in after[1:]} - {""} >= there
    assert {"a", "b"} <= {row[0].strip().removesuffix(".mp4") for row in after[1:] if row}


def test_names_that_are_not_ascii_get_a_mark_that_spreadsheets_need(tmp_path: Path) -> None:
    films = videos(tmp_path, "Sprünge.mp4")
    path = make_template(films, tmp_path / "labels.csv").path
    assert path.read_bytes() == b"\xef\xbb\xbfvideo,label\n" + "Sprünge.mp4,\n".encode()
    path.write_bytes(path.read_bytes().replace(b",\n", b",jump\n"))
    assert read_labels(path).by_video == {"Sprünge": ("jump",)}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'video,label\na,"jump\n', ", line 2: not CSV (unexpected end of data); check its quotes"),
        ("video,label\na,Plongée\n".encode("latin-1"), ": not UTF-8 (byte 19); save it as UTF-8"),
        (b"film,label\n", ", line 1: no column 'video' (found: film, label); the header must name video"),
    ],
)
def test_a_file_that_is_no_table_is_left_alone(films: Path, tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(AnnotationError) as caught:
        make_template(films, path)
    assert str(caught.value) == f"{path}{problem}"
    assert path.read_bytes() == content


def test_a_file_of_another_kind_is_never_written_over(films: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels.xlsx"
    path.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"labels\.xlsx: not a \.csv file; choose one with --output"):
        make_template(films, path)
    assert path.read_bytes() == b"PK"


# The command


def label(folder: Path, *arguments: object) -> Done:
    return tal("label", "videos", *arguments, cwd=folder, cache=folder / "cache")


def test_label_then_check(films: Path, tmp_path: Path) -> None:
    done = label(tmp_path)
    assert (done.returncode, done.stdout) == (0, "labels.csv\n")
    assert done.stderr.splitlines() == [
        "3 videos added, 0 rows kept as they were",
        "3 videos have no label yet: write the action beside each, then add --check",
    ]
    empty = label(tmp_path, "--check")
    assert (empty.returncode, empty.stdout.splitlines()[0]) == (
        1,
        "labels.csv: no label at all; write an action beside each video",
    )
    assert empty.stderr.splitlines() == [
        "0 of 3 videos have a label; 0 labels",
        "tal: labels.csv: 1 thing keeps it from being used; correct what is listed above",
    ]
    (tmp_path / "labels.csv").write_text("video,label\na,jump\nb,jump\nc,jump\n")
    good = label(tmp_path, "--check")
    assert (good.returncode, good.stdout) == (0, "")
    assert good.stderr.splitlines() == ["     3  jump", "3 of 3 videos have a label; 1 label"]


def test_many_lines_of_a_kind_are_cut_and_json_has_all(tmp_path: Path) -> None:
    videos(tmp_path, *(f"v{i:02d}.mp4" for i in range(30)))
    rows = [f"v{i:02d},jump" if i < 5 else f"v{i:02d}," for i in range(30)]
    (tmp_path / "labels.csv").write_text("\n".join(["video,label", *rows]))
    done = label(tmp_path, "--check")
    assert done.returncode == 0
    assert done.stdout.splitlines()[9:] == [
        "labels.csv, line 16: video 'v14' has no label; write one, or it is not learnt from",
        "... and 15 more lines like this: --json shows all",
    ]
    found = json.loads(label(tmp_path, "--check", "--json").stdout)
    assert len(found["findings"]) == 25
    assert (found["n_videos"], found["n_labelled"], found["classes"]) == (30, 5, {"jump": 5})
