"""The figures of a data set's overview: against evaluation and diagnosis, and by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from diagnosed import found, video
from numpy.testing import assert_allclose

from tal.annotations import Truth
from tal.diagnosis import diagnose
from tal.evaluation import Evaluation, evaluate
from tal.evaluation.curves import rematch
from tal.report.dataset import overview
from tal.results import Results
from tal.settings import EvaluateSettings

TRUTH = Truth(
    {
        "a": video(("dive", 0, 10), ("dive", 20, 30), ("jump", 40, 50), duration_s=60.0),
        "b": video(("dive", 0, 10), ("dive", 30, 40), duration_s=40.0),
        "c": video(("jump", 5, 9)),
        "z": video(("dive", 0, 1), subset="train"),
    }
)
RESULTS = Results(
    {
        "a": found(("dive", 0, 10, 0.9), ("dive", 12, 18, 0.8), ("dive", 20, 30, 0.7), ("run", 0, 4, 0.5)),
        "b": found(("dive", 0, 10, 0.6)),
        "extra": found(("dive", 0, 8, 0.1)),
        "z": found(("dive", 0, 1, 0.9)),
        "quiet": (),
    },
    {
        "tal": "1",
        "empty": {"quiet": "no class is likely"},
        "localize": {"nms": 0.5, "thresholds": [0.1, 0.2], "on": True},
    },
)
BOTH = EvaluateSettings(subset="test", tiou=(0.3, 0.5, 0.7))


def shown(settings: EvaluateSettings = BOTH, **more: Any) -> dict[str, Any]:
    return overview(RESULTS, TRUTH, evaluation=evaluate(RESULTS, TRUTH, settings), **more)


def test_scores_and_classes_are_those_of_the_evaluation() -> None:
    evaluation, found_ = evaluate(RESULTS, TRUTH, BOTH), shown()
    assert_allclose(found_["evaluation"]["mAP"][:3], evaluation.map, atol=1e-5)
    assert found_["evaluation"]["tiou"] == [0.3, 0.5, 0.7]
    assert found_["evaluation"]["shown"] == 1
    classes = {row["label"]: row for row in found_["classes"]}
    assert set(classes) == {"dive", "jump", "run"}
    # dive: 4 instances; by score right, wrong, right, right, wrong: the envelope is 1, 3/4, 3/4, nothing
    assert_allclose(classes["dive"]["ap"], [(1 + 0.75 + 0.75) / 4] * 3, atol=1e-4)
    assert classes["dive"]["recall"] == [0.75] * 3
    assert (classes["dive"]["n_instances"], classes["dive"]["n_videos"]) == (4, 2)
    assert (classes["dive"]["n_detections"], classes["dive"]["n_detected_in"]) == (5, 3)
    assert classes["jump"]["n_detections"] == 0
    assert classes["jump"]["best"] is None
    assert classes["run"] == {
        "label": "run", "n_instances": 0, "n_videos": 0,
        "n_detections": 1, "n_detected_in": 1, "best": 0.5, "median_length_s": 4.0,
    }  # fmt: skip


def test_the_curve_of_a_class_by_hand() -> None:
    curves = shown()["curves"]
    assert curves["n_bins"] == 100
    assert curves["classes"]["1"]["dive"] == [1000] * 25 + [750] * 50
    assert curves["classes"]["1"]["jump"] == []
    assert curves["mean"][1] == [500] * 25 + [375] * 50


def test_videos_say_what_was_found_and_what_there_is_to_know() -> None:
    videos = shown()["videos"]
    rows = {name: {key: videos[key][i] for key in videos if key != "notes"} for i, name in enumerate(videos["name"])}
    assert videos["name"] == ["a", "b", "extra", "z", "quiet", "c"]
    assert [rows["a"][key] for key in ("n_detections", "best", "n_truth", "n_found", "duration_s")] == [
        4,
        0.9,
        3,
        2,
        60.0,
    ]
    assert [rows["b"][key] for key in ("n_truth", "n_found")] == [2, 1]
    assert [rows["c"][key] for key in ("n_detections", "best", "n_truth", "n_found")] == [0, None, 1, 0]
    assert [rows["extra"][key] for key in ("n_truth", "n_found")] == [None, None]
    notes = {name: videos["notes"][row["note"]] if row["note"] >= 0 else "" for name, row in rows.items()}
    assert notes == {
        "a": "",
        "b": "",
        "extra": "unknown to the truth: its detections are false positives",
        "z": "of another subset, not evaluated",
        "quiet": "unknown to the truth: its detections are false positives; no class is likely",
        "c": "no entry among the detections",
    }


def test_the_summary_counts_what_is_evaluated() -> None:
    assert shown()["summary"] == {
        "n_videos": 3, "n_empty": 1, "n_detections": 6, "n_instances": 6, "n_classes": 2, "duration_s": 100.0,
    }  # fmt: skip
    assert any("unknown to the truth" in note for note in shown()["notes"])


def test_without_truth_there_are_counts_and_no_scores() -> None:
    plain = overview(RESULTS)
    assert [plain[key] for key in ("evaluation", "curves", "diagnosis", "training")] == [None] * 4
    assert plain["summary"] == {
        "n_videos": 5, "n_empty": 1, "n_detections": 7, "n_instances": None, "n_classes": 2, "duration_s": None,
    }  # fmt: skip
    assert [row["n_instances"] for row in plain["classes"]] == [None, None]
    assert plain["scores"]["right"] is None
    assert plain["lengths"]["instances"] is None
    assert sum(plain["scores"]["all"]) == sum(plain["lengths"]["detections"]) == 7
    assert set(plain["videos"]["n_truth"]) == {None}
    assert plain["videos"]["notes"] == ["no class is likely"]


def test_truth_without_an_evaluation_gives_counts_of_the_videos_at_hand() -> None:
    plain = overview(RESULTS, TRUTH)
    assert plain["summary"]["n_instances"] == 6
    assert plain["videos"]["name"] == list(RESULTS.by_video)
    assert plain["evaluation"] is None
    assert plain["videos"]["n_found"] == [None] * 5


def test_an_evaluation_without_its_truth_keeps_its_tables() -> None:
    evaluation = evaluate(RESULTS, TRUTH, BOTH)
    again = overview(RESULTS, evaluation=Evaluation.from_dict(json.loads(json.dumps(evaluation.to_dict()))))
    assert again["evaluation"] == shown()["evaluation"]
    assert again["curves"] is None
    assert {row["label"] for row in again["classes"] if "ap" in row} == {"dive", "jump"}


def test_nothing_at_all_is_something() -> None:
    nothing = overview(Results({}))
    assert (nothing["classes"], nothing["scores"], nothing["lengths"]) == ([], None, None)
    assert nothing["videos"]["name"] == []


def test_true_positives_by_score_are_the_matched_instances() -> None:
    data = shown()
    assert sum(data["scores"]["right"]) == sum(n or 0 for n in data["videos"]["n_found"]) == 3
    assert all(right <= every for right, every in zip(data["scores"]["right"], data["scores"]["all"], strict=True))


def test_the_diagnosis_keeps_its_numbers() -> None:
    diagnosis = diagnose(RESULTS, TRUTH, EvaluateSettings(subset="test", tiou=(0.5,)))
    data, plain = shown(diagnosis=diagnosis)["diagnosis"], diagnosis.to_dict()
    assert data["kinds"][0] == "true positive"
    assert data["splits"][-1]["name"] == "all"
    assert data["splits"][-1]["shares"][0] == pytest.approx(plain["false_positives"]["all"]["true positive"], abs=1e-4)
    for gain in data["gains"]:
        assert gain["map"] == pytest.approx(plain["gains"][gain["fix"]]["map"], abs=1e-4)
    length = next(one for one in data["characteristics"] if one["name"] == "length")
    assert [b["n"] for b in length["buckets"]] == [b["n_instances"] for b in plain["characteristics"]["length"]]
    assert json.dumps(data, allow_nan=False)


def test_another_truth_is_refused() -> None:
    other = Truth({"a": video(("swim", 0, 10))})
    with pytest.raises(ValueError, match="another ground truth"):
        rematch(RESULTS, other, evaluate(RESULTS, TRUTH, BOTH))


def test_many_classes_keep_one_threshold() -> None:
    spans = [(f"class {k}", 10.0 * k, 10.0 * k + 5) for k in range(250)]
    truth, results = Truth({"v": video(*spans, subset="")}), Results({"v": found(*((*span, 0.5) for span in spans))})
    data = overview(results, truth, evaluation=evaluate(results, truth, EvaluateSettings(tiou=(0.3, 0.5))))
    assert list(data["curves"]["classes"]) == ["1"]
    assert len(data["curves"]["classes"]["1"]) == 250
    assert len(data["curves"]["mean"]) == 2
