"""Videos found in folders: one file per video and stream, or one with both side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tal.errors import InputError
from tal.feature_sets._base import Content, Item
from tal.parsing import video_name
from tal.types import FloatArray

Read = Callable[[Path], Content]
Found = tuple[str, str, Path]
"""A video's name, the name of a stream (or of both together), and the file."""


def files_of(source: Path, suffix: str) -> list[Path]:
    """Return the files of a kind in a folder and those below it, or the one that is named.

    Raises:
        InputError: If there is none.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder; check the path")
    found = [source] if source.is_file() else sorted(filter(_is_shown, source.rglob(f"*{suffix}")))
    if not found or found[0].suffix != suffix:
        raise InputError(f"{source}: no {suffix} files; give the folder that holds them")
    return found


def _is_shown(path: Path) -> bool:
    """Return whether a path is a file, and none that a system keeps beside others, such as ``._a.npy``."""
    return path.is_file() and not path.name.startswith(".")


def per_video(files: Iterable[Path], read: Read) -> Iterator[Item]:
    """Yield an item per file, named after it."""
    for path in files:
        yield Item(video_name(path.stem), (path,), lambda path=path: read(path))  # type: ignore[misc]


def per_stream(found: Iterable[Found], read: Read, source: Path) -> Iterator[Item]:
    """Yield an item per video whose streams lie in files of their own.

    Raises:
        InputError: If nothing was found.
    """
    videos: dict[str, dict[str, list[Path]]] = {}
    for name, stream, path in found:
        videos.setdefault(video_name(name), {}).setdefault(stream, []).append(path)
    if not videos:
        raise InputError(f"{source}: no files of this format; 'tal import-features --list' shows what lies where")
    there = {stream for streams in videos.values() for stream in streams}
    for name, streams in sorted(videos.items()):
        wanted = sorted(there, reverse=True)  # RGB first
        paths = tuple(path for stream in wanted for path in streams.get(stream, ()))
        by_stream = {stream: files[0] for stream, files in streams.items()}
        yield Item(name, paths, _reader(name, streams, wanted, read), by_stream=by_stream)


def _reader(name: str, streams: Mapping[str, list[Path]], wanted: list[str], read: Read) -> Callable[[], Content]:
    def read_all() -> Content:
        for stream in wanted:
            if stream not in streams:
                raise InputError(f"video '{name}' has no {stream} file, other videos do; add it")
            if len(streams[stream]) > 1:
                one, other = streams[stream][:2]
                raise InputError(f"video '{name}' has two {stream} files, {one} and {other}; give the folder of one")
        contents = {stream: read(streams[stream][0]) for stream in wanted}
        counts = {stream: content.n_frames for stream, content in contents.items()}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{n} of {stream}" for stream, n in counts.items())
            raise InputError(f"video '{name}': streams of different videos ({told} frames); give those of one")
        return Content({s: next(iter(c.streams.values())) for s, c in contents.items()}, counts[wanted[0]])

    return read_all


def as_matrix(values: NDArray[Any], place: str, crop: int | None) -> FloatArray:
    """Return one stream's rows as float32 (T, D).

    Args:
        values: Numbers of any type, (T, D) or (crops, T, D).
        place: What a message calls them.
        crop: Which crop to take; None for the mean.

    Raises:
        InputError: If they are of another shape, no numbers, none at all, or not finite.
    """
    if values.dtype.kind not in "fiu" or values.ndim not in (2, 3):
        raise InputError(
            f"{place}: {values.dtype} of shape {values.shape}, not numbers (snippets, columns); choose its layout"
        )
    if not values.size:
        raise InputError(f"{place}: no snippets (shape {values.shape}); leave the file out")
    if values.ndim == 2 and crop is not None:
        raise InputError(f"{place}: there are no crops in it; leave out --crop")
    if values.ndim == 3:
        values = _one_crop(values, place, crop)
    with np.errstate(over="ignore"):
        rows = np.asarray(values, np.float32)
    if not np.isfinite(rows).all():
        t, d = np.argwhere(~np.isfinite(rows))[0]
        raise InputError(f"{place}: not a finite number in snippet {t}, column {d}, both from 0; extract it again")
    return rows


def _one_crop(values: NDArray[Any], place: str, crop: int | None) -> NDArray[Any]:
    if crop is None:
        mean = np.zeros(values.shape[1:])
        for one in values:
            mean += one
        return mean / len(values)
    if not 0 <= crop < len(values):
        raise InputError(f"{place}: no crop {crop}; there are {len(values)}, from 0")
    one_crop: NDArray[Any] = values[crop]
    return one_crop
