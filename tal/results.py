"""Detection files: ActivityNet-style JSON written and read, THUMOS14 text read.

JSON: ``{"version": "tal 1", "results": {VIDEO: [{"label", "segment": [start, end], "score"}]}, "external_data": {...},
"provenance": {...}}``; segments in seconds, rounded to milliseconds, so that equal detections give equal files.

THUMOS14 text: lines ``VIDEO START END CLASS SCORE``. CLASS is a name or an index. The official kit counts the 20
classes in UCF101 (7 BaseballPitch to 97 VolleyballSpiking), other lists count from 1 to 20; the file as a whole tells
which it means.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tal.errors import suggest
from tal.files import write_atomic
from tal.parsing import (
    Place,
    as_list,
    as_number,
    as_object,
    as_segment,
    as_text,
    parse_json,
    read_text,
    required,
    video_name,
)
from tal.types import Detection, Segment

VERSION = "tal 1"
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


@dataclass(frozen=True)
class Results:
    """What was detected in a set of videos.

    Attributes:
        by_video: Video name to its detections; empty for a video in which nothing was found.
        provenance: How the detections were made, as JSON-ready values.
    """

    by_video: Mapping[str, tuple[Detection, ...]]
    provenance: Mapping[str, Any] = field(default_factory=dict)


def to_json(results: Results) -> dict[str, Any]:
    """Return the results as JSON-ready values, in the order they have, segments in whole milliseconds.

    Raises:
        ValueError: If a detection has a time or score that is not finite, or a segment that is negative or reversed.
    """
    return {
        "version": VERSION,
        "results": {name: [_entry(d) for d in found] for name, found in results.by_video.items()},
        "external_data": _external_data(results),
        "provenance": dict(results.provenance),
    }


def dumps(results: Results) -> str:
    """Return the text of a results file.

    Raises:
        ValueError: As `to_json`.
    """
    return json.dumps(to_json(results), indent=1, allow_nan=False) + "\n"


def _external_data(results: Results) -> dict[str, Any]:
    """Say whether the features come from a network that was trained on other data."""
    features = results.provenance.get("features")
    spec = str(features.get("weights_spec", "")) if isinstance(features, Mapping) else ""
    if spec.startswith("random:"):
        return {"used": False, "details": "randomly initialised feature extractor, see provenance"}
    return {"used": True, "details": "pre-trained feature extractor, see provenance"}


def write_results(path: str | Path, results: Results) -> None:
    """Write a results file, whole or not at all.

    Raises:
        StorageError: If the disk is full, read-only or gone.
        ValueError: As `to_json`.
    """
    write_atomic(Path(path), dumps(results))


def _entry(detection: Detection) -> dict[str, Any]:
    start_s, end_s, score = (float(v) for v in (detection.segment.start_s, detection.segment.end_s, detection.score))
    if not (0 <= start_s <= end_s and math.isfinite(end_s) and math.isfinite(score)):
        raise ValueError(f"not a detection that can be written: {detection}")
    times = [round(start_s, 3) + 0.0, round(end_s, 3) + 0.0]  # + 0.0 makes -0.0 plain
    return {"label": detection.label, "segment": times, "score": score}


def read_results(path: str | Path) -> Results:
    """Read a results file: JSON, or THUMOS14 text, which begins with no bracket and is not named ``.json``.

    Raises:
        AnnotationError: For the first thing that is wrong; names file, place and remedy.
    """
    path = Path(path)
    text = read_text(path)
    if path.suffix.lower() != ".json" and not text.lstrip().startswith(("{", "[")):
        return _read_thumos14(text, path)
    tree = parse_json(text, path)
    if "database" in tree and "results" not in tree:
        raise Place(path).error("ground truth where detections were expected", "name the detections first")
    place = Place(path, "results")
    by_video: dict[str, tuple[Detection, ...]] = {}
    for name, value in as_object(required(tree, "results", Place(path)), place).items():
        video, inner = video_name(as_text(name, place)), place.key(name)
        if video in by_video:
            raise place.error(f"two videos are named '{video}' when suffixes are dropped", "keep one of them")
        by_video[video] = tuple(_usual(v) or _detection(v, inner.item(i)) for i, v in enumerate(as_list(value, inner)))
    return Results(by_video, as_object(tree.get("provenance", {}), Place(path, "provenance")))


def _usual(value: object) -> Detection | None:
    """Return what is plainly a detection, None for all that needs a closer look: files hold hundreds of thousands."""
    match value:
        case {"label": str(label), "segment": [float(start_s), float(end_s)], "score": float(score)}:
            if label and label == label.strip() and 0 <= start_s <= end_s < math.inf and -math.inf < score < math.inf:
                return Detection(label, Segment(start_s, end_s), score)
    return None


def _detection(value: object, place: Place) -> Detection:
    entry = as_object(value, place)
    label = as_text(required(entry, "label", place), place.key("label"))
    segment = as_segment(required(entry, "segment", place), place.key("segment"))
    return Detection(label, segment, as_number(required(entry, "score", place), place.key("score")))


def _read_thumos14(text: str, path: Path) -> Results:
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
