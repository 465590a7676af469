"""What to know beside the numbers: videos missing on either side, unknown labels, what was left out, and how many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tal.errors import suggest
from tal.evaluation import videosets
from tal.evaluation.evaluation import Evaluation
from tal.settings.protocols import PROTOCOLS


def remarks(found: Evaluation, results: str = "results", truth: str = "truth") -> list[str]:
    """Return one line per remark, each with the file that it is about.

    Args:
        found: An evaluation.
        results: What the detections are called, such as their file.
        truth: What the ground truth is called.
    """
    about_results = [*_empty(found), *_labels(found), *_videos(found), *_segments(found)]
    return [f"{results}: {line}" for line in about_results] + [f"{truth}: {line}" for line in _about_truth(found)]


def _empty(found: Evaluation) -> Iterator[str]:
    if found.n_detections == 0:
        yield "no detections in the evaluated videos: every figure is 0"
    elif sum(found.unknown_labels.values()) == found.n_detections:
        yield f"none of the {found.n_detections} detections has a label of the truth: every figure is 0"
    if found.n_videos == len(found.missing) and found.extra:
        yield f"names none of the evaluated videos: it has '{found.extra[0]}', the truth '{found.missing[0]}'"


def _labels(found: Evaluation) -> Iterator[str]:
    if found.unknown_labels:
        n, first = sum(found.unknown_labels.values()), next(iter(found.unknown_labels))
        hint = suggest(first, found.classes)
        near = hint if "did you mean" in hint else ""
        listed = _some([f"'{label}' ({n_label})" for label, n_label in found.unknown_labels.items()])
        yield f"{_count(n, 'detection')} of labels that the truth does not know, not counted: {listed}{near}"


def _videos(found: Evaluation) -> Iterator[str]:
    for names, fate in (
        (found.missing, f"of {found.n_videos} evaluated without an entry"),
        (found.extra, "unknown to the truth, whose detections count as false positives"),
        (found.elsewhere, "of other subsets left out"),
        (found.blocked, f"left out by {found.videos}"),
    ):
        if names:
            yield f"{_count(len(names), 'video')} {fate}: {_some(names)}"


def _segments(found: Evaluation) -> Iterator[str]:
    if found.beyond:
        n, listed = sum(found.beyond.values()), _some([f"{name} ({n})" for name, n in found.beyond.items()])
        yield f"{_count(n, 'detection')} past the end of the video, kept: {listed}"
    if found.n_ambiguous:
        removed = PROTOCOLS[found.protocol].ambiguous == "removed"
        fate = "removed" if removed else "no false positives"
        yield f"{_count(found.n_ambiguous, 'detection')} in ambiguous time: {fate}"


def _about_truth(found: Evaluation) -> Iterator[str]:
    protocol = PROTOCOLS[found.protocol]
    if found.videos:
        wanted = videosets.named(found.videos)
        if (found.n_videos, found.n_instances) != (wanted.n_videos, wanted.n_instances):
            official = f"{wanted.n_videos} videos and {wanted.n_instances} instances"
            yield f"{found.videos} has {official}, this truth {found.n_videos} and {found.n_instances}"
    if protocol.ambiguous != "count" and not found.n_ambiguous_segments:
        yield f"no ambiguous time, which {found.protocol} leaves out: on THUMOS14 figures are lower without"
    if found.n_empty:
        rounded = "" if protocol.rounds == "nothing" else " after rounding to snippets"
        yield f"{_count(found.n_empty, 'instance')} without length{rounded}: nothing can match"
    if found.n_late_instances:
        yield f"{_count(found.n_late_instances, 'instance')} past the end of the video, kept"
    if n := found.n_without_duration:
        yield f"{n} of {found.n_videos} videos without a duration: detections past their end are not told"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
