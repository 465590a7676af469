"""FiftyOne: the ``labels.json`` of a ``fiftyone.types.FiftyOneTemporalDetectionDataset``.

Keys are the videos' names without suffix, as the importer looks them up in the folder of videos (``data_path``); times
are seconds (``timestamps``), so that no rate is needed. ``support``, first and last frame from 1, is read as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tal.annotations import Instance, VideoTruth
from tal.exports._base import ExportOptions, Layout, ReadOptions, Video
from tal.parsing import Place, as_list, as_object, as_segment, as_text, parse_json, read_text, required, video_name
from tal.types import Detection, Segment

LAYOUT = Layout("FiftyOne temporal detections: labels.json", ".json", per_video=False)


def pieces(videos: Iterable[Video], options: ExportOptions) -> Iterator[str]:
    """Yield one video after the other, then the classes, which the videos count in the order they appear."""
    index: dict[str, int] = {}
    yield '{"labels": {'
    separator = "\n"
    for video in videos:
        entries = [_entry(d, index.setdefault(d.label, len(index))) for d in video.detections]
        yield f"{separator}{json.dumps(video.name)}: {json.dumps(entries, allow_nan=False)}"
        separator = ",\n"
    yield f'\n}},\n"classes": {json.dumps(list(index))}}}\n'


def _entry(detection: Detection, label: int) -> dict[str, Any]:
    times = [round(detection.segment.start_s, 3), round(detection.segment.end_s, 3)]
    return {"label": label, "timestamps": times, "confidence": float(detection.score)}


def read(path: Path, options: ReadOptions) -> Iterator[tuple[str, VideoTruth]]:
    """Yield each video's ground truth.

    Raises:
        AnnotationError: If it is not such a file.
        InputError: If times are frames and the rate is not known.
    """
    tree, place = parse_json(read_text(path), path), Place(path)
    classes = as_list(tree.get("classes") or [], place.key("classes"))
    for key, value in as_object(required(tree, "labels", place), place.key("labels")).items():
        at = place.key("labels").key(key)
        entries = [] if value is None else as_list(value, at)
        name = video_name(key)
        instances = [
            _instance(as_object(e, at.item(i)), classes, at.item(i), name, options) for i, e in enumerate(entries)
        ]
        yield name, VideoTruth(None, "", tuple(instances))


def _instance(entry: Mapping[str, Any], classes: list[Any], place: Place, video: str, options: ReadOptions) -> Instance:
    label = required(entry, "label", place)
    if isinstance(label, int) and not isinstance(label, bool):
        if not 0 <= label < len(classes):
            raise place.error(f"class {label} of {len(classes)}", "add it to 'classes'")
        label = classes[label]
    if "timestamps" in entry:
        segment = as_segment(entry["timestamps"], place.key("timestamps"))
    else:
        frames = as_segment(required(entry, "support", place), place.key("support"))
        rate = options.rate(video, f"{place.path}, {place.at}")
        segment = Segment(float(max(frames.start_s - 1, 0) / rate), float(frames.end_s / rate))
    return Instance(as_text(label, place.key("label")), segment)
