"""Detection files: ActivityNet-style JSON written and read, THUMOS14 text read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
from tal.results import thumos14
from tal.results.values import Results
from tal.types import Detection, Segment

VERSION = "tal 1"


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
        return thumos14.read_text(text, path)
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
