"""Another library's pictures beside PyAV's frames: right times, and a watch over what the library shows.

OpenCV and decord repeat, lose and misplace frames without saying so, and neither tells every frame's time. So PyAV
decodes the same file beside them. Times, durations and damage are PyAV's; a frame too few or too many, or a picture
that differs, ends the reading.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from extract.decoders import pyav
from extract.decoders._base import Tally, TimedFrame
from tal.errors import VideoError
from tal.types import ByteArray

EVERY = 23
"""Every so many frames one and its neighbour are compared; a prime, out of step with groups of pictures."""
LIMIT = 6.0
"""Mean absolute difference of pictures that show the same, levels of 255. The libraries round 10-bit video up to 4
apart; a wrong colour matrix makes about 7 on colourful pictures, a wrong range or frame more."""
MARGIN = 0.5
"""By how much less a picture may differ from the frame before or behind than from its own, levels."""

GRID = 120
"""Pixels along the shorter side that are compared, at least (or all there are)."""


@dataclass(frozen=True, slots=True)
class Library:
    """A library that reads one file.

    Attributes:
        name: The decoder's name.
        path: The file.
        pictures: Its pictures as it lays them out, one after the other.
        to_rgb: Turns one into uint8 RGB (H, W, 3), oriented, in memory of its own.
    """

    name: str
    path: Path
    pictures: Iterator[ByteArray]
    to_rgb: Callable[[ByteArray], ByteArray]

    def refused(self, reason: str) -> VideoError:
        """Return the error for what it does wrong in this file."""
        return refused(self.name, self.path, reason)


def refused(name: str, path: Path, reason: str) -> VideoError:
    """Return the error for a file that PyAV reads and the decoder `name` does not, or not rightly."""
    return VideoError(f"{path}: {name} {reason}; use the decoder 'pyav'")


def check_readable(name: str, path: Path, misreads: Mapping[str, str], traits: Iterator[str]) -> None:
    """Refuse what a decoder is known to misread.

    Args:
        name: The decoder.
        path: The file.
        misreads: What it misreads, to the reason.
        traits: What the file is: its container and anything else that `misreads` may name.

    Raises:
        VideoError: If it misreads one of these traits, or the file's name is not UTF-8, which ends OpenCV's process.
    """
    try:
        os.fsencode(path).decode()
    except UnicodeDecodeError as error:
        raise refused(name, path, "cannot open a file whose name is not UTF-8") from error
    if (known := next((trait for trait in traits if trait in misreads), None)) is not None:
        raise refused(name, path, misreads[known])


def beside(library: Library, tally: Tally) -> Iterator[TimedFrame]:
    """Yield the library's pictures at PyAV's times, counting into `tally`.

    Raises:
        VideoError: If the library gives fewer or more frames than PyAV, or other pictures.
    """
    seen, watch = Tally(), _Watch(library)
    frames: Generator[TimedFrame, None, None] = pyav.Backend().frames(library.path, seen)  # type: ignore[assignment]
    with closing(frames):
        for frame in frames:
            picture = next(library.pictures, None)
            if picture is None:
                n = tally.n_decoded
                raise library.refused(f"ends after {n} frames, where there are more" if n else "cannot decode it")
            watch.look_at(picture, frame)
            tally.n_decoded += 1
            rgb = partial(library.to_rgb, picture)
            yield TimedFrame(frame.time_s, frame.duration_s, rgb, frame.after_loss, frame.damaged)
    watch.close()
    tally.n_bad_packets, tally.missing_s = seen.n_bad_packets, seen.missing_s


class _Pair(NamedTuple):
    """What the library and PyAV show, RGB."""

    mine: ByteArray
    theirs: ByteArray


class _Watch:
    """Compares pictures with their neighbours now and then, wherever one repeats the one before, and at damage."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._n_seen = 0
        self._last: tuple[ByteArray, TimedFrame] | None = None
        self._before: _Pair | None = None

    def look_at(self, picture: ByteArray, frame: TimedFrame) -> None:
        """Compare this frame if it is due.

        Raises:
            VideoError: If it or the one before differs from PyAV's, or is nearer to its neighbour.
        """
        due = self._n_seen == 1 or self._n_seen % EVERY == 0 or frame.after_loss or frame.damaged
        repeated = self._last is not None and np.array_equal(picture, self._last[0])
        if due or repeated:
            if self._last is not None and self._before is None:
                self._before = self._compared(*self._last)
            self._before = self._compared(picture, frame)
        else:
            self._before = None
        self._last = picture, frame
        self._n_seen += 1

    def close(self) -> None:
        """Compare the last frame."""
        if self._last is not None and self._before is None:
            self._compared(*self._last)

    def _compared(self, picture: ByteArray, frame: TimedFrame) -> _Pair:
        pair = _Pair(self._library.to_rgb(picture), frame.rgb())
        if not _same(pair) or (self._before is not None and _swapped(self._before, pair)):
            raise self._library.refused(f"shows a wrong picture at {float(frame.time_s):.2f} s")
        return pair


def _same(pair: _Pair) -> bool:
    return pair.mine.shape == pair.theirs.shape and _difference(*pair) <= LIMIT


def _swapped(before: _Pair, now: _Pair) -> bool:
    """Return whether either picture of the library is nearer to the other's frame than to its own."""
    if before.mine.shape != now.theirs.shape:
        return False
    late = _difference(now.mine, now.theirs) - _difference(now.mine, before.theirs)
    early = _difference(before.mine, before.theirs) - _difference(before.mine, now.theirs)
    return max(late, early) > MARGIN


def _difference(one: ByteArray, other: ByteArray) -> float:
    """Return the mean absolute difference on a grid of pixels, levels of 255."""
    step = max(1, min(one.shape[:2]) // GRID)
    one, other = one[::step, ::step], other[::step, ::step]
    apart: Any = np.maximum(one, other) - np.minimum(one, other)
    return float(apart.mean())
