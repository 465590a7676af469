"""Label Studio: a JSON list of tasks with predictions, for a project with ``<TimelineLabels>`` on a ``<Video>``.

Ranges are frame numbers from 1, both ends included, at the rate that the ``<Video>`` tag is given: each task carries
its own as ``fps``, and the labelling configuration that is written beside asks for it (``frameRate="$fps"``). When a
project's JSON export is read, the annotations count, or the predictions where nobody has annotated.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

from tal.annotations import Instance, VideoTruth
from tal.exports._base import ExportOptions, Layout, ReadOptions, Video
from tal.exports._media import name_in
from tal.exports._xml import add
from tal.parsing import Place, as_list, as_number, as_object, as_text, parse_json, read_text, required
from tal.types import Detection, Segment

LAYOUT = Layout("Label Studio tasks with predictions on a timeline", ".json", per_video=False, needs=frozenset({"fps"}))
CONTROL, OBJECT = "timelineLabels", "video"
MODEL = "tal"


def pieces(videos: Iterable[Video], options: ExportOptions) -> Iterator[str]:
    """Yield one task after the other."""
    opening = "[\n"
    for video in videos:
        yield opening + json.dumps(_task(video, options), ensure_ascii=True, allow_nan=False)
        opening = ",\n"
    yield "[]\n" if opening == "[\n" else "\n]\n"


def _task(video: Video, options: ExportOptions) -> dict[str, Any]:
    best = max((d.score for d in video.detections), default=0.0)
    results = [_result(f"d{i}", d, video) for i, d in enumerate(video.detections, start=1)]
    data = {
        "video": options.prefix + quote(video.file, errors="backslashreplace"),
        "fps": float(video.media.rate),
        "name": video.name,
    }
    return {"data": data, "predictions": [{"model_version": MODEL, "score": float(best), "result": results}]}


def _result(name: str, detection: Detection, video: Video) -> dict[str, Any]:
    first, stop = video.media.frames(detection.segment)
    return {
        "id": name,
        "from_name": CONTROL,
        "to_name": OBJECT,
        "type": "timelinelabels",
        "score": float(detection.score),
        "value": {"ranges": [{"start": first + 1, "end": stop}], "timelinelabels": [detection.label]},
    }


def setup(labels: Sequence[str]) -> tuple[str, str]:
    """Return the labelling configuration of a project that these tasks fit."""
    view = ET.Element("View")
    control = add(view, "TimelineLabels", name=CONTROL, toName=OBJECT)
    for label in labels:
        add(control, "Label", value=label)
    add(view, "Video", name=OBJECT, value="$video", frameRate="$fps", timelineHeight="120")
    ET.indent(view)
    return "label-studio-config.xml", ET.tostring(view, encoding="unicode") + "\n"


def read(path: Path, options: ReadOptions) -> Iterator[tuple[str, VideoTruth]]:
    """Yield each task's ground truth.

    Raises:
        AnnotationError: If it is not a JSON export of Label Studio.
        InputError: If the rate of a video is not known.
    """
    tree = parse_json(f'{{"tasks": {read_text(path)}}}', path)
    place = Place(path, "tasks")
    for i, value in enumerate(as_list(tree["tasks"], place)):
        yield _video(as_object(value, place.item(i)), place.item(i), options)


def _video(task: Mapping[str, Any], place: Place, options: ReadOptions) -> tuple[str, VideoTruth]:
    data = as_object(required(task, "data", place), place.key("data"))
    name, said = data.get("name"), data.get("fps")
    if not isinstance(name, str) or not name:
        name = name_in(as_text(required(data, "video", place.key("data")), place.key("data").key("video")))
    where = f"{place.path}, {place.at}"
    stated = None if said is None else Fraction(as_number(said, place.key("data").key("fps"), texts=True))
    instances: list[Instance] = []
    for value, inner in _results(task, place):
        entry = as_object(value, inner)
        if entry.get("type") == "timelinelabels":
            rate = options.rate(name, where, stated if stated and stated > 0 else None)
            instances += _instances(as_object(required(entry, "value", inner), inner), rate, inner.key("value"))
    return name, VideoTruth(None, "", tuple(sorted(instances, key=lambda i: (i.segment.start_s, i.segment.end_s))))


def _results(task: Mapping[str, Any], place: Place) -> Iterator[tuple[Any, Place]]:
    """Yield the regions of the last annotation that was not cancelled, else of the last prediction."""
    for kind in ("annotations", "predictions"):
        inner = place.key(kind)
        entries = [
            (as_object(entry, inner.item(i)), inner.item(i))
            for i, entry in enumerate(as_list(task.get(kind, []), inner))
        ]
        kept = [(entry, at) for entry, at in entries if not entry.get("was_cancelled")]
        if kept:
            entry, at = kept[-1]
            regions = as_list(required(entry, "result", at), at.key("result"))
            yield from ((region, at.key("result").item(i)) for i, region in enumerate(regions))
            return


def _instances(value: Mapping[str, Any], rate: Fraction, place: Place) -> Iterator[Instance]:
    for i, entry in enumerate(as_list(required(value, "ranges", place), place.key("ranges"))):
        at = place.key("ranges").item(i)
        span = as_object(entry, at)
        first, last = (as_number(required(span, key, at), at.key(key)) for key in ("start", "end"))
        if not 1 <= first <= last:
            raise at.error(f"frames {first:g} to {last:g} are no range", "frames count from 1")
        for label in as_list(required(value, "timelinelabels", place), place.key("timelinelabels")):
            text = as_text(label, place.key("timelinelabels"))
            yield Instance(text, Segment(float((first - 1) / rate), float(last / rate)))
