"""Diagnosis of false positives: every kind by hand, what removing it gains by hand, nothing wrong where nothing is."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from diagnosed import Scored, Span, found, studied, video

from tal.annotations import Truth
from tal.diagnosis import diagnose
from tal.diagnosis.false_positives import ALL_ERRORS, FIXES, KINDS, MISSED
from tal.errors import AnnotationError, ConfigError
from tal.results import Results
from tal.settings import EvaluateSettings

X, Y = ("x", 0.0, 10.0), ("y", 100.0, 110.0)
ONE_OF_EACH: dict[str, Scored] = {
    "true positive": ("x", 0, 10, 0.9),
    "double detection": ("x", 0, 9, 0.8),  # tIoU 0.9 with the x that is taken
    "wrong label": ("x", 100, 109, 0.7),  # tIoU 0.9 with the y
    "localization": ("x", 5, 15, 0.6),  # tIoU 1/3 with the x
    "confusion": ("x", 105, 115, 0.5),  # tIoU 1/3 with the y
    "background": ("x", 50, 60, 0.4),
}


def test_every_kind_occurs_once() -> None:
    told = studied([X, Y], list(ONE_OF_EACH.values()))
    assert tuple(ONE_OF_EACH) == KINDS
    assert told.counts.shape == (1, 10, 6)
    assert told.counts[0, :6].tolist() == np.eye(6).tolist()  # x has one instance: 1G is the first, 2G the second ...
    assert told.counts[0, 6:].sum() == 0
    assert told.total_shares.tolist() == pytest.approx([1 / 6] * 6)


@pytest.mark.parametrize(
    ("real", "scored", "tiou", "kind"),
    [
        ([X], ("x", 0, 5, 0.9), 0.5, "true positive"),  # exactly the threshold
        ([X], ("x", 0, 4.99, 0.9), 0.5, "localization"),
        ([X], ("x", 0, 1, 0.9), 0.5, "localization"),  # exactly 0.1
        ([X], ("x", 0, 0.99, 0.9), 0.5, "background"),
        ([X, Y], ("x", 100, 105, 0.9), 0.5, "wrong label"),
        ([X, Y], ("x", 100, 101, 0.9), 0.5, "confusion"),
        ([X, Y], ("x", 100, 100.99, 0.9), 0.5, "background"),
        ([X, ("y", 20, 30)], ("x", 8, 24, 0.9), 0.5, "confusion"),  # 2/24 of the x, 4/22 of the y
        ([X, ("y", 20, 30)], ("x", 6, 22, 0.9), 0.5, "localization"),  # the other way round
        ([X, ("y", 20, 30)], ("x", 7, 23, 0.9), 0.5, "localization"),  # both the same: its own decides
        ([("y", 20, 30), X], ("x", 7, 23, 0.9), 0.5, "localization"),
        ([X], ("x", 0, 0.6, 0.9), 0.05, "true positive"),  # thresholds may be below 0.1
        ([X], ("x", 5, 5, 0.9), 0.5, "background"),  # no length
        ([("x", 5, 5)], ("x", 5, 5, 0.9), 0.5, "background"),
    ],
)
def test_bounds_of_the_kinds(real: list[Span], scored: Scored, tiou: float, kind: str) -> None:
    told = studied(real, [scored], tiou)
    assert dict(zip(KINDS, told.counts[0, 0], strict=True)) == {k: int(k == kind) for k in KINDS}


def test_a_detection_in_an_unknown_video_is_background_and_an_unknown_label_is_left_out() -> None:
    told = studied({"v": video(X)}, {"v": found(("x", 0, 10, 0.5), ("z", 0, 10, 0.9)), "w": found(("x", 0, 10, 0.9))})
    assert told.counts[0, 0, KINDS.index("background")] == 1  # the better score
    assert told.counts[0, 1, KINDS.index("true positive")] == 1
    assert told.n_looked_at.sum() == 2
    assert told.evaluation.unknown_labels == {"z": 1}
    assert told.evaluation.extra == ("w",)


def test_splits_follow_the_number_of_instances_of_each_class() -> None:
    """Class x has two instances, y one: 1G is the best two of x and the best one of y."""
    real = [X, ("x", 20, 30), Y]
    scored = [("x", 0, 10, 0.9), ("x", 50, 60, 0.8), ("x", 20, 30, 0.7), ("y", 50, 60, 0.6), ("y", 100, 110, 0.5)]
    told = studied(real, scored, n_splits=2)
    rows = [dict(zip(KINDS, row, strict=True)) for row in told.counts[0]]
    assert rows[0] == {**dict.fromkeys(KINDS, 0), "true positive": 1, "background": 2}
    assert rows[1] == {**dict.fromkeys(KINDS, 0), "true positive": 2}
    assert told.n_looked_at.tolist() == [3, 2]


def test_what_is_below_the_splits_is_not_looked_at_and_that_is_said() -> None:
    scored = [("x", 50, 60, 0.9), ("x", 60, 70, 0.8), ("x", 0, 10, 0.7)]
    told = studied([X], scored, n_splits=2)
    assert told.n_looked_at.tolist() == [1, 1]
    assert told.notes[-1] == "false positives leave out 1 of 3 detections: below the best 2G of their class"
    assert told.evaluation.average == pytest.approx(1 / 3)  # mAP is that of all detections
    assert told.gains.base.tolist() == [[0], [0]]


def test_of_equal_scores_the_later_in_the_results_goes_first() -> None:
    right, wrong = found(("x", 0, 10, 0.5)), found(("x", 50, 60, 0.5))
    first = [1, 0, 0, 0, 0, 0]
    assert studied({"v": video(X)}, {"v": wrong + right}).counts[0, 0].tolist() == first
    assert studied({"v": video(X)}, {"v": right + wrong}).counts[0, 1].tolist() == first
    assert studied({"v": video(X)}, {"new": wrong, "v": right}).counts[0, 0].tolist() == first
    assert studied({"v": video(X)}, {"v": right, "new": wrong}).counts[0, 1].tolist() == first


# Gains by hand; y is found, so that its AP is 1 and the mean over classes halves what x gains

GAINS: dict[str, tuple[list[Scored], float]] = {
    # precision 1, 2/3: AP 5/6; x has two instances here
    "double detection": ([("x", 0, 10, 0.9), ("x", 0, 9, 0.8), ("x", 20, 30, 0.7)], 1 / 6 / 2),
    "wrong label": ([("x", 100, 109, 0.9), ("x", 0, 10, 0.8), ("x", 20, 30, 0.7)], (1 - 2 / 3) / 2),
    "localization": ([("x", 5, 15, 0.9), ("x", 0, 10, 0.8), ("x", 20, 30, 0.7)], (1 - 2 / 3) / 2),
    "confusion": ([("x", 105, 115, 0.9), ("x", 0, 10, 0.8), ("x", 20, 30, 0.7)], (1 - 2 / 3) / 2),
    "background": ([("x", 50, 60, 0.9), ("x", 0, 10, 0.8), ("x", 20, 30, 0.7)], (1 - 2 / 3) / 2),
}


@pytest.mark.parametrize("kind", GAINS)
def test_what_removing_a_kind_gains(kind: str) -> None:
    scored, gain = GAINS[kind]
    told = studied([X, ("x", 20, 30), Y], [*scored, ("y", 100, 110, 0.1)])
    expected = {fix: gain if fix in {kind, ALL_ERRORS} else 0.0 for fix in FIXES}
    assert {fix: told.gains.gain(fix)[0] for fix in FIXES} == pytest.approx(expected, abs=1e-12)


def test_what_finding_everything_gains() -> None:
    """Of x one of two instances is found, below a false positive; of y nothing."""
    told = studied([X, ("x", 20, 30), Y], [("x", 50, 60, 0.9), ("x", 0, 10, 0.8)])
    assert told.evaluation.map.tolist() == [1 / 8]  # precision 1/2 for half of the instances of x
    assert told.gains.gain(ALL_ERRORS)[0] == pytest.approx((1 / 2 - 1 / 4) / 2)
    assert told.gains.gain(MISSED)[0] == pytest.approx((1 / 2 + 1) / 2 - 1 / 8)  # nothing is left of y


def test_normalised_precision_by_hand() -> None:
    """One instance of x, three of y: N = 2."""
    real = [X, ("y", 0, 10), ("y", 20, 30), ("y", 40, 50)]
    scored = [("x", 70, 80, 0.9), ("x", 0, 10, 0.8), ("y", 0, 10, 0.9), ("y", 70, 80, 0.8), ("y", 20, 30, 0.7)]
    told = studied(real, scored)
    of_x = 2 / (2 + 1)  # R = 1, F = 1
    of_y = (1 + (2 / 3 * 2) / (2 / 3 * 2 + 1)) / 3  # R = 1/3, F = 0; R = 2/3, F = 1
    assert told.n_mean == 2
    assert told.map_n.tolist() == pytest.approx([(of_x + of_y) / 2])
    assert told.gains.base[1].tolist() == pytest.approx(told.map_n.tolist())
    assert told.gains.gain("background")[1] == pytest.approx((1 + 2 / 3) / 2 - (of_x + of_y) / 2)
    assert told.evaluation.map.tolist() == pytest.approx([(1 / 2 + (1 + 2 / 3) / 3) / 2])  # plain


def test_with_equally_many_instances_normalising_changes_nothing() -> None:
    told = studied([X, Y], [*ONE_OF_EACH.values(), ("y", 0, 10, 0.9), ("y", 100, 110, 0.1)], (0.3, 0.5, 0.9))
    assert told.map_n.tolist() == pytest.approx(told.evaluation.map.tolist())
    assert told.gains.base[0].tolist() == pytest.approx(told.gains.base[1].tolist())


def test_perfect_detections_have_no_errors_and_gain_nothing() -> None:
    real = [X, ("x", 20, 30), Y, ("y", 0, 10)]
    told = studied(real, [(*span, 0.5) for span in real], (0.1, 0.5, 1.0))
    assert told.total_shares.tolist() == [1, 0, 0, 0, 0, 0]
    assert told.evaluation.average == told.map_n.mean() == 1
    assert told.gains.base.tolist() == [[1, 1, 1]] * 2
    assert {fix: told.gains.gain(fix) for fix in FIXES} == dict.fromkeys(FIXES, (0.0, 0.0))
    assert told.missed.tolist() == [0, 0, 0]


def test_no_detections_at_all() -> None:
    told = studied([X, Y], [])
    assert told.n_looked_at.tolist() == [0] * 10
    assert np.isnan(told.shares).all() and np.isnan(told.total_shares).all()
    assert told.missed.tolist() == [1]
    assert told.gains.gain("background") == (0, 0)
    assert told.gains.gain(MISSED) == (1, 1)
    tree = json.loads(json.dumps(told.to_dict(), allow_nan=False))
    assert tree["false_positives"]["all"] == {"n_detections": 0, **dict.fromkeys(KINDS)}
    assert tree["missing"] == [] and tree["n_detections"] == 0


def test_thresholds_are_averaged() -> None:
    """At 0.3 a true positive, at 0.5 a localization error."""
    told = studied([X], [("x", 6, 10, 0.9)], (0.3, 0.5))
    assert told.counts[:, 0].tolist() == [[1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0]]
    assert told.total_shares.tolist() == [0.5, 0, 0, 0.5, 0, 0]
    assert told.gains.fixed["localization"].tolist() == [[1, 0], [1, 0]]
    assert told.missed.tolist() == [0, 1]
    assert told.title == "activitynet protocol, subset test, tIoU 0.3 to 0.5 (mean of 2)"


def test_json_holds_every_number_and_nothing_that_json_cannot() -> None:
    told = studied([X, Y], list(ONE_OF_EACH.values()), min_precision=0.0)
    tree = json.loads(json.dumps(told.to_dict(), allow_nan=False))
    assert (tree["protocol"], tree["tiou"], tree["subset"]) == ("activitynet", [0.5], "test")
    assert tree["map"] == tree["map_n"] == [0.5]
    assert tree["settings"] == {
        "buckets": "activitynet",
        "n_splits": 10,
        "background_tiou": 0.1,
        "min_precision": 0.0,
    }
    assert list(tree["false_positives"]) == [*(f"{n}G" for n in range(1, 11)), "all"]
    assert tree["false_positives"]["2G"] == {
        "n_detections": 1,
        **dict.fromkeys(KINDS, 0.0),
        "double detection": 1.0,
    }
    assert list(tree["gains"]) == ["base", *FIXES]
    assert tree["gains"]["missed instances"] == {"map": 0.5, "map_n": 0.5}
    assert list(tree["characteristics"]) == ["length", "instances"]
    last = tree["characteristics"]["length"][-1]
    assert last["upper"] is None and last["map_n"] is None and last["n_instances"] == 0
    assert tree["missed"] == 0.5 and math.isclose(tree["instances_per_class"], 1)


# Which videos

SPLIT = {"a": video(X, subset="train"), "b": video(X, subset="test")}


def test_other_subsets_are_left_out() -> None:
    results = Results({"a": found(("x", 0, 10, 0.9)), "b": found(("x", 0, 10, 0.5))})
    told = diagnose(results, Truth(SPLIT), EvaluateSettings(tiou=(0.5,), subset="test"))
    assert told.n_looked_at.sum() == 1 and told.evaluation.elsewhere == ("a",)
    assert told.evaluation.average == 1


def test_a_named_set_leaves_its_videos_out() -> None:
    """Both what is true and what is detected in them."""
    blocked = "video_test_0000270"
    results = Results({blocked: found(("x", 0, 10, 0.9), ("x", 50, 60, 0.9)), "v": found(("x", 0, 10, 0.5))})
    chosen = EvaluateSettings.model_validate({"tiou": 0.5, "videos": "thumos14-210"})
    told = diagnose(results, Truth({blocked: video(X), "v": video(X)}), chosen)
    assert told.counts[0, 0].tolist() == [1, 0, 0, 0, 0, 0]
    assert told.n_looked_at.sum() == told.evaluation.n_instances == 1
    assert told.title == "activitynet protocol, subset test, thumos14-210, tIoU 0.5"


def test_a_subset_that_is_not_there_or_has_no_instance() -> None:
    with pytest.raises(ConfigError, match="unknown subset 'tets'; did you mean 'test'"):
        diagnose(Results({}), Truth(SPLIT), EvaluateSettings(subset="tets"))
    empty = Truth({**SPLIT, "c": video(subset="bare")})
    with pytest.raises(AnnotationError, match="subset 'bare' of the ground truth has no instances"):
        diagnose(Results({}), empty, EvaluateSettings(subset="bare"))


def test_the_protocol_is_activitynets_whatever_the_settings_say() -> None:
    told = diagnose(Results({}), Truth({"v": video(X)}), EvaluateSettings(protocol="thumos14"))
    assert told.evaluation.protocol == "activitynet"
