"""From FFmpeg's frames to RGB pixels: colour conversion, and the turn and mirroring that a file asks for.

The colour matrix and range are the frame's own; where a file does not name them they are BT.601 and limited, as in
FFmpeg. swscale runs on one thread with one reused context: a new one per frame costs several times the conversion.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import atan2, degrees
from pathlib import Path
from typing import Any

import numpy as np

from tal.errors import VideoError
from tal.types import ByteArray

COLOURS = {1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc", 10: "bt2020c"}
"""Matrices by their number in ITU-T H.273; 2 and others stand for "not said"."""
RANGES = {1: "limited", 2: "full"}
PLANAR = {"nv12": "yuv420p", "p010le": "yuv420p10le", "p012le": "yuv420p12le", "nv16": "yuv422p", "nv24": "yuv444p"}
"""What hardware gives -> the same samples as software decoders lay them out; swscale rounds the two differently."""

CHROMA = "BICUBIC"
"""How chroma is brought to full size where swscale has no quick way: ffmpeg's default (PyAV's is bilinear)."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a stored picture is shown: first turned clockwise by quarter turns, then mirrored left to right."""

    quarters: int = 0
    mirrored: bool = False

    def apply(self, rgb: ByteArray) -> ByteArray:
        """Return the picture as shown; the identity makes no copy."""
        if self.quarters:
            rgb = np.rot90(rgb, -self.quarters)
        return np.ascontiguousarray(rgb[:, ::-1] if self.mirrored else rgb)


def orientation(frame: Any) -> Orientation:
    """Read the display matrix of a frame (ISO 14496-12, section 8.5.2.3: a, b, u, c, d, v, x, y, w)."""
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV knows no Exif, which photos carry along; FFmpeg turns by it and mirrors nothing
        return Orientation(round(-frame.rotation / 90) % 4)
    if matrix is None:
        return Orientation()
    a, b, _, c, d = struct.unpack("=5i", bytes(matrix)[:20])
    mirrored = a * d - b * c < 0
    turned = degrees(atan2(b, -a if mirrored else a)) if a or b else 0.0
    return Orientation(round(turned / 90) % 4, mirrored)


class Converter:
    """Turns frames into pixels with one reused scaler."""

    def __init__(self, path: Path) -> None:
        from av.video.reformatter import VideoReformatter

        self._path = path
        self._planar = VideoReformatter()
        self._reformatter = VideoReformatter()
        self._angle: float | None = None
        self._shown = Orientation()

    def __call__(self, frame: Any) -> ByteArray:
        """Return uint8 RGB (H, W, 3), contiguous, turned as the file asks.

        Raises:
            VideoError: If FFmpeg cannot convert the pixel format.
        """
        import av

        try:
            if frame.format.name in PLANAR:
                frame = self._planar.reformat(frame, format=PLANAR[frame.format.name], threads=1)
            rgb = _pixels(self._reformatter.reformat(frame, format="rgb24", interpolation=CHROMA, threads=1))
        except (av.error.FFmpegError, ValueError) as error:
            raise VideoError(f"{self._path}: its pixel format {frame.format.name} cannot be converted") from error
        if frame.rotation != self._angle:  # PyAV ties a frame whose side data are read into a cycle, freed late
            self._angle, self._shown = frame.rotation, orientation(frame)
        return self._shown.apply(rgb)


def _pixels(frame: Any) -> ByteArray:
    """Return an RGB frame's own memory as an array (H, W, 3); a copy costs more than the conversion."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8, plane.line_size * plane.height).reshape(plane.height, plane.line_size)
    return rows[:, : 3 * frame.width].reshape(plane.height, frame.width, 3)
