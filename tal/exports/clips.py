"""Clips: a file for each detection, in a folder per video, named by its times and class."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from extract.clips import cut, probe
from tal.exports._base import ExportOptions, Layout, Video
from tal.types import Detection, Segment

LAYOUT = Layout("clips, one per detection", "", per_video=True, needs=frozenset({"file"}))
_MAX_LABEL = 60


def write(video: Video, folder: Path, options: ExportOptions, force: bool) -> Iterator[tuple[Path, bool]]:
    """Cut one clip after the other; yield its file and whether it was made, or was there and is kept.

    Raises:
        InputError: If the video cannot be read or cut.
    """
    if video.media.path is None:
        raise ValueError("clips need the video's file")
    info, taken = probe(video.media.path), set[str]()
    for detection in video.detections:
        stem = folder / _name(detection, taken)
        there = [stem.with_name(stem.name + suffix) for suffix in (".mp4", info.path.suffix.lower())]
        kept = next((path for path in there if path.is_file() and not force), None)
        start_s, end_s = detection.segment.start_s - options.pad_s, detection.segment.end_s + options.pad_s
        yield kept or cut(info, stem, Segment(max(start_s, 0.0), end_s), options.cut).path, kept is None


def _name(detection: Detection, taken: set[str]) -> str:
    """Return ``0012.340-0015.670_Run``, which no other clip of the video has, and take it."""
    label = re.sub(r"[^\w-]+", "-", detection.label).strip("-")[:_MAX_LABEL] or "action"
    name = stem = f"{detection.segment.start_s:08.3f}-{detection.segment.end_s:08.3f}_{label}"
    number = 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add(name.lower())
    return name
