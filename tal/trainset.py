"""Labelled feature shards as a training set, read when needed and kept in memory up to a bound."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tal import shards
from tal.errors import InputError, ShardError, suggest
from tal.progress import Progress
from tal.sampling import Indices
from tal.shards import ShardHeader
from tal.types import STREAMS, FloatArray

CACHE_BYTES = 1 << 30


@dataclass(frozen=True)
class TrainingVideo:
    """A video to learn from: its name, its feature shard, and what happens somewhere in it."""

    name: str
    shard: Path
    labels: tuple[str, ...]


class TrainingSet:
    """Videos in order of their names, whatever order they are given in.

    Args:
        videos: At least one, each with at least one label.
        classes: Class names in the order of the model's outputs; default: the videos' labels, sorted.
        cache_bytes: How much of the features to keep in memory.

    Raises:
        InputError: If there are no videos, a video comes twice or has no label, or classes and labels do not fit.
        ShardError: If a shard cannot be read, or differs from the others in dimension or grid.
    """

    def __init__(
        self, videos: Sequence[TrainingVideo], classes: Sequence[str] = (), cache_bytes: int = CACHE_BYTES
    ) -> None:
        if not videos:
            raise InputError("no videos to train on; name some that have both features and labels")
        self.videos = tuple(sorted(videos, key=lambda video: video.name))
        self.classes = tuple(classes) or tuple(sorted({label for video in videos for label in video.labels}))
        self.labels = _multi_hot(self.videos, self.classes)  # (N, C)
        self.headers = tuple(shards.header(video.shard) for video in self.videos)
        self.dims = _common_dims(self.videos, self.headers)
        self._cache = _Cache(cache_bytes)

    def __len__(self) -> int:
        return len(self.videos)

    def dim(self, streams: Sequence[str]) -> int:
        """Return the dimension of streams side by side."""
        return sum(self.dims[stream] for stream in streams)

    def features(self, index: int, stream: str) -> FloatArray:
        """Return one video's features of one stream, float32 (T, D), read-only.

        Raises:
            ShardError: If they cannot be read or are not finite.
        """
        values = self._cache.get((index, stream))
        if values is None:
            values = self._read(index, stream)
            self._cache.put((index, stream), values)
        return values

    def concatenated(self, index: int, streams: Sequence[str]) -> FloatArray:
        """Return one video's streams side by side, (T, D)."""
        return np.concatenate([self.features(index, stream) for stream in streams], axis=1)

    def sample(self, streams: Sequence[str], videos: Indices, snippets: Indices) -> FloatArray:
        """Return chosen snippets with their streams side by side, (B, T, D).

        Args:
            streams: Which streams.
            videos: Places of videos in the set, (B,).
            snippets: Snippet indices of each, (B, T).
        """
        return self.packed(streams, videos.tolist(), list(snippets)).reshape(*snippets.shape, -1)

    def packed(self, streams: Sequence[str], videos: Sequence[int], snippets: Sequence[Indices]) -> FloatArray:
        """Return chosen snippets of videos one below the other, their streams side by side, (N, D)."""
        out = np.empty((sum(map(len, snippets)), self.dim(streams)), np.float32)
        top = 0
        for video, chosen in zip(videos, snippets, strict=True):
            left, bottom = 0, top + len(chosen)
            for stream in streams:
                right = left + self.dims[stream]
                out[top:bottom, left:right] = self.features(video, stream)[chosen]
                left = right
            top = bottom
        return out

    def moments(self, streams: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation of each dimension over all snippets of all videos, (D,) each."""
        total, squares, count = np.zeros(self.dim(streams)), np.zeros(self.dim(streams)), 0
        for index in range(len(self)):
            values = self.concatenated(index, streams).astype(np.float64)
            total += values.sum(axis=0)
            squares += (values**2).sum(axis=0)
            count += len(values)
        mean = total / count
        spread = np.sqrt(np.maximum(squares / count - mean**2, 0))
        return mean.astype(np.float32), spread.astype(np.float32)

    def motion(self, index: int) -> FloatArray | None:
        """Return one video's mean flow magnitude per snippet, (T,), or None where the shard has none."""
        has_motion = "motion" in self.headers[index].shapes
        return shards.read_stream(self.videos[index].shard, "motion") if has_motion else None

    def check(self, streams: Sequence[str], progress: Progress) -> None:
        """Read everything that a training on `streams` will need, so that it does not stop hours later.

        Raises:
            InputError: If a video lacks one of the streams.
            ShardError: If features cannot be read, are empty, or are not finite.
        """
        for video, header in zip(self.videos, self.headers, strict=True):
            for stream in streams:
                if stream not in header.dims:
                    raise InputError(f"{video.shard}: no {stream} stream; extract it, or choose another train.fusion")
        with progress.task("check features", len(self), "videos") as task:
            for index, video in enumerate(self.videos):
                for stream in streams:
                    self.features(index, stream)
                task.advance(1, video.name)

    def _read(self, index: int, stream: str) -> FloatArray:
        path = self.videos[index].shard
        values = shards.read_stream(path, stream)
        if not len(values) or not np.isfinite(values).all():
            raise ShardError(f"{path}: {stream} features are empty or not finite; run 'tal extract' again")
        values.flags.writeable = False
        return values


class _Cache:
    """Arrays up to a number of bytes; the one not used for longest goes first."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.n_bytes = 0
        self._arrays: OrderedDict[tuple[int, str], FloatArray] = OrderedDict()

    def get(self, key: tuple[int, str]) -> FloatArray | None:
        if key not in self._arrays:
            return None
        self._arrays.move_to_end(key)
        return self._arrays[key]

    def put(self, key: tuple[int, str], values: FloatArray) -> None:
        self._arrays[key] = values
        self.n_bytes += values.nbytes
        while self.n_bytes > self.max_bytes:
            self.n_bytes -= self._arrays.popitem(last=False)[1].nbytes


def _multi_hot(videos: Sequence[TrainingVideo], classes: Sequence[str]) -> FloatArray:
    """Return labels as 0 and 1, (N, C), after checking that they and the classes fit."""
    place = {label: i for i, label in enumerate(classes)}
    hot = np.zeros((len(videos), len(classes)), np.float32)
    for row, video in enumerate(videos):
        if row and videos[row - 1].name == video.name:
            raise InputError(f"video '{video.name}' is listed twice")
        if not video.labels:
            raise InputError(f"video '{video.name}' has no label; label it or leave it out")
        for label in video.labels:
            if label not in place:
                raise InputError(f"video '{video.name}': unknown class '{label}'{suggest(label, classes)}")
            hot[row, place[label]] = 1
    for label, column in zip(classes, hot.T, strict=True):
        if not column.any():
            raise InputError(f"class '{label}' has no training video; add one or leave the class out")
    return hot


def _common_dims(videos: Sequence[TrainingVideo], headers: Sequence[ShardHeader]) -> dict[str, int]:
    """Return the dimension of each stream that all shards have, after comparing all with the first."""
    for video, header in zip(videos, headers, strict=True):
        if _grid(header) != _grid(headers[0]):
            raise _mismatch(video, _grid(header), videos[0], _grid(headers[0]))
        for stream, dim in header.dims.items():
            first = headers[0].dims.get(stream, dim)
            if dim != first:
                raise _mismatch(video, f"{stream} {dim}-d", videos[0], f"{stream} {first}-d")
    shared = set(headers[0].dims).intersection(*(header.dims for header in headers))
    return {stream: headers[0].dims[stream] for stream in STREAMS if stream in shared}


def _grid(header: ShardHeader) -> str:
    grid = header.grid
    rate = header.provenance.get("rate", f"{grid.fps} fps")  # imported features may have each video's own
    return f"{grid.length} frames every {grid.stride} at {rate}"


def _mismatch(video: TrainingVideo, one: str, first: TrainingVideo, other: str) -> ShardError:
    return ShardError(f"{video.shard}: {one}, but '{first.name}' has {other}; extract all with the same settings")
