"""What Python users hold in their hands: the package itself, and results that are walked through and narrowed down."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tal
from tal.errors import AnnotationError, BackendError, ConfigError
from tal.pipeline import ExtractReport, Run
from tal.results import Results, UnknownVideo
from tal.types import Detection, Segment

QUICK = settings(max_examples=60, deadline=None)
RUN, JUMP = Detection("run", Segment(1.0, 2.5), 0.75), Detection("jump", Segment(0.5, 4.0), 0.25)
WAVE = Detection("wave", Segment(3.0, 4.0), 0.5)
FOUND = Results({"a": (JUMP, RUN), "b": (), "c": (WAVE,)}, {"method": "stpn", "empty": {"b": "no class above 0.1"}})


def test_importing_loads_nothing() -> None:
    code = (
        "import sys, tal\nnames = dir(tal)\n"
        "assert 'localize' in names and 'Results' in names\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'cv2', 'av', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy\nassert tal.Results.__name__ == 'Results'\n"
        "assert not {'torch', 'cv2', 'av'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_all_names_are_there_and_listed() -> None:
    assert tal.__all__ == sorted(tal.__all__)
    assert set(tal.__all__) <= set(dir(tal))
    for name in tal.__all__:
        assert getattr(tal, name) is not None
    assert tal.localize is tal.pipeline.localize
    assert tal.Detection is Detection and tal.Results is Results


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(AttributeError, match="module 'tal' has no attribute 'localise'"):
        _ = tal.localise


def test_walking_through() -> None:
    assert list(FOUND) == [("a", JUMP), ("a", RUN), ("c", WAVE)]
    assert len(FOUND) == 3
    assert FOUND.videos == ("a", "b", "c")
    assert FOUND.labels == ("jump", "run", "wave")
    assert FOUND["a"] == (JUMP, RUN) and FOUND["a.mp4"] == (JUMP, RUN) and FOUND["b"] == ()


def test_a_name_with_a_suffix_goes_before_one_without() -> None:
    both = Results({"a.mp4": (RUN,), "a": ()})
    assert both["a.mp4"] == (RUN,)


def test_an_unknown_video_is_told() -> None:
    with pytest.raises(UnknownVideo) as caught:
        FOUND["video"]
    assert str(caught.value) == "no video 'video' in these results; known: a, b, c"
    with pytest.raises(KeyError):
        FOUND["d"]
    with pytest.raises(ConfigError, match="did you mean 'long_name'"):
        Results({"long_name": ()})["long_nam"]


def test_narrowing_down() -> None:
    assert FOUND.top(1).by_video == {"a": (RUN,), "b": (), "c": (WAVE,)}
    assert FOUND.above(0.5).by_video == {"a": (RUN,), "b": (), "c": (WAVE,)}
    assert FOUND.only(["jump", "wave"]).by_video == {"a": (JUMP,), "b": (), "c": (WAVE,)}
    assert FOUND.only("run").by_video == {"a": (RUN,), "b": (), "c": ()}
    assert FOUND.only("nothing").by_video == {"a": (), "b": (), "c": ()}


def test_what_was_narrowed_says_so() -> None:
    narrowed = FOUND.above(0.3).only({"run", "jump"}).top(2)
    steps = [{"above": 0.3}, {"only": ["jump", "run"]}, {"top": 2}]
    assert narrowed.provenance == {**FOUND.provenance, "narrowed": steps}
    assert "narrowed" not in FOUND.provenance


def test_a_negative_number_of_detections() -> None:
    with pytest.raises(ValueError, match="-1 is no number of detections"):
        FOUND.top(-1)


DETECTIONS = st.builds(
    lambda label, start, score: Detection(label, Segment(start, start + 1), score),
    st.sampled_from(["run", "jump", "wave"]),
    st.integers(0, 9).map(float),
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),
)
RESULTS = st.dictionaries(st.sampled_from("abc"), st.lists(DETECTIONS, max_size=6).map(tuple)).map(Results)


@QUICK
@given(results=RESULTS, n=st.integers(0, 7), score=st.sampled_from([-1.0, 0.25, 0.3, 2.0]))
def test_laws_of_narrowing(results: Results, n: int, score: float) -> None:
    top, above = results.top(n), results.above(score)
    assert top.videos == above.videos == results.videos
    for video in results.videos:
        best, rest = top[video], list(results[video])
        assert len(best) == min(n, len(rest))
        for one in best:
            rest.remove(one)  # a multiset within the other
        assert [one.score for one in best] == sorted((one.score for one in best), reverse=True)
        assert not best or all(one.score <= best[-1].score for one in rest)
    assert len(above) == sum(one.score >= score for _, one in results)
    assert results.only(results.labels).by_video == results.by_video
    assert len(results) == sum(len(results.only(label)) for label in results.labels)


@QUICK
@given(results=RESULTS)
def test_records_hold_all(results: Results) -> None:
    back = [
        (r["video"], Detection(r["label"], Segment(r["start_s"], r["end_s"]), r["score"])) for r in results.records()
    ]
    assert back == list(results)


def test_saved_and_loaded(tmp_path: Path) -> None:
    FOUND.save(tmp_path / "new" / "d.json")
    assert Results.load(str(tmp_path / "new" / "d.json")) == FOUND
    (tmp_path / "d.txt").write_text("v 0 1 Diving 0.5\n")
    assert tal.Results.load(tmp_path / "d.txt")["v"] == (Detection("Diving", Segment(0, 1), 0.5),)
    with pytest.raises(AnnotationError):
        Results.load(tmp_path / "none.json")


def test_pandas_is_used_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(BackendError) as caught:
        FOUND.to_pandas()
    assert str(caught.value) == "to_pandas needs pandas, which is not installed; use .records()"
    fake = types.SimpleNamespace(DataFrame=lambda rows, columns: (rows, columns))
    monkeypatch.setitem(sys.modules, "pandas", fake)
    rows, columns = FOUND.to_pandas()
    assert rows == FOUND.records() and columns == list(rows[0])


def test_printed() -> None:
    assert repr(FOUND) == "<Results: 3 detections in 3 videos>"
    assert repr(Results({"a": (RUN,)})) == "<Results: 1 detection in 1 video>"
    assert str(FOUND).splitlines() == [
        "video  label                 start s  end s  score",
        "a      jump                     0.50   4.00  0.250",
        "a      run                      1.00   2.50  0.750",
        "b      (no class above 0.1)",
        "c      wave                     3.00   4.00  0.500",
    ]


def test_printing_much_is_cut_and_told() -> None:
    many = Results({f"v{i}": (RUN, JUMP) for i in range(500)})
    lines = str(many).splitlines()
    assert len(lines) == 1 + 60 + 1
    assert lines[-1] == "... 1000 detections in all; .top(n) and .above(score) show fewer"


def test_printing_steers_no_terminal() -> None:
    assert "\x1b" not in str(Results({"\x1b[31m": (Detection("\x1b[2J", Segment(0, 1), 1),)}))


def test_shown_in_a_notebook() -> None:
    html = FOUND._repr_html_()
    assert html.count("<svg") == 2
    assert "no class above 0.1" in html and "run: 1.00 to 2.50 s, score 0.750" in html


def test_reports_of_stages_are_tables(tmp_path: Path) -> None:
    report = ExtractReport({"a": tmp_path / "a", "b": tmp_path / "b"}, ("a",), {"c": "cut <short>"}, {"a": "2 bad"})
    html = report._repr_html_()
    assert "cut &lt;short&gt;" in html and ">made<" in html and ">kept<" in html and "2 shards" in html
    run = Run(tmp_path / "runs/x", "stpn", ("run", "j<b>"), 7, cached=True)._repr_html_()
    assert "j&lt;b&gt;" in run and "made before" in run and ">7<" in run


def test_an_evaluation_is_a_table_of_its_numbers() -> None:
    from tal.annotations import Instance, Truth, VideoTruth

    truth = Truth({"a": VideoTruth(10.0, "", (Instance("run", RUN.segment), Instance("fall", Segment(5, 6))))})
    html = tal.evaluate(Results({"a": (RUN,)}), truth)._repr_html_()
    assert "activitynet protocol: 1 videos, in %" in html
    for cell in ("mAP", "50.0", "100.0", "fall", "0.1:0.7"):
        assert f">{cell}<" in html
