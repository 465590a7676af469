"""CVAT for video 1.1 (XML): one file per video, each detection a track of boxes around the whole picture.

Frames count from 0; a track is seen from its first box to the one marked ``outside``. CVAT takes only labels that its
task has: ``cvat-labels.json``, written beside, is what its raw editor of labels takes. Read are tracks, whatever their
shapes, and tags of pictures (CVAT for images), of which neighbouring ones are one instance.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree as ET

from tal.annotations import Instance, VideoTruth
from tal.exports._base import ExportOptions, Layout, Media, ReadOptions, Video
from tal.exports._media import name_in
from tal.exports._text import one_line, score_text
from tal.exports._xml import add, parse, text_of
from tal.parsing import Place, shown
from tal.types import Detection, Segment

LAYOUT = Layout("CVAT for video 1.1, a track per detection", ".xml", per_video=True, needs=frozenset({"fps", "size"}))
SCORE = "score"


def pieces(videos: Iterable[Video], options: ExportOptions) -> Iterator[str]:
    """Yield the document of each video."""
    for video in videos:
        root = ET.Element("annotations")
        add(root, "version", "1.1")
        _add_task(add(add(root, "meta"), "task"), video)
        for number, detection in enumerate(video.detections):
            _add_track(root, number, detection, video.media)
        yield text_of(root)


def _add_task(task: ET.Element, video: Video) -> None:
    ends = (video.media.frames(detection.segment)[1] for detection in video.detections)
    n_frames = video.media.n_frames or max(ends, default=1)
    told = {"name": one_line(video.name), "size": n_frames, "mode": "interpolation", "overlap": 0}
    for tag, value in {**told, "start_frame": 0, "stop_frame": n_frames - 1, "frame_filter": ""}.items():
        add(task, tag, str(value))
    labels = add(task, "labels")
    for label in video.labels:
        own = add(labels, "label")
        add(own, "name", one_line(label))
        attribute = add(add(own, "attributes"), "attribute")
        for tag, text in (
            ("name", SCORE),
            ("mutable", "False"),
            ("input_type", "text"),
            ("default_value", ""),
            ("values", ""),
        ):
            add(attribute, tag, text)
    size = add(task, "original_size")
    add(size, "width", str(video.media.width))
    add(size, "height", str(video.media.height))
    add(task, "source", video.file)


def _add_track(root: ET.Element, number: int, detection: Detection, media: Media) -> None:
    """Add boxes at the first frame, the last one and, unless the video ends there, the one behind it."""
    track = add(root, "track", id=str(number), label=one_line(detection.label), source="auto")
    first, stop = media.frames(detection.segment)
    frames = {first: "0", stop - 1: "0", **({stop: "1"} if stop != media.n_frames else {})}
    corners = {"xtl": "0.00", "ytl": "0.00", "xbr": f"{media.width:.2f}", "ybr": f"{media.height:.2f}"}
    for frame, outside in frames.items():
        box = add(track, "box", frame=str(frame), keyframe="1", outside=outside, occluded="0", **corners, z_order="0")
        add(box, "attribute", score_text(detection.score), name=SCORE)


def setup(labels: Sequence[str]) -> tuple[str, str]:
    """Return what CVAT's raw editor of labels takes."""
    score = {"name": SCORE, "mutable": False, "input_type": "text", "default_value": "", "values": [""]}
    told = [{"name": one_line(label), "attributes": [score]} for label in labels]
    return "cvat-labels.json", json.dumps(told, indent=1) + "\n"


def read(path: Path, options: ReadOptions) -> Iterator[tuple[str, VideoTruth]]:
    """Yield the ground truth of the file's video: the one it names as its source, else the one it is named after.

    Raises:
        AnnotationError: If it is not CVAT's XML.
        InputError: If the rate of the video is not known.
    """
    root, place = parse(path, "annotations"), Place(path)
    name = name_in(next((source.text or "" for source in root.iter("source")), "")) or path.stem
    spans = [*_tracked(root, place), *_tagged(root, place)]
    rate = options.rate(name, str(path)) if spans else Fraction(1)
    instances = [Instance(label, Segment(float(first / rate), float(stop / rate))) for label, first, stop in spans]
    yield name, VideoTruth(None, "", tuple(sorted(instances, key=lambda i: (i.segment.start_s, i.segment.end_s))))


def _tracked(root: ET.Element, place: Place) -> Iterator[tuple[str, int, int]]:
    """Yield label, first frame and the one behind the last, for each time that a track is seen."""
    for track in root.iter("track"):
        at = Place(place.path, f"track {track.get('id', '?')}")
        label = _label(track, at)
        shapes = sorted(
            (_whole(s.get("frame"), at), s.get("outside") == "1") for s in track if s.get("frame") is not None
        )
        first: int | None = None
        for frame, outside in shapes:
            if outside and first is not None:
                yield label, first, frame
            first = None if outside else frame if first is None else first
        if first is not None:
            yield label, first, shapes[-1][0] + 1


def _tagged(root: ET.Element, place: Place) -> Iterator[tuple[str, int, int]]:
    """Yield runs of neighbouring pictures that carry the same tag."""
    by_label: dict[str, list[int]] = {}
    for image in root.iter("image"):
        at = Place(place.path, f"image {image.get('id', '?')}")
        for label in {_label(tag, at) for tag in image.iter("tag")}:
            by_label.setdefault(label, []).append(_whole(image.get("id"), at))
    for label, frames in by_label.items():
        for _, run in groupby(enumerate(sorted(set(frames))), key=lambda pair: pair[1] - pair[0]):
            seen = [frame for _, frame in run]
            yield label, seen[0], seen[-1] + 1


def _label(element: ET.Element, at: Place) -> str:
    label = element.get("label", "").strip()
    if not label:
        raise at.error("it has no label", "choose one in CVAT")
    return label


def _whole(text: str | None, at: Place) -> int:
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 12):
        raise at.error(f"not the number of a frame: {shown(text)}", "write a whole number from 0")
    return int(text)
