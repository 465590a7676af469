"""Detection files: what is written is read again, and what a wrong file is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from annotated import write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tal.errors import AnnotationError
from tal.results import THUMOS14_CLASSES, Results, dumps, read_results, to_json, write_results
from tal.types import Detection, Segment

QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
RUN = Detection("run", Segment(1.0, 2.5), 0.75)


def test_a_results_file_has_the_fields_of_activitynet() -> None:
    tree = to_json(Results({"b": (RUN,), "a": ()}, {"method": "stpn"}))
    assert tree["version"] == "tal 1"
    assert tree["results"] == {"b": [{"label": "run", "segment": [1.0, 2.5], "score": 0.75}], "a": []}
    assert set(tree["external_data"]) == {"used", "details"}
    assert tree["provenance"] == {"method": "stpn"}


def test_times_are_written_in_whole_milliseconds() -> None:
    found = to_json(
        Results({"v": (Detection("x", Segment(-0.0, 1 / 3), 1.0), Detection("x", Segment(0.0004, 2), 1.0))})
    )
    assert [d["segment"] for d in found["results"]["v"]] == [[0.0, 0.333], [0.0, 2.0]]
    assert "-0" not in json.dumps(found["results"])


MILLISECONDS = st.integers(0, 10**7)
DETECTIONS = st.builds(
    lambda label, a, b, score: Detection(label, Segment(min(a, b) / 1000, max(a, b) / 1000), score),
    st.text(min_size=1).filter(lambda text: text == text.strip()),
    MILLISECONDS,
    MILLISECONDS,
    st.floats(allow_nan=False, allow_infinity=False),
)


@QUICK
@given(by_video=st.dictionaries(st.sampled_from(["v", "w.1", "ü", "x y"]), st.lists(DETECTIONS, max_size=4).map(tuple)))
def test_what_is_written_is_read(tmp_path: Path, by_video: dict[str, tuple[Detection, ...]]) -> None:
    results = Results(by_video, {"seed": 3})
    write_results(tmp_path / "r.json", results)
    read = read_results(tmp_path / "r.json")
    assert read == results
    assert list(read.by_video) == list(by_video)
    assert (tmp_path / "r.json").read_text() == dumps(read)


@pytest.mark.parametrize(
    "wrong",
    [
        Detection("x", Segment(0, float("inf")), 1),
        Detection("x", Segment(0, 1), float("nan")),
        Detection("x", Segment(-1, 1), 1),
        Detection("x", Segment(2, 1), 1),
    ],
)
def test_what_could_not_be_read_is_not_written(tmp_path: Path, wrong: Detection) -> None:
    with pytest.raises(ValueError, match="not a detection that can be written"):
        write_results(tmp_path / "r.json", Results({"v": (wrong,)}))
    assert not list(tmp_path.iterdir())


def test_results_of_others_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "r.json", {"results": {"v.mp4": [{"label": "run", "segment": [1, 2.5], "score": 0.75}]}})
    assert read_results(path) == Results({"v": (RUN,)}, {})


GOOD = {"label": "x", "segment": [0, 1], "score": 0.5}
PROBLEMS = [
    ({"segment": ["0", 1]}, ".segment: expected a number, found '0'; write a finite number"),
    ({"segment": [1, 0.5]}, ".segment: ends (0.5 s) before it starts (1 s); put the start first"),
    ({"segment": [-1, 0.5]}, ".segment: the start is negative (-1 s); times count from the start of the video"),
    ({"segment": [1]}, ".segment: expected [start, end], found [1]; write two times in seconds"),
    ({"score": float("nan")}, ".score: expected a number, found nan; write a finite number"),
    ({"score": "0.5"}, ".score: expected a number, found '0.5'; write a finite number"),
    ({"score": None}, ".score: expected a number, found None; write a finite number"),
    ({"label": 3}, ".label: expected a text, found 3; write a name"),
]


@pytest.mark.parametrize(("change", "message"), PROBLEMS)
def test_wrong_detections_are_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = write(tmp_path / "r.json", {"results": {"v": [GOOD, {**GOOD, **change}]}})
    with pytest.raises(AnnotationError) as caught:
        read_results(path)
    assert str(caught.value) == f"{path}, results.v[1]{message}"


@pytest.mark.parametrize("field", ["label", "segment", "score"])
def test_missing_fields_are_named(tmp_path: Path, field: str) -> None:
    left = {name: value for name, value in GOOD.items() if name != field}
    path = write(tmp_path / "r.json", {"results": {"v": [left]}})
    with pytest.raises(AnnotationError) as caught:
        read_results(path)
    assert str(caught.value) == f"{path}, results.v[0]: no field '{field}' (found: {', '.join(left)}); add '{field}'"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ", line 1: not JSON (Expecting value); correct the syntax"),
        ("{}", ": no field 'results' (found: nothing); add 'results'"),
        ("[1]", ": expected an object, found [1]; write {...}"),
        ('{"database": {}}', ": ground truth where detections were expected; name the detections first"),
        (
            '{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1}',
            ": no field 'results' (found: a, b, c, d, e, …); add 'results'",
        ),
        ('{"results": []}', ", results: expected an object, found []; write {...}"),
        ('{"results": {"v": {}}}', ", results.v: expected a list, found {}; write [...]"),
        ('{"results": {"v": [], "v": []}}', ": the key 'v' occurs twice in one object; keep one of them"),
        (
            '{"results": {"v": [], "v.avi": []}}',
            ", results: two videos are named 'v' when suffixes are dropped; keep one of them",
        ),
        ('{"results": {}, "provenance": 1}', ", provenance: expected an object, found 1; write {...}"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "r.json", text)
    with pytest.raises(AnnotationError) as caught:
        read_results(path)
    assert str(caught.value) == f"{path}{message}"


# THUMOS14 text


@pytest.mark.parametrize("name", ["d.txt", "d", "detections.out"])
def test_the_content_tells_text_from_json(tmp_path: Path, name: str) -> None:
    read = read_results(write(tmp_path / name, "v 0 1 Diving 0.5\n"))
    assert read == Results({"v": (Detection("Diving", Segment(0, 1), 0.5),)})
    assert read_results(write(tmp_path / name, f" {dumps(read)}")) == read


def test_a_text_without_lines_holds_no_detections(tmp_path: Path) -> None:
    assert read_results(write(tmp_path / "d.txt", "\n")) == Results({})


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        (["9", "97"], ["BasketballDunk", "VolleyballSpiking"]),  # the official kit counts in UCF101
        (["9", "20"], ["FrisbeeCatch", "VolleyballSpiking"]),  # 1 to 20
        ([str(i) for i in range(1, 21)], list(THUMOS14_CLASSES)),
        (["Diving", "GolfSwing"], ["Diving", "GolfSwing"]),
        (["1", "9"], ["BaseballPitch", "FrisbeeCatch"]),  # 1 is no class of the kit
    ],
)
def test_class_indices_mean_what_the_whole_file_says(tmp_path: Path, classes: list[str], labels: list[str]) -> None:
    lines = [f"video_test_1.mp4 {i} {i + 1.5} {name} {i / 100}\n" for i, name in enumerate(classes)]
    found = read_results(write(tmp_path / "d.txt", "".join(lines))).by_video
    expected = [Detection(label, Segment(i, i + 1.5), i / 100) for i, label in enumerate(labels)]
    assert found == {"video_test_1": tuple(expected)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v 0 1 7 .5\nv 0 1 12 .5\n", ": class indices 7, 12 may count in UCF101 or from 1 to 20; write class names"),
        (
            "v 0 1 97 .5\nv 0 1 8 .5\n",
            ", line 2: unknown class '8'; use the indices of the THUMOS14 kit or class names",
        ),
        ("v 0 1 Divng .5\n", ", line 1: unknown class 'Divng'; did you mean 'Diving'?"),
        ("v 0 1 97\n", ", line 1: 4 fields; write VIDEO START END CLASS SCORE"),
        ("\nv 2 1 97 .5\n", ", line 2: ends (1 s) before it starts (2 s); put the start first"),
        ("v 0 1 97 nan\n", ", line 1: expected a number, found 'nan'; write a finite number"),
    ],
)
def test_wrong_detection_lines(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "d.txt", text)
    with pytest.raises(AnnotationError) as caught:
        read_results(path)
    assert str(caught.value) == f"{path}{message}"


def test_a_published_detection_file_is_read(shared: Path) -> None:
    found = read_results(shared / "data/detections/turn_flow_scnn_iou0.5.txt").by_video
    assert len(found) == 213
    assert sum(len(listed) for listed in found.values()) == 16565
    assert found["video_test_0000896"][0] == Detection("BasketballDunk", Segment(62.3, 64.7333333333), 0.0865174)


@pytest.mark.parametrize(("spec", "used"), [("random:0", False), ("default", True)])
def test_external_data_tells_whether_the_features_were_pre_trained(spec: str, used: bool) -> None:
    found = to_json(Results({}, {"features": {"weights_spec": spec}}))
    assert found["external_data"]["used"] is used
