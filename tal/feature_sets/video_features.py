"""I3D features of v-iashin's video_features: ``VIDEO.npz`` with ``rgb``, ``flow``, ``fps`` and ``timestamps_ms``.

A timestamp is where the first frame after a snippet begins: the first one tells the snippet's length, the step between
two the stride. Also its ``VIDEO_rgb.npy``, ``VIDEO_flow.npy``, ``VIDEO_fps.npy`` and ``VIDEO_timestamps_ms.npy``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tal import npy
from tal.errors import InputError
from tal.feature_sets._base import Content, ImportOptions, Item, Layout
from tal.feature_sets._files import files_of, per_video
from tal.parsing import video_name
from tal.types import STREAMS

LAYOUT = Layout("VIDEO.npz: rgb, flow (T, 1024), fps, timestamps_ms; or VIDEO_rgb.npy, ...", "unknown")
_TIMES = ("fps", "timestamps_ms")


def find(source: Path, asked: ImportOptions) -> Iterator[Item]:
    """Yield the videos of a folder of .npz files, or else of .npy files."""
    streams = asked.streams or STREAMS
    if source.is_file() or any(source.rglob("*.npz")):
        return per_video(files_of(source, ".npz"), lambda path: _read(path, streams))
    return _loose(files_of(source, ".npy"), streams)


def _read(path: Path, streams: tuple[str, ...]) -> Content:
    with npy.Archive(path) as archive:
        arrays = {name: archive.numbers(name) for name in (*streams, *_TIMES) if name in archive.names}
    return _content(arrays, path, streams)


def _loose(files: list[Path], streams: tuple[str, ...]) -> Iterator[Item]:
    videos: dict[Path, dict[str, Path]] = {}
    for path in files:
        for key in (*streams, *_TIMES):
            if path.stem.endswith(f"_{key}"):
                videos.setdefault(path.with_name(path.stem.removesuffix(f"_{key}")), {})[key] = path

    for stem, parts in videos.items():

        def read(stem: Path = stem, parts: Mapping[str, Path] = parts) -> Content:
            return _content({key: npy.numbers(path) for key, path in parts.items()}, stem, streams)

        yield Item(video_name(stem.name), tuple(parts.values()), read)


def _content(arrays: Mapping[str, NDArray[Any]], place: Path, streams: tuple[str, ...]) -> Content:
    there = {name: arrays[name] for name in streams if name in arrays}
    if not there:
        raise InputError(f"{place}: neither rgb nor flow in it; extract with feature_type=i3d")
    if not set(_TIMES) <= set(arrays):
        return Content(there)
    fps, times = arrays["fps"].ravel(), arrays["timestamps_ms"].ravel()
    if len(fps) != 1 or not 0 < float(fps[0]) < 1000 or not len(times) or not float(times[0]) > 0:
        raise InputError(
            f"{place}: fps and timestamps_ms tell no rate; extract again, or leave both out and give --fps"
        )
    rate = Fraction(str(float(fps[0]))).limit_denominator(10_000)
    length = max(1, round(float(times[0]) * float(rate) / 1000))
    step_ms = float(times[1] - times[0]) if len(times) > 1 else float(times[0])
    return Content(there, None, rate, max(1, round(step_ms * float(rate) / 1000)), length)
