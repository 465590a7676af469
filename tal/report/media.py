"""A video in the page: linked or embedded, and small pictures of it along the time line."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from extract.stills import stills
from tal.errors import InputError
from tal.types import ByteArray

THUMBNAIL_PX = 64
"""Height of thumbnails."""
WIDEST_PX = 160
"""Wider ones are cropped in the middle."""
JPEG_QUALITY = 72
COLUMNS = 8
CHUNK = 3 << 18
"""Bytes of a video that are encoded at a time; a multiple of 3, so that pieces of base64 fit together."""
TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/mp4",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".avi": "video/x-msvideo",
    ".ogv": "video/ogg",
}


@dataclass(frozen=True)
class Media:
    """How videos enter the page.

    Attributes:
        folder: Where the page will lie: links to videos are relative to it.
        embed: Write the videos into the page.
        n_thumbnails: Pictures per video at most; 0 for none.
    """

    folder: Path = Path()
    embed: bool = False
    n_thumbnails: int = 40

    def about(self, video: Path) -> dict[str, Any]:
        """Return what a page says of its video: ``href`` (null if embedded), ``type``, ``file`` and ``embedded``."""
        kind = TYPES.get(video.suffix.lower(), "")
        return {"href": None if self.embed else self._link(video), "type": kind, "file": _shown(video.name)} | {
            "embedded": self.embed
        }

    def _link(self, video: Path) -> str:
        """Return the percent-encoded path from the page to a video, or its address where there is no such path."""
        try:
            path = os.path.relpath(video.resolve(), self.folder.resolve())
        except ValueError:  # on another drive
            return video.resolve().as_uri()
        link = quote(os.fsencode(path.replace(os.sep, "/")))
        return link if link.startswith("../") else f"./{link}"


def _shown(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def encoded(video: Path) -> Iterator[str]:
    """Yield a file's base64, piece by piece.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        with video.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield base64.b64encode(chunk).decode("ascii")
    except OSError as error:
        raise InputError(f"{video}: cannot be read ({error.strerror}); check the path and its permissions") from error


def thumbnails(video: Path, duration_s: float, n: int) -> dict[str, Any] | None:
    """Return one JPEG that holds small pictures of a video row by row, or None where there is none to be had.

    Args:
        video: The file.
        duration_s: Its length, seconds.
        n: Pictures at most; key frames are taken, so that sparse ones give fewer.

    Returns:
        ``image`` (a data URI), ``width_px`` and ``height_px`` of one picture, ``columns``, ``times_s``.
    """
    times_s = ((np.arange(n) + 0.5) * duration_s / max(n, 1)).tolist()
    try:
        found = [(time_s, _cropped(rgb)) for time_s, rgb in stills(video, times_s, THUMBNAIL_PX)]
    except InputError:
        return None
    shape = found[0][1].shape if found else None
    found = [(time_s, rgb) for time_s, rgb in found if rgb.shape == shape]
    if not found:
        return None
    height_px, width_px = found[0][1].shape[:2]
    sheet = _sheet([rgb for _, rgb in found])
    times = [round(time_s, 2) for time_s, _ in found]
    size = {"width_px": width_px, "height_px": height_px, "columns": min(COLUMNS, len(found))}
    return {"image": f"data:image/jpeg;base64,{_jpeg(sheet)}", **size, "times_s": times}


def _cropped(rgb: ByteArray) -> ByteArray:
    spare = max(0, rgb.shape[1] - WIDEST_PX)
    return rgb[:, spare // 2 : rgb.shape[1] - (spare - spare // 2)]


def _sheet(pictures: list[ByteArray]) -> ByteArray:
    """Return pictures of one size (H, W, 3) side by side, `COLUMNS` to a row."""
    columns = min(COLUMNS, len(pictures))
    rest = -len(pictures) % columns
    padded = [*pictures, *[np.zeros_like(pictures[0])] * rest]
    rows = [np.concatenate(padded[i : i + columns], axis=1) for i in range(0, len(padded), columns)]
    return np.concatenate(rows, axis=0)


def _jpeg(rgb: ByteArray) -> str:
    import cv2

    done, data = cv2.imencode(".jpg", rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError("a picture could not be encoded")
    return base64.b64encode(data.tobytes()).decode("ascii")
