"""VIA 3, the VGG Image Annotator's project for video and audio (JSON): temporal segments of all videos in one project.

Attribute 1 is the class, a list to choose from; attribute 2 the score, a text. Files that are known are named by
address, so that VIA, opened from the disk, finds them; others are chosen by hand. When a project is read, the first
attribute of temporal segments that is chosen from a list gives the label, else the first one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tal.annotations import Instance, VideoTruth
from tal.exports._base import ExportOptions, Layout, ReadOptions, Video
from tal.exports._media import name_in
from tal.exports._text import score_text
from tal.parsing import Place, as_list, as_number, as_object, as_text, interval, parse_json, read_text, required

LAYOUT = Layout("VGG Image Annotator 3 (VIA), a project of temporal segments", ".json", per_video=False)
SEGMENT = "FILE1_Z2_XY0"
"""What an attribute belongs to: one file, two points of time, no place in the picture."""
TEXT, RADIO, SELECT = 1, 3, 4
LOCAL, ADDRESS = 1, 3
VIDEO = 4
_CREATOR = "VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)"
_WIDGETS = (
    "file_metadata_editor_visible",
    "spatial_metadata_editor_visible",
    "temporal_segment_metadata_editor_visible",
)


def pieces(videos: Iterable[Video], options: ExportOptions) -> Iterator[str]:
    """Yield the segments of one video after the other, then what names the videos and classes."""
    files: dict[str, Any] = {}
    labels: set[str] = set()
    yield '{"metadata": {'
    separator = "\n"
    for number, video in enumerate(videos, start=1):
        files[str(number)] = _file(str(number), video)
        labels.update(video.labels)
        for i, detection in enumerate(video.detections, start=1):
            values = {"1": detection.label, "2": score_text(detection.score)}
            times = [round(detection.segment.start_s, 3), round(detection.segment.end_s, 3)]
            entry = {"vid": str(number), "flg": 0, "z": times, "xy": [], "av": values}
            yield f'{separator}"{number}_{i:06d}": {json.dumps(entry)}'
            separator = ",\n"
    rest = {"attribute": _attributes(sorted(labels)), "file": files, **_project(list(files))}
    yield "\n},\n" + json.dumps(rest, indent=1)[1:].lstrip() + "\n"


def _file(number: str, video: Video) -> dict[str, Any]:
    address = video.media.path.resolve().as_uri() if video.media.path else ""
    name = address or video.file
    return {"fid": number, "fname": name, "type": VIDEO, "loc": ADDRESS if address else LOCAL, "src": address}


def _attributes(labels: list[str]) -> dict[str, Any]:
    shared = {"anchor_id": SEGMENT, "default_option_id": ""}
    options = {label: label for label in labels}
    return {
        "1": {"aname": "Action", "type": SELECT, "desc": "Class of the action", "options": options, **shared},
        "2": {"aname": "Score", "type": TEXT, "desc": "Score of the detection", "options": {}, **shared},
    }


def _project(numbers: list[str]) -> dict[str, Any]:
    project = {
        "pid": "__VIA_PROJECT_ID__",
        "rev": "__VIA_PROJECT_REV_ID__",
        "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
        "pname": "tal",
        "creator": _CREATOR,
        "created": 0,
        "data_format_version": "3.1.1",
        "vid_list": numbers,
    }
    shown = {
        "file_content_align": "center",
        "spatial_region_label_attribute_id": "",
        "gtimeline_visible_row_count": "4",
    }
    config = {
        "file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}},
        "ui": {**shown, **dict.fromkeys(_WIDGETS, True)},
    }
    return {"view": {number: {"fid_list": [number]} for number in numbers}, "project": project, "config": config}


def read(path: Path, options: ReadOptions) -> Iterator[tuple[str, VideoTruth]]:
    """Yield each video's ground truth.

    Raises:
        AnnotationError: If it is not a VIA 3 project, or it has no attribute of temporal segments.
    """
    tree, place = parse_json(read_text(path), path), Place(path)
    parts = {name: as_object(required(tree, name, place), place.key(name)) for name in ("attribute", "file", "view")}
    attribute, choices = _label_attribute(parts["attribute"], place.key("attribute"))
    names = _names(parts["view"], parts["file"], place)
    found: dict[str, list[Instance]] = {name: [] for name in names.values()}
    for key, value in as_object(required(tree, "metadata", place), place.key("metadata")).items():
        at = place.key("metadata").key(key)
        entry = as_object(value, at)
        times, view = as_list(required(entry, "z", at), at.key("z")), str(required(entry, "vid", at))
        if len(times) == 2 and view in names:
            start_s, end_s = (as_number(time, at.key("z")) for time in times)
            written = as_object(required(entry, "av", at), at.key("av")).get(attribute, "")
            label = as_text(choices.get(written, written), at.key("av").key(attribute))
            found[names[view]].append(Instance(label, interval(start_s, end_s, at)))
    for name, instances in found.items():
        yield name, VideoTruth(None, "", tuple(sorted(instances, key=lambda i: (i.segment.start_s, i.segment.end_s))))


def _label_attribute(attributes: Mapping[str, Any], place: Place) -> tuple[str, Mapping[str, Any]]:
    """Return the attribute that holds the class, and its choices by their keys."""
    entries = {key: as_object(value, place.key(key)) for key, value in attributes.items()}
    temporal = {key: entry for key, entry in entries.items() if entry.get("anchor_id") == SEGMENT}
    if not temporal:
        raise place.error("no attribute of temporal segments", "annotate segments of time in VIA")
    listed = (key for key, entry in temporal.items() if entry.get("type") in (RADIO, SELECT))
    key = next(listed, next(iter(temporal)))
    return key, as_object(temporal[key].get("options", {}), place.key(key).key("options"))


def _names(views: Mapping[str, Any], files: Mapping[str, Any], place: Place) -> dict[str, str]:
    """Return the video's name of each view that shows a file."""
    names = {}
    for key, value in views.items():
        at = place.key("view").key(key)
        shown = as_list(required(as_object(value, at), "fid_list", at), at.key("fid_list"))
        if shown:
            file = as_object(required(files, str(shown[0]), place.key("file")), place.key("file"))
            names[key] = name_in(as_text(required(file, "fname", place.key("file")), place.key("file")))
    return names
