"""Files of annotation programs -> ground truth for `tal evaluate`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from extract.video import find_videos, survey, video_name
from tal import exports
from tal.annotations import AMBIGUOUS, Instance, Truth, VideoTruth
from tal.errors import ConfigError, InputError
from tal.exports import ReadOptions
from tal.files import write_atomic


class _Rates(Mapping[str, Fraction]):
    """Frames per second by video name, looked up when asked for."""

    def __init__(self, videos: Sequence[Path]) -> None:
        self._paths = {video_name(path): path for path in find_videos(videos)} if videos else {}

    def __getitem__(self, name: str) -> Fraction:
        fps = survey(self._paths[name], max_frames=1).info.fps
        if fps is None:
            raise KeyError(name)
        return fps

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def import_annotations(
    sources: Sequence[Path],
    from_: str | None = None,
    *,
    fps: Fraction | None = None,
    videos: Sequence[Path] = (),
    subset: str = "",
) -> Truth:
    """Read annotations of another program as ground truth.

    Args:
        sources: Files, or folders of files of the format.
        from_: One of `tal.exports.readable`; None to tell it from the file's suffix.
        fps: Frames per second, for formats that count frames.
        videos: Video files, or folders of them, that tell their rate.
        subset: Name of the split that the videos are in.

    Raises:
        AnnotationError: If a file is not what it should be; names file and place.
        ConfigError: If the format is not known or cannot be told.
        InputError: If nothing is found, two files annotate one video, or a rate is not known.
    """
    options = ReadOptions(fps, _Rates(videos))
    found: dict[str, VideoTruth] = {}
    by: dict[str, Path] = {}
    for source in sources:
        name = from_ or _format_of(source)
        module = exports.load(name, "import")
        for path in _files(source, module.LAYOUT.suffix):
            for video, truth in module.read(path, options):
                if video in found:
                    raise InputError(f"{path}: video '{video}' is annotated in {by[video]} as well; leave one out")
                found[video], by[video] = _sorted_out(truth, subset), path
    if not found:
        raise InputError(f"{', '.join(map(str, sources))}: no videos in it; check which format it is: --from")
    return Truth(found)


def _format_of(source: Path) -> str:
    known = exports.suffixes()
    if source.is_dir():
        suffixes = {path.suffix.lower() for path in source.iterdir()} & known.keys()
    else:
        suffixes = {source.suffix.lower()} & known.keys()
    if len(suffixes) != 1:
        raise ConfigError(f"{source}: its name does not tell the format; --from {', '.join(exports.readable())}")
    return known[suffixes.pop()]


def _files(source: Path, suffix: str) -> list[Path]:
    if not source.is_dir():
        return [source]
    inside = sorted(path for path in source.iterdir() if path.suffix.lower() == suffix and path.is_file())
    if not inside:
        raise InputError(f"{source}: no file *{suffix} in this folder; check which format it is: --from")
    return inside


def _sorted_out(truth: VideoTruth, subset: str) -> VideoTruth:
    """Return the truth with its ambiguous segments apart and its subset set."""
    instances = tuple(instance for instance in truth.instances if instance.label != AMBIGUOUS)
    ambiguous = tuple(instance.segment for instance in truth.instances if instance.label == AMBIGUOUS)
    return VideoTruth(truth.duration_s, subset or truth.subset, instances, (*truth.ambiguous, *ambiguous))


def truth_json(truth: Truth) -> dict[str, Any]:
    """Return ground truth as ActivityNet-style JSON values; times in seconds, to the millisecond."""
    return {"version": "tal 1", "database": {name: _entry(video) for name, video in truth.videos.items()}}


def write_truth(path: Path, truth: Truth) -> None:
    """Write ground truth as ActivityNet-style JSON, whole or not at all."""
    write_atomic(path, json.dumps(truth_json(truth), indent=1) + "\n")


def _entry(video: VideoTruth) -> dict[str, Any]:
    listed = (*video.instances, *(Instance(AMBIGUOUS, segment) for segment in video.ambiguous))
    annotations = [
        {"label": i.label, "segment": [round(i.segment.start_s, 3), round(i.segment.end_s, 3)]} for i in listed
    ]
    length = {} if video.duration_s is None else {"duration": video.duration_s}
    return {"subset": video.subset, **length, "annotations": annotations}
