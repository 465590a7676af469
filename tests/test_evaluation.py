"""Evaluation: closed forms of all protocols, and what is counted."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from annotated import FAR, A, B, Scored, Span, chosen, detections, truth

from tal.annotations import Truth
from tal.evaluation import Evaluation, evaluate
from tal.evaluation.protocols import PROTOCOLS
from tal.results import Results
from tal.settings import EvaluateSettings

SNIPPET_S = 16 / 25


def ap(
    found: Sequence[Scored], real: Sequence[Span], protocol: str, tiou: float = 0.5, ambiguous: Sequence[Span] = ()
) -> float:
    """AP of one class in one video; protocols that count in snippets get the times in these."""
    unit = SNIPPET_S if protocol in {"wtalc", "snippet"} else 1.0
    known = Truth({"v": truth(_times(real, unit), _times(ambiguous, unit))})
    scored = [(unit * start, unit * end, score) for start, end, score in found]
    return evaluate(Results({"v": detections(scored)}), known, chosen(protocol, tiou)).average


def _times(spans: Sequence[Span], unit: float) -> list[Span]:
    return [(unit * start, unit * end) for start, end in spans]


# Instances, detections (start, end, score), AP under activitynet, thumos14, wtalc, snippet

CLOSED_FORMS: dict[str, tuple[list[Span], list[Scored], tuple[float, float, float, float]]] = {
    "perfect": ([A, B], [(*A, 0.9), (*B, 0.8)], (1, 1, 1, 1)),
    "half of the instances": ([A, B], [(*A, 0.9)], (1 / 2, 1 / 2, 1 / 2, 1 / 2)),
    "a false positive first": ([A], [(*FAR, 0.9), (*A, 0.8)], (1 / 2, 1 / 2, 1 / 2, 1 / 2)),
    "a false positive last": ([A], [(*FAR, 0.1), (*A, 0.8)], (1, 1, 1, 1)),
    # precision 1/2, then 2/3: interpolation lifts the first to the second
    "interpolation": ([A, B], [(*FAR, 0.9), (*A, 0.8), (*B, 0.7)], (2 / 3, 7 / 12, 7 / 12, 2 / 3)),
    "precision that only falls": ([A, B], [(*A, 0.9), (*FAR, 0.8), (*B, 0.7)], (5 / 6, 5 / 6, 5 / 6, 5 / 6)),
    "a duplicate": ([A], [(*A, 0.9), (*A, 0.8)], (1, 1, 1, 1)),
    # thumos14 gives the instance to the larger overlap, the others to the better score
    "a duplicate that scores better": ([A], [(0, 8, 0.9), (*A, 0.8)], (1, 1 / 2, 1, 1)),
    "a false positive between duplicates": ([A, B], [(*A, 0.9), (*A, 0.8), (*B, 0.7)], (5 / 6, 5 / 6, 5 / 6, 5 / 6)),
    "tIoU of exactly the threshold": ([A], [(0, 5, 0.9)], (1, 0, 1, 1)),
    "tIoU just above the threshold": ([A], [(0, 5.01, 0.9)], (1, 1, 1, 1)),
    "tIoU just below the threshold": ([A], [(0, 4.99, 0.9)], (0, 0, 1, 0)),  # wtalc rounds 4.99 snippets to 5
    # each instance in file order: (0, 10) takes (0, 8), which leaves (0, 6) for (0, 7); scores do not matter here
    "both instances are served": ([(0, 10), (0, 7)], [(0, 8, 0.1), (0, 6, 0.9)], (1, 1, 1, 1)),
    # wtalc: (0, 6) takes the first that fits, (0, 10); (0, 14) fits nothing else
    "the first that fits": ([(0, 10), (0, 6)], [(0, 6, 0.9), (0, 14, 0.8)], (1, 1, 1 / 2, 1)),
    # (0, 10) takes the only detection although (0, 8) fits better; either way one of two is found
    "one detection for two instances": ([(0, 10), (0, 8)], [(0, 8, 0.9)], (1 / 2, 1 / 2, 1 / 2, 1 / 2)),
    # tIoU 0.5 with both: activitynet takes the later instance, wtalc the earlier; thumos14 wants more than 0.5
    "equal tIoU, then the later": ([(0, 5), (5, 10)], [(0, 10, 0.9), (5, 10, 0.8)], (1 / 2, 1 / 4, 1, 1 / 2)),
    "equal tIoU, then the earlier": ([(0, 5), (5, 10)], [(0, 10, 0.9), (0, 5, 0.8)], (1, 1 / 4, 1 / 2, 1)),
    # equal scores: activitynet and snippet rank the later first, the others the earlier
    "equal scores, right one first": ([A], [(*A, 0.5), (*FAR, 0.5)], (1 / 2, 1, 1, 1 / 2)),
    "equal scores, right one last": ([A], [(*FAR, 0.5), (*A, 0.5)], (1, 1 / 2, 1 / 2, 1)),
    "truth that occurs twice, found once": ([A, A], [(*A, 0.9)], (1 / 2, 1 / 2, 1 / 2, 1 / 2)),
    "truth that occurs twice, found twice": ([A, A], [(*A, 0.9), (*A, 0.8)], (1, 1, 1, 1)),
    "an instance without length": ([(5, 5)], [(5, 5, 0.9), (0, 10, 0.8)], (0, 0, 0, 0)),  # 0/0 is no match
    "a detection without length": ([A], [(5, 5, 0.9), (*A, 0.8)], (1 / 2, 1 / 2, 1 / 2, 1 / 2)),
    "negative scores": ([A], [(*FAR, -2.0), (*A, -1.0)], (1, 1, 1, 1)),
    "nothing detected": ([A], [], (0, 0, 0, 0)),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_closed_forms(name: str) -> None:
    real, found, expected = CLOSED_FORMS[name]
    assert [ap(found, real, protocol) for protocol in PROTOCOLS] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("found", "ambiguous", "expected"),
    [
        ([(*FAR, 0.9), (*A, 0.8)], [(59, 70)], (1 / 2, 1, 1, 1)),  # touches ambiguous time: forgiven or removed
        ([(*FAR, 0.9), (*A, 0.8)], [(60, 70)], (1 / 2, 1 / 2, 1 / 2, 1 / 2)),  # ends where it begins: a mistake
        ([(*A, 0.9)], [(0, 10)], (1, 1, 0, 0)),  # wtalc and snippet remove even a true positive
        ([(*A, 0.9), (0, 9, 0.95)], [(8, 12)], (1, 1, 0, 0)),  # thumos14 forgives a duplicate that touches it
    ],
)
def test_ambiguous_time(found: list[Scored], ambiguous: list[Span], expected: tuple[float, ...]) -> None:
    assert [ap(found, [A], protocol, ambiguous=ambiguous) for protocol in PROTOCOLS] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("instance", "detection", "wtalc", "snippet"),
    [
        ((0, 1.28), (0, 1.28), 1.0, 1.0),  # 2 snippets
        ((0, 1.6), (0, 1.28), 1.0, 1.0),  # 2.5 snippets: the even one
        ((0, 4.8), (0, 5.12), 1.0, 1.0),  # 7.5 snippets: 8
        ((0, 1.28), (0, 1.6), 1.0, 0.8),  # only wtalc rounds the detection
        ((0, 0.3), (0, 0.3), 0.0, 0.0),  # rounds to nothing
    ],
)
def test_snippets_are_rounded(instance: Span, detection: Span, wtalc: float, snippet: float) -> None:
    for protocol, tiou in (("wtalc", wtalc), ("snippet", snippet)):
        known, found = Truth({"v": truth([instance])}), Results({"v": detections([(*detection, 0.5)])})
        reached = evaluate(found, known, chosen(protocol, (max(tiou, 0.01), min(tiou + 0.01, 1.0))))
        assert reached.ap[0].tolist() == [tiou > 0, tiou == 1]
        assert reached.n_empty == (tiou == 0)


def test_equal_scores_in_several_videos() -> None:
    known = Truth({"a": truth([A]), "b": truth([B])})
    found = Results({"b": detections([(*FAR, 0.5)]), "a": detections([(*A, 0.5)])})
    assert evaluate(found, known, chosen("activitynet")).average == 1 / 2  # the later video first
    assert evaluate(found, known, chosen("thumos14")).average == 1 / 2  # by name
    turned = Results({name: found.by_video[name] for name in reversed(list(found.by_video))})
    assert evaluate(turned, known, chosen("activitynet")).average == 1 / 4
    assert evaluate(turned, known, chosen("thumos14")).average == 1 / 2
    assert evaluate(found, known, chosen("wtalc")).average == 1 / 4  # the earlier video first
    assert evaluate(turned, known, chosen("wtalc")).average == 1 / 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_classes_are_those_with_instances_and_map_is_their_mean(protocol: str) -> None:
    known = Truth({"v": truth([A]), "w": truth([B], label="y")})
    found = Results({"v": detections([(*A, 0.9)]) + detections([(*A, 0.9), (*B, 0.1)], "z"), "w": ()})
    result = evaluate(found, known, chosen(protocol, (0.3, 0.5)))
    assert result.classes == ("x", "y")
    assert result.ap.tolist() == [[1, 1], [0, 0]]
    assert result.map.tolist() == [0.5, 0.5]
    assert result.average == 0.5
    assert result.unknown_labels == {"z": 2}
    assert (result.n_videos, result.n_instances, result.n_detections) == (2, 2, 3)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_videos_are_accounted_for(protocol: str) -> None:
    known = Truth({"a": truth([A]), "b": truth([A]), "c": truth([A], subset="train")})
    wrong = detections([(*A, 0.9)])
    found = Results({"a": detections([(*A, 0.5)]), "c": wrong, "unheard": wrong})
    result = evaluate(found, known, chosen(protocol, subset="test"))
    assert (result.missing, result.extra, result.elsewhere) == (("b",), ("unheard",), ("c",))
    assert result.average == 1 / 4  # the unheard one is a false positive, c is left out
    assert result.n_detections == 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_results_at_all(protocol: str) -> None:
    result = evaluate(Results({}), Truth({"v": truth([A])}), chosen(protocol, (0.1, 0.5)))
    assert result.map.tolist() == [0, 0]
    assert result.missing == ("v",)


def test_an_evaluation_survives_json() -> None:
    known = Truth({"v": truth([A]), "w": truth([B], label="y")})
    found = Results({"v": detections([(*A, 0.9), (*FAR, 0.95)]), "u": detections([(*A, 0.9)], "z")})
    result = evaluate(found, known, EvaluateSettings())
    tree = json.loads(json.dumps(result.to_dict()))
    again = Evaluation.from_dict(tree)
    assert again.to_dict() == result.to_dict()
    assert (again.classes, again.tiou, again.extra) == (result.classes, result.tiou, result.extra)
    assert np.array_equal(again.ap, result.ap)
    assert tree["ap"]["x"] == result.ap[0].tolist()
    assert tree["map"] == result.map.tolist()
