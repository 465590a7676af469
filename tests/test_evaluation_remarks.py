"""What is said beside an evaluation's figures: what is missing, unknown, left out or surely a mistake."""

from __future__ import annotations

import pytest
from annotated import A, detections, judged, truth

from tal.annotations import Truth, VideoTruth
from tal.evaluation import evaluate
from tal.evaluation.remarks import remarks
from tal.results import Results
from tal.settings import EvaluateSettings
from tal.types import Detection, Segment


def test_remarks_say_what_is_missing_unknown_and_left_out() -> None:
    known = Truth(
        {
            "a": VideoTruth(20.0, "test", truth([A]).instances, (Segment(50, 55),)),
            "b": truth([(5, 5)]),
            "c": truth([A], subset="val"),
        }
    )
    late = detections([(15, 20.05, 0.5), (15, 25, 0.5), (52, 60, 0.5)])
    found = Results({"a": late + detections([(*A, 0.1)], "jump"), "c": (), "zoo": detections([(*A, 0.1)])})
    result = evaluate(found, known, EvaluateSettings(protocol="wtalc", subset="test"))
    assert remarks(result, "p.json", "t.json") == [
        "p.json: 1 detection of labels that the truth does not know, not counted: 'jump' (1)",
        "p.json: 1 video of 2 evaluated without an entry: b",
        "p.json: 1 video unknown to the truth, whose detections count as false positives: zoo",
        "p.json: 1 video of other subsets left out: c",
        "p.json: 2 detections past the end of the video, kept: a (2)",
        "p.json: 1 detection in ambiguous time: removed",
        "t.json: 1 instance without length after rounding to snippets: nothing can match",
        "t.json: 1 of 2 videos without a duration: detections past their end are not told",
    ]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, "p: no detections in the evaluated videos: every figure is 0"),
        ({"v": ()}, "p: no detections in the evaluated videos: every figure is 0"),
        (
            {"v": detections([(*A, 1.0)], "Diving")},
            "p: none of the 1 detections has a label of the truth: every figure",
        ),
        ({"w": detections([(*A, 1.0)], "diving")}, "p: names none of the evaluated videos: it has 'w', the truth 'v'"),
    ],
)
def test_a_zero_is_never_silent(found: dict[str, tuple[Detection, ...]], expected: str) -> None:
    result = evaluate(Results(found), Truth({"v": truth([A], label="diving")}))
    assert result.average == 0
    assert remarks(result, "p")[0].startswith(expected)


def test_segments_past_the_end_of_the_video_are_kept_and_told() -> None:
    known = Truth({"v": VideoTruth(15.0, "test", truth([A, (12, 20)]).instances)})
    found = Results({"v": detections([(*A, 0.9), (12, 20, 0.8), (100, 110, 0.7)])})
    result = evaluate(found, known)
    assert result.ap.tolist() == [[1] * 7]
    assert (result.beyond, result.n_late_instances) == ({"v": 2}, 1)
    assert remarks(result) == [
        "results: 2 detections past the end of the video, kept: v (2)",
        "truth: 1 instance past the end of the video, kept",
    ]


def test_a_label_in_another_spelling_is_suggested() -> None:
    result = evaluate(Results({"v": detections([(*A, 1.0)], "Divng")}), Truth({"v": truth([A], label="Diving")}))
    assert remarks(result)[1] == (
        "results: 1 detection of labels that the truth does not know, not counted: 'Divng' (1); did you mean 'Diving'?"
    )


@pytest.mark.parametrize(("protocol", "told"), [("activitynet", False), ("thumos14", True), ("snippet", True)])
def test_truth_without_ambiguous_time_is_told_where_it_matters(protocol: str, told: bool) -> None:
    lines = remarks(judged(protocol=protocol))
    assert told == any(f"no ambiguous time, which {protocol} leaves out" in line for line in lines)


def test_a_set_that_the_truth_does_not_hold_is_told() -> None:
    expected = "truth: thumos14-210 has 210 videos and 3311 instances, this truth 2 and 3"
    assert expected in remarks(judged(videos="thumos14-210"))
