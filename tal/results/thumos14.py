"""Detections as the THUMOS14 evaluation kit reads them: lines ``VIDEO START END CLASS SCORE``."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from tal.errors import suggest
from tal.parsing import Place, as_number, as_segment, video_name
from tal.results.values import Results
from tal.types import Detection, Segment

THUMOS14_CLASSES = {  # name: index in UCF101 (detclasslist.txt of the THUMOS14 evaluation kit)
    "BaseballPitch": 7,
    "BasketballDunk": 9,
    "Billiards": 12,
    "CleanAndJerk": 21,
    "CliffDiving": 22,
    "CricketBowling": 23,
    "CricketShot": 24,
    "Diving": 26,
    "FrisbeeCatch": 31,
    "GolfSwing": 33,
    "HammerThrow": 36,
    "HighJump": 40,
    "JavelinThrow": 45,
    "LongJump": 51,
    "PoleVault": 68,
    "Shotput": 79,
    "SoccerPenalty": 85,
    "TennisSwing": 92,
    "ThrowDiscus": 93,
    "VolleyballSpiking": 97,
}
_BY_UCF101 = {str(index): name for name, index in THUMOS14_CLASSES.items()}
_BY_RANK = {str(rank): name for rank, name in enumerate(THUMOS14_CLASSES, start=1)}


def read_text(text: str, path: Path) -> Results:
    """Read the text of a file; `path` is what messages call it.

    Raises:
        AnnotationError: For the first thing that is wrong; names file, line and remedy.
    """
    lines = list(_lines(text, path))
    names = _class_names([cells[3] for _, cells in lines], path)
    by_video: dict[str, list[Detection]] = {}
    for place, (video, start, end, label, score) in lines:
        if label not in names:
            known = [*THUMOS14_CLASSES] if not label.lstrip("-").isdigit() else []
            problem = f"unknown class '{label}'"
            raise place.error(
                problem, suggest(label, known)[2:] or "use the indices of the THUMOS14 kit or class names"
            )
        segment: Segment = as_segment([start, end], place, texts=True)
        detection = Detection(names[label], segment, as_number(score, place, texts=True))
        by_video.setdefault(video_name(video), []).append(detection)
    return Results({video: tuple(found) for video, found in by_video.items()})


def _lines(text: str, path: Path) -> Iterator[tuple[Place, list[str]]]:
    for number, line in enumerate(io.StringIO(text), start=1):
        place, cells = Place(path, f"line {number}"), line.split()
        if cells and len(cells) != 5:
            raise place.error(f"{len(cells)} fields", "write VIDEO START END CLASS SCORE")
        if cells:
            yield place, cells


def _class_names(written: list[str], path: Path) -> dict[str, str]:
    """Return what the classes of a file mean; indices that both ways of counting share do not tell which it is."""
    indices = {text for text in written if text.isdigit()}
    if indices and indices <= _BY_UCF101.keys() & _BY_RANK.keys():
        listed = ", ".join(sorted(indices, key=int))
        raise Place(path).error(f"class indices {listed} may count in UCF101 or from 1 to 20", "write class names")
    by_index = _BY_RANK if indices <= _BY_RANK.keys() else _BY_UCF101
    return {**by_index, **{name: name for name in THUMOS14_CLASSES}}
