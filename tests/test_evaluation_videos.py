"""Classification mAP of whole videos and frame accuracy: closed forms, and agreement with looking at each moment."""

from __future__ import annotations

import numpy as np
import pytest
from annotated import Scored, Span, detections, truth
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tal.annotations import Instance, Truth, VideoTruth
from tal.evaluation import Evaluation, evaluate
from tal.evaluation.activations import activation_accuracy
from tal.results import Results
from tal.types import Activations, Detection, Segment, SnippetGrid

A = (0, 10)


def video(*instances: tuple[str, Span]) -> VideoTruth:
    return VideoTruth(None, "test", tuple(Instance(label, Segment(*span)) for label, span in instances))


def found(*rows: tuple[str, Scored]) -> tuple[Detection, ...]:
    return tuple(Detection(label, Segment(start, end), score) for label, (start, end, score) in rows)


def frames(*rows: tuple[str, Scored], real: VideoTruth) -> float | None:
    return evaluate(Results({"v": found(*rows)}), Truth({"v": real})).frame_accuracy


def judged(scores: dict[str, float], holders: str) -> Evaluation:
    """Videos a to d; `holders` show class x, the others class y; `scores` are those of x."""
    videos = {name: video(("x" if name in holders else "y", A)) for name in "abcd"}
    return evaluate(Results({n: found(("x", (50, 60, score))) for n, score in scores.items()}), Truth(videos))


@pytest.mark.parametrize(
    ("scores", "holders", "expected"),
    [
        ({"a": 0.9, "b": 0.8, "c": 0.1}, "ab", 1),  # where in the video does not matter
        ({"a": 0.9, "b": 0.1, "c": 0.5}, "ab", (1 + 2 / 3) / 2),
        ({"a": 0.9}, "ab", 1 / 2),  # b is not retrieved
        ({"a": 0.5, "c": 0.5}, "a", 1 / 2),  # ties never help
        ({"c": 0.5}, "a", 0),
        ({"a": 0.5, "unheard": 0.9}, "a", 1 / 2),  # a video that the truth does not know shows nothing
        ({}, "a", 0),
    ],
)
def test_videos_are_ranked_by_their_best_detection(scores: dict[str, float], holders: str, expected: float) -> None:
    result = judged(scores, holders)
    assert result.classes == ("x", "y")
    assert result.video_ap.tolist() == pytest.approx([expected, 0])
    assert result.video_map == pytest.approx(expected / 2)


def test_a_video_counts_by_its_best_detection() -> None:
    known = Truth({"a": video(("x", A)), "b": video(("y", A))})
    results = Results({"a": found(("x", (0, 1, 0.1)), ("x", (5, 6, 0.9))), "b": found(("x", (0, 1, 0.5)))})
    assert evaluate(results, known).video_ap.tolist() == [1, 0]


FRAMES = {
    "all": ([("x", (0, 10, 0.5))], 1),
    "half": ([("x", (0, 5, 0.5))], 1 / 2),
    "too long costs nothing": ([("x", (0, 90, 0.5))], 1),
    "background is not looked at": ([("x", (0, 10, 0.5)), ("y", (10, 90, 0.9))], 1),
    "the best score counts": ([("x", (0, 10, 0.5)), ("y", (2, 5, 0.9)), ("y", (0, 10, 0.1))], 7 / 10),
    "an unknown label hides what is below": ([("x", (0, 10, 0.5)), ("z", (2, 5, 0.9))], 7 / 10),
    "of equal scores the earlier": ([("x", (0, 10, 0.5)), ("y", (2, 5, 0.5))], 1),
    "of equal scores the earlier, turned": ([("y", (2, 5, 0.5)), ("x", (0, 10, 0.5))], 7 / 10),
    "nothing": ([], 0),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frame_accuracy(name: str) -> None:
    rows, expected = FRAMES[name]
    assert frames(*rows, real=video(("x", A))) == pytest.approx(expected)


def test_frame_accuracy_takes_either_of_two_actions_at_once() -> None:
    real = video(("x", (0, 10)), ("y", (5, 10)))
    assert frames(("y", (0, 10, 0.5)), real=real) == 1 / 2
    assert frames(("x", (0, 10, 0.5)), real=real) == 1


def test_frame_accuracy_is_of_time_not_of_videos() -> None:
    known = Truth({"a": video(("x", (0, 30))), "b": video(("x", (0, 10)))})
    assert evaluate(Results({"b": found(("x", (0, 10, 1.0)))}), known).frame_accuracy == 1 / 4


def test_frame_accuracy_without_action_time() -> None:
    result = evaluate(Results({}), Truth({"v": video(("x", (3, 3)))}))
    assert result.frame_accuracy is None
    assert Evaluation.from_dict(result.to_dict()).frame_accuracy is None


SPANS = st.tuples(st.integers(0, 20), st.integers(0, 12)).map(lambda pair: (float(pair[0]), float(sum(pair))))
ROWS = st.lists(st.tuples(st.sampled_from("xyz"), SPANS, st.integers(0, 3)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    real=st.dictionaries(st.sampled_from("ab"), st.lists(st.tuples(st.sampled_from("xy"), SPANS), max_size=5)),
    given_=st.dictionaries(st.sampled_from("abc"), ROWS),
)
def test_frame_accuracy_is_what_each_moment_says(
    real: dict[str, list[tuple[str, Span]]], given_: dict[str, list[tuple[str, Span, int]]]
) -> None:
    assume(any(real.values()))
    moments = right = 0
    for name, rows in real.items():
        for t in np.arange(0.5, 40):
            here = {label for label, (start, end) in rows if start < t < end}
            covering = [row for row in given_.get(name, []) if row[1][0] < t < row[1][1]]
            best = max(covering, key=lambda row: row[2])[0] if covering else None  # the first of equal ones
            moments, right = moments + bool(here), right + (best in here)
    results = Results({n: found(*((c, (*span, s)) for c, span, s in rows)) for n, rows in given_.items()})
    told = evaluate(results, Truth({name: video(*rows) for name, rows in real.items()})).frame_accuracy
    assert told == (pytest.approx(right / moments) if moments else None)


def test_recall_is_what_any_detection_matches() -> None:
    known = Truth({"v": truth([(0, 10), (20, 30)])})
    result = evaluate(Results({"v": detections([(50, 60, 0.9), (0, 7, 0.1)])}), known)
    assert result.recall[0].tolist() == [1 / 2] * 7
    assert result.map.tolist() == [1 / 4] * 7


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.9, 0.1, 0.1], 1 / 2),  # x everywhere: right in its instance
        ([0.9, 0.25, 0.1], 1),  # 0.25 is enough; the strongest is right in both instances
        ([0.9, 0.9, 0.9], 3 / 4),  # z is strongest in snippet 3, where y is
        ([0.2, 0.2, 0.2], 0),
    ],
)
def test_accuracy_of_activations(scores: list[float], expected: float) -> None:
    cas = np.array([[2, 1, 0], [2, 1, 0], [0, 1, 0], [0, 1, 3], [-1, -2, 5]], np.float32)
    ones = np.ones((5, 3), np.float32)
    said = Activations(cas, np.array(scores, np.float32), ones, ones[:, 0])
    known = Truth({"v": video(("x", (0, 1.28)), ("y", (1.28, 2.56)))})  # snippets 0, 1 and 2, 3 of 0.64 s
    found = {"v": (said, SnippetGrid(5))}
    assert activation_accuracy(found, ("x", "y", "z"), known) == pytest.approx(expected)
