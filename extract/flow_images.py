"""Flow as images, in the layout and the 8 bits of denseflow: kept beside features, or read in place of computing.

``<folder>/<video>/flow_x_00000.jpg`` and ``flow_y_00000.jpg`` hold the flow from the first resampled, scaled frame to
the next, and so on from 0: one pair of images fewer than frames. A value of v px is the gray level
round(255 (v + bound) / (2 bound)), cut off at 0 and 255; bound is 20 px. Images of the older dense_flow, which counts
from 1, are read as well.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import numpy as np

from extract.flow._base import FlowBackend
from extract.snippets import block_of
from extract.video import video_name
from tal.errors import InputError, VideoError
from tal.files import storage_errors
from tal.types import ByteArray, FloatArray

BOUND_PX = 20.0
QUALITY = 95
AXES = ("x", "y")
_NAME = re.compile(r"flow_([xy])_([0-9]{5,9})\.jpg")
_JPEG_END = b"\xff\xd9"


class PairSource(Protocol):
    """What gives one video's flow, frame after frame."""

    def pairs(self, gray: ByteArray) -> FloatArray:
        """Return the flow from each of `gray` (F, H, W) to the next, float32 (F - 1, H, W, 2), px."""

    def end(self, well: bool) -> None:
        """All frames have been passed on, or, if not `well`, no more will be."""


class Computed:
    """Flow by an engine.

    Args:
        engine: The engine.
        folder: Where to write the video's images; None for nowhere.

    Attributes:
        block: How many frames the engine works on together.
    """

    def __init__(self, engine: FlowBackend, folder: Path | None = None) -> None:
        self._engine, self._folder = engine, folder
        self._n = 0
        self.block = block_of(engine)

    def pairs(self, gray: ByteArray) -> FloatArray:
        """Compute flow, and write it where that is wanted.

        Raises:
            StorageError: If it cannot be written.
        """
        flow = self._engine.pairs(gray)
        if self._folder:
            with storage_errors(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
                for one in flow:
                    _write(self._folder, self._n, one)
                    self._n += 1
        return flow

    def end(self, well: bool) -> None:
        """Remove the images of a video that broke off."""
        if self._folder and not well:
            shutil.rmtree(self._folder, ignore_errors=True)


class Stored:
    """Flow from images.

    Args:
        folder: The video's images.

    Raises:
        InputError: If the folder is not there, or images are missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pictures = _paired(folder, files_of(folder))
        self._n = 0

    def pairs(self, gray: ByteArray) -> FloatArray:
        """Read the next flow.

        Raises:
            VideoError: If there is too little, an image cannot be read or has another size than the frames.
        """
        flow = np.empty((len(gray) - 1, *gray.shape[1:], 2), np.float32)
        for one in flow:
            if self._n == len(self._pictures):
                raise VideoError(f"{self._folder}: {self._counted}, but the video has more frames than that; {_REMEDY}")
            for axis, file in enumerate(self._pictures[self._n]):
                one[..., axis] = px(_read(file, (gray.shape[1], gray.shape[2])))
            self._n += 1
        return flow

    def end(self, well: bool) -> None:
        """Check that nothing is left over.

        Raises:
            VideoError: If something is: the images belong to other frames.
        """
        if well and self._n < len(self._pictures):
            raise VideoError(f"{self._folder}: {self._counted}, but the video has {self._n + 1} frames; {_REMEDY}")

    @property
    def _counted(self) -> str:
        return f"{len(self._pictures)} pairs of flow images"


_REMEDY = "set extract.fps to the rate the images were made at"


def of_video(root: Path, video: Path) -> Path:
    """Return where a video's images lie."""
    return root / video_name(video)


def files_of(folder: Path) -> list[Path]:
    """Return a video's flow images, in order.

    Raises:
        InputError: If the folder cannot be read.
    """
    try:
        files = [file for file in folder.iterdir() if _NAME.fullmatch(file.name)]
    except OSError as error:
        raise InputError(
            f"{folder}: no flow images of this video ({error.strerror}); "
            "extract.flow_images names a folder with one folder of images for each video"
        ) from error
    return sorted(files, key=lambda file: (len(file.name), file.name))


def _paired(folder: Path, files: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Return images as pairs of x and y in their order.

    Raises:
        InputError: If one is missing.
    """
    numbered = {axis: [file for file in files if file.name.startswith(f"flow_{axis}")] for axis in AXES}
    found = {axis: [int(file.stem.rpartition("_")[2]) for file in numbered[axis]] for axis in AXES}
    first = found["x"][0] if found["x"] else 0
    wanted = list(range(first, first + len(found["x"])))
    if first > 1 or any(found[axis] != wanted for axis in AXES):
        raise InputError(
            f"{folder}: flow images are missing; flow_x_00000.jpg and flow_y_00000.jpg count from 0 or 1 without gaps"
        )
    return list(zip(numbered["x"], numbered["y"], strict=True))


def levels(flow: FloatArray) -> ByteArray:
    """Return flow in px as gray levels, of any shape."""
    exact = 255 * (flow.astype(np.float64) + BOUND_PX) / (2 * BOUND_PX)
    return np.asarray(np.rint(exact).clip(0, 255), np.uint8)


def px(gray: ByteArray) -> FloatArray:
    """Return gray levels as flow in px, float32 of the same shape."""
    return np.asarray(gray * (2 * BOUND_PX / 255) - BOUND_PX, np.float32)


def _write(folder: Path, number: int, flow: FloatArray) -> None:
    import cv2

    gray = levels(flow)
    for i, axis in enumerate(AXES):
        _, content = cv2.imencode(".jpg", gray[..., i], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        (folder / f"flow_{axis}_{number:05d}.jpg").write_bytes(content.tobytes())


def _read(file: Path, shape: tuple[int, int]) -> ByteArray:
    import cv2

    try:
        content = file.read_bytes()
    except OSError as error:
        raise VideoError(f"{file}: cannot read: {error.strerror}") from error
    whole = content.rstrip(b"\0").endswith(_JPEG_END)  # OpenCV would fill up what is cut off
    gray = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE) if whole else None
    if gray is None:
        raise VideoError(f"{file}: not a whole JPEG image; make the flow images of this video again")
    if gray.shape != shape:
        (high, wide), (h, w) = gray.shape, shape
        raise VideoError(f"{file}: {wide}x{high} px, but frames are {w}x{h} px; set extract.size=[{wide},{high}]")
    return np.asarray(gray, np.uint8)
