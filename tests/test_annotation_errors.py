"""What a wrong file of labels or ground truth is told: file, place, problem, remedy, in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from annotated import database, entry, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tal.annotations import read_labels, read_truth
from tal.errors import AnnotationError

QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

CSV_PROBLEMS = {
    "video,lable\nv,x\n": ", line 1: no column 'label' (found: video, lable); rename 'lable' to 'label'",
    "film:what\nv:x\n": ", line 1: no column 'video' (found: film:what); the header must name video, label",
    "video,label,label\nv,x,y\n": ", line 1: two columns 'label'; keep one of them",
    "": ": no column 'video' (found: nothing); the header must name video, label",
    "video,label\n": ": no videos; annotate at least one",
    "video,label\nv,\nw\n": ": no labels; add one per video",
    "video,label\n,x\n": ", line 2: empty 'video'; write the video or remove the row",
    "video,label\nv,x,y\n": (
        ", line 2: 3 cells under 2 columns; write one cell per column; quote cells that contain commas"
    ),
    'video,label\nv,"x\n': ", line 2: not CSV (unexpected end of data); check its quotes",
    "video,label,subset\nv,x,a\nv,y,b\n": (
        ", line 3: video 'v' is in subset 'b' here and in 'a' above; give each video one subset"
    ),
    "video,label,subset\nv,x,a\nw,y,b\n": ": several subsets (a, b); choose one with --subset",
    "video,label\nv,Ambiguous\n": ": no labels; add one per video",
}


@pytest.mark.parametrize(("text", "message"), CSV_PROBLEMS.items())
def test_wrong_label_files(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "l.csv", text)
    with pytest.raises(AnnotationError) as caught:
        read_labels(path)
    assert str(caught.value) == f"{path}{message}"


ENTRY = "database.v.annotations[0]"
TRUTH_PROBLEMS = [
    (entry(("x", 2, 1)), f"{ENTRY}.segment: ends (1 s) before it starts (2 s); put the start first"),
    (entry(("x", -1, 1)), f"{ENTRY}.segment: the start is negative (-1 s); times count from the start of the video"),
    (entry(("x", 0, float("nan"))), f"{ENTRY}.segment: expected a number, found nan; write a finite number"),
    (entry(("x", 0, 10**400)), None),
    (entry(("x", "one", 2)), f"{ENTRY}.segment: expected a number, found 'one'; write a finite number"),
    (entry(("x", True, 2)), f"{ENTRY}.segment: expected a number, found True; write a finite number"),
    (entry(("", 0, 1)), f"{ENTRY}.label: expected a text, found ''; write a name"),
    (
        {"annotations": [{"label": "x", "segment": 3}]},
        f"{ENTRY}.segment: expected [start, end], found 3; write two times in seconds",
    ),
    ({"annotations": ["x"]}, f"{ENTRY}: expected an object, found 'x'; write {{...}}"),
    ({"annotations": {}}, "database.v.annotations: expected a list, found {}; write [...]"),
    ({"subset": "test"}, "database.v: no field 'annotations' (found: subset); add 'annotations'"),
    (entry(subset=3), "database.v.subset: expected a text, found 3; write the name of a split"),
    (entry(duration="long"), "database.v.duration: expected a number, found 'long'; write a finite number"),
    (entry(duration=-1), "database.v.duration: the duration is negative (-1 s); write seconds"),
    (7, "database.v: expected an object, found 7; write {...}"),
]


@pytest.mark.parametrize(("video", "message"), TRUTH_PROBLEMS)
def test_wrong_truth_names_the_entry(tmp_path: Path, video: object, message: str | None) -> None:
    path = write(tmp_path / "t.json", database(v=video))
    with pytest.raises(AnnotationError) as caught:
        read_truth(path)
    assert str(caught.value).startswith(f"{path}, database.v")
    assert message is None or str(caught.value) == f"{path}, {message}"


JSON_PROBLEMS = {
    "{": ", line 1: not JSON (",
    "[]": ": expected an object, found []; write {...}",
    "{}": ": no field 'database' (found: nothing); add 'database'",
    '{"databse": {}}': ": no field 'database' (found: databse); add 'database'",
    '{"database": {}}': ": no videos; annotate at least one",
    '{"database": {"v": {}, "v": {}}}': ": the key 'v' occurs twice in one object; keep one of them",
    '{"database": {"v": {"annotations": []}, "v.mp4": {"annotations": []}}}': (
        ", database: two videos are named 'v' when suffixes are dropped; keep one of them"
    ),
    "[" * 100_000: ": not JSON that can be read; check how it was written",
}


@pytest.mark.parametrize(("text", "message"), JSON_PROBLEMS.items(), ids=range(len(JSON_PROBLEMS)))
def test_wrong_json(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "t.json", text)
    with pytest.raises(AnnotationError) as caught:
        read_truth(path)
    assert str(caught.value).startswith(f"{path}{message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v 1 2\nv 1\n", "line 2: 2 fields; write VIDEO START END"),
        ("v one 2\n", "line 1: expected a number, found 'one'; write a finite number"),
        ("v 3 2\n", "line 1: ends (2 s) before it starts (3 s); put the start first"),
    ],
)
def test_wrong_thumos14_lines(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "Diving_val.txt", text)
    with pytest.raises(AnnotationError) as caught:
        read_truth(tmp_path)
    assert str(caught.value) == f"{path}, {message}"


def test_wrong_truth_csv_names_line_and_column(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "video,label,start,end\nv,x,0,1\nv,x,zero,1\n")
    with pytest.raises(AnnotationError) as caught:
        read_truth(path)
    assert (
        str(caught.value) == f"{path}, line 3, column 'start': expected a number, found 'zero'; write a finite number"
    )
    with pytest.raises(AnnotationError, match=r"no column 'start' \(found: video, label\); the header must name"):
        read_truth(write(tmp_path / "l.csv", "video,label\nv,x\n"))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    formats = "give a .csv, a .json or a THUMOS14 folder"
    (tmp_path / "latin.csv").write_bytes("video,label\nv,Plongée\n".encode("latin-1"))
    (tmp_path / "x.npy").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    problems = {
        "gone.csv": "cannot be read (No such file or directory); check the path",
        "gone": f"no such file or folder; {formats}",
        "latin.csv": "not UTF-8 (byte 19); save it as UTF-8",
        "x.npy": f"not a format that is read here; {formats}",
        "empty": "no files CLASS_val.txt or CLASS_test.txt; give the folder that holds them",
    }
    for name, problem in problems.items():
        with pytest.raises(AnnotationError) as caught:
            read_labels(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {problem}"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PATHS: list[list[Any]] = [
    ["database"],
    ["database", "v"],
    ["database", "v", "subset"],
    ["database", "v", "duration"],
    ["database", "v", "annotations"],
    ["database", "v", "annotations", 0],
    ["database", "v", "annotations", 0, "label"],
    ["database", "v", "annotations", 0, "segment"],
    ["database", "v", "annotations", 0, "segment", 1],
]


@QUICK
@given(keys=st.sampled_from(PATHS), value=JSON_VALUES)
def test_anything_in_any_place_is_read_or_told_in_one_line(tmp_path: Path, keys: list[Any], value: object) -> None:
    tree: Any = database(v=entry(("x", 0, 1), subset="train", duration=2))
    *path, last = keys
    place = tree
    for key in path:
        place = place[key]
    place[last] = value
    for read in (read_truth, read_labels):
        try:
            read(write(tmp_path / "t.json", tree))
        except AnnotationError as error:
            assert len(str(error).splitlines()) == 1
