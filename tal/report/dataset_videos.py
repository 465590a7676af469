"""The list of videos: one column per figure, one row per video.

Rows are the videos of the results, in their order, then those of the truth that the results do not name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tal.annotations import Truth
from tal.evaluation import Evaluation
from tal.report.dataset_numbers import significant
from tal.report.dataset_scores import Rematched
from tal.results import Results

STANDING = {
    "elsewhere": "of another subset, not evaluated",
    "blocked": "left out of the evaluated set",
    "extra": "unknown to the truth: its detections are false positives",
    "missing": "no entry among the detections",
}
"""What the lists of an evaluation say about the videos in them."""


def listed(
    results: Results, known: Truth | None, evaluation: Evaluation | None, matched: Rematched | None
) -> dict[str, Any]:
    """Return columns: name, number and best score of detections, instances, those found, duration, and why not.

    ``n_truth`` is None for a video that the truth does not know, ``n_found`` where nothing was compared; ``note`` is an
    index into ``notes``, -1 for nothing to say.
    """
    videos = known.videos if known else {}
    names = [*results.by_video, *(name for name in videos if name not in results.by_video)]
    detections = [results.by_video.get(name, ()) for name in names]
    truths, found = [videos.get(name) for name in names], _found(matched)
    notes = _notes(names, results, evaluation)
    texts = sorted(set(notes) - {""})
    place = {"": -1, **{text: n for n, text in enumerate(texts)}}
    return {
        "name": names,
        "n_detections": [len(one) for one in detections],
        "best": [significant(max(d.score for d in one)) if one else None for one in detections],
        "n_truth": [len(truth.instances) if truth else None for truth in truths],
        "n_found": [found.get(name) if truth else None for name, truth in zip(names, truths, strict=True)],
        "duration_s": [truth.duration_s if truth else None for truth in truths],
        "note": [place[note] for note in notes],
        "notes": texts,
    }


def _found(matched: Rematched | None) -> dict[str, int]:
    """Return how many instances of each video were found at the shown threshold."""
    if matched is None:
        return {}
    return dict(zip(matched.matched.videos, matched.matched.n_found[matched.shown].tolist(), strict=True))


def _notes(names: Sequence[str], results: Results, evaluation: Evaluation | None) -> list[str]:
    """Return what a reader has to know about each video: where it stands, and why nothing was found."""
    standing = {n: text for what, text in STANDING.items() if evaluation for n in getattr(evaluation, what)}
    reasons = results.provenance.get("empty")
    why = {str(n): str(text) for n, text in reasons.items()} if isinstance(reasons, Mapping) else {}
    return ["; ".join(filter(None, (standing.get(name, ""), why.get(name, "")))) for name in names]
