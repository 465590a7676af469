"""Flow as images, in the layout and the 8 bits of denseflow: kept beside features, or read in place of computing.

``<folder>/<video>/flow_x_00000.jpg`` and ``flow_y_00000.jpg`` hold the flow from the first resampled, scaled frame to
the next, and so on from 0: one pair of images fewer than frames. A value of v px is the gray level
round(255 (v + bound) / (2 bound)), cut off at 0 and 255; bound is 20 px. Images of the older dense_flow, which counts
from 1, are read as well. Eight bits and JPEG cost up to about 0.1 px on average (`extract.flow.presets`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from extract.flow._base import FlowBackend
from extract.video import video_name
from tal.errors import InputError, VideoError
from tal.files import storage_errors
from tal.types import ByteArray, FloatArray

BOUND_PX = 20.0
QUALITY = 95
AXES = ("x", "y")


class PairSource(Protocol):
    """What gives one video's flow, frame after frame."""

    def pairs(self, gray: ByteArray) -> FloatArray:
        """Return the flow from each of `gray` (F, H, W) to the next, float32 (F - 1, H, W, 2), px."""

    def end(self, well: bool) -> None:
        """The video has been read, well or not."""


class Computed:
    """Flow by an engine.

    Args:
        engine: The engine.
        folder: Where to keep the video's images; None for nowhere.
    """

    def __init__(self, engine: FlowBackend, folder: Path | None = None) -> None:
        self._engine, self._folder = engine, folder
        self._aside = folder and folder.with_name(f".{folder.name}.{os.getpid()}.part")
        self._n = 0

    def pairs(self, gray: ByteArray) -> FloatArray:
        """Compute flow, and write it where that is wanted."""
        flow = self._engine.pairs(gray)
        if self._aside:
            with storage_errors(self._aside):
                self._aside.mkdir(parents=True, exist_ok=True)
                for one in flow:
                    _write(self._aside, self._n, one)
                    self._n += 1
        return flow

    def end(self, well: bool) -> None:
        """Give the folder its name once it is whole; remove what is not."""
        if not self._aside or not self._folder or not self._aside.exists():
            return
        with storage_errors(self._folder):
            if well:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._aside.replace(self._folder)
            else:
                shutil.rmtree(self._aside)


class Stored:
    """Flow from images.

    Args:
        folder: The video's images.

    Raises:
        InputError: If there are none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._left = pictures(folder)

    def pairs(self, gray: ByteArray) -> FloatArray:
        """Read the next flow.

        Raises:
            VideoError: If there is too little, or it has another size than the frames.
        """
        flow = np.empty((len(gray) - 1, *gray.shape[1:], 2), np.float32)
        for one in flow:
            files = next(self._left, None)
            if files is None:
                raise VideoError(f"{self._folder}: fewer flow images than the video has frames; check fps and video")
            for axis, file in enumerate(files):
                one[..., axis] = _read(file, gray.shape[1:])
        return flow

    def end(self, well: bool) -> None:
        """Check that nothing is left over.

        Raises:
            VideoError: If something is: the images belong to other frames.
        """
        if well and next(self._left, None) is not None:
            raise VideoError(f"{self._folder}: more flow images than the video has frames; check fps and video")


def of_video(root: Path, video: Path) -> Path:
    """Return where a video's images lie."""
    return root / video_name(video)


def files_of(folder: Path) -> list[Path]:
    """Return a video's flow images, sorted.

    Raises:
        InputError: If there are none.
    """
    files = sorted(folder.glob("flow_[xy]_[0-9]*.jpg"))
    if not files:
        raise InputError(f"{folder}: no flow images flow_x_00000.jpg, flow_y_00000.jpg, ... in it")
    return files


def pictures(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Return an iterator over a video's pairs of images, checked to be complete.

    Raises:
        InputError: If there are none, or one is missing.
    """
    numbers = {axis: sorted(int(f.stem.rpartition("_")[2]) for f in files_of(folder) if f"_{axis}_" in f.name) for axis in AXES}
    first = min(numbers["x"], default=0)
    for axis in AXES:
        if numbers[axis] != list(range(first, first + len(numbers["x"]))) or first > 1:
            raise InputError(f"{folder}: flow images are missing; they count from 0 or 1 without gaps, x and y alike")
    return ((_file(folder, "x", i), _file(folder, "y", i)) for i in numbers["x"])


def _file(folder: Path, axis: str, number: int) -> Path:
    return folder / f"flow_{axis}_{number:05d}.jpg"


def _write(folder: Path, number: int, flow: FloatArray) -> None:
    import cv2

    levels = np.rint(255 * (flow.astype(np.float64) + BOUND_PX) / (2 * BOUND_PX)).clip(0, 255).astype(np.uint8)
    for i, axis in enumerate(AXES):
        _, content = cv2.imencode(".jpg", levels[..., i], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        _file(folder, axis, number).write_bytes(content.tobytes())


def _read(file: Path, shape: tuple[int, ...]) -> FloatArray:
    import cv2

    content = np.frombuffer(file.read_bytes(), np.uint8)
    levels = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE) if content.size else None
    if levels is None:
        raise VideoError(f"{file}: not an image that can be read; compute the flow again")
    if levels.shape != tuple(shape):
        found, wanted = ("x".join(map(str, reversed(one))) for one in (levels.shape, shape))
        raise VideoError(f"{file}: {found} px, but frames are {wanted} px; set extract.size or short_side to match")
    return np.asarray(levels.astype(np.float32) * np.float32(2 * BOUND_PX / 255) - np.float32(BOUND_PX))
