"""What a decoder is: the contract, the values it gives, and the checks that all of them share.

Times are seconds after the container's start, which is what a player shows as 0. Pictures are turned as the file's
rotation flag asks. Frames come in presentation order, their times never decrease, and their pixels are converted only
when asked for.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from tal.errors import InputError, VideoError
from tal.types import ByteArray

_LFS = b"version https://git-lfs"
MIN_SIDE = 8
"""Shorter sides hold nothing to see, px."""
MAX_SIDE = 8192
"""Longer sides are refused (8K is 7680 px): one picture would take over 200 MB."""
_MP4_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp"}


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a file says about its video stream.

    Attributes:
        path: The file.
        container: Name of the container format.
        codec: Name of the codec.
        width: Width as shown (after rotation), px.
        height: Height as shown, px.
        rotation: By how much the stored picture is turned to be shown: 0, 90, 180 or 270 degrees, clockwise.
        mirrored: Whether it is mirrored left to right after that.
        pixel_format: FFmpeg's name of the stored pixels, such as yuv420p10le.
        colour: Matrix of the stored pixels, such as bt709; empty where the file does not say.
        colour_range: ``limited``, ``full``, or empty where the file does not say.
        fps: Average frames per second, as claimed.
        fps_nominal: The rate that all timestamps fit, as FFmpeg guesses it.
        time_base: Unit of the stream's timestamps, seconds.
        start_s: When the first frame is due.
        duration_s: When the video stream ends, as claimed.
        n_frames: Number of frames, as claimed.
    """

    path: Path
    container: str
    codec: str
    width: int
    height: int
    rotation: int
    mirrored: bool
    pixel_format: str
    colour: str
    colour_range: str
    fps: Fraction | None
    fps_nominal: Fraction | None
    time_base: Fraction
    start_s: Fraction
    duration_s: Fraction | None
    n_frames: int | None


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """A decoded frame whose pixels are converted on demand.

    Attributes:
        time_s: When it is shown.
        duration_s: For how long; None where the file does not say.
        rgb: Converts to uint8 (H, W, 3); each call converts again.
        after_loss: Whether data between the frame before and this one could not be read or decoded.
        damaged: Whether parts of the picture are the decoder's guess.
    """

    time_s: Fraction
    duration_s: Fraction | None
    rgb: Callable[[], ByteArray]
    after_loss: bool = False
    damaged: bool = False


@dataclass(slots=True)
class Tally:
    """What a decoder counts while its frames are read.

    Attributes:
        n_decoded: Frames given out.
        n_bad_packets: Packets that could not be read or decoded.
        missing_s: Time that the file claims behind its last frame and does not hold, seconds; known at the end.
    """

    n_decoded: int = 0
    n_bad_packets: int = 0
    missing_s: Fraction = Fraction(0)


class Decoder(Protocol):
    """Reads video files."""

    name: str

    def probe(self, path: Path) -> VideoInfo:
        """Return what the file says about its video.

        Raises:
            InputError: If the file is not there or may not be read.
            VideoError: If not one frame of it can be decoded.
        """

    def frames(self, path: Path, tally: Tally | None = None) -> Iterator[TimedFrame]:
        """Yield the frames one after the other, counting into `tally`; closing the iterator closes the file.

        Raises:
            InputError: If the file is not there or may not be read.
            VideoError: If not one frame of it can be decoded.
        """


def missing_package(package: str) -> str | None:
    """Return None if a Python package is installed, else the reason in one line; nothing is imported."""
    return None if find_spec(package) else f"the Python package '{package}' is not installed"


def status(path: Path) -> os.stat_result:
    """Return what the file system says about a path.

    Raises:
        InputError: If there is nothing, or it may not be looked at.
    """
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{path}: no such file or folder; check the path") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InputError(f"{path}: a symbolic link that leads back to itself; name the video") from error
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def check_file(path: Path) -> None:
    """Refuse what needs no decoder to be refused.

    Raises:
        InputError: If the file is not there or may not be read.
        VideoError: If it is a folder, a device, empty, or a Git LFS pointer.
    """
    mode = status(path).st_mode
    if not stat.S_ISREG(mode):
        raise VideoError(f"{path}: {'a folder' if stat.S_ISDIR(mode) else 'not a regular file'}; name a video file")
    head = _head(path)
    if not head:
        raise VideoError(f"{path}: empty file (0 bytes); copy or download it again")
    if head.startswith(_LFS):
        raise VideoError(f"{path}: a Git LFS pointer, not the video itself; run 'git lfs pull'")


def check_size(path: Path, width: int, height: int) -> None:
    """Refuse pictures that are none, or too large to work on.

    Raises:
        VideoError: If a side is shorter than `MIN_SIDE` or longer than `MAX_SIDE`.
    """
    if min(width, height) < MIN_SIDE or max(width, height) > MAX_SIDE:
        raise VideoError(
            f"{path}: its pictures are {width}x{height} px; sides of {MIN_SIDE} to {MAX_SIDE} px can be read, "
            "check the file or scale it"
        )


def unreadable(path: Path, detail: str) -> VideoError:
    """Return the error for a file in which no container format is recognised; `detail` is the library's word."""
    head = _head(path)
    if head.isascii() and head.decode("ascii").replace("\n", "").replace("\r", "").replace("\t", "").isprintable():
        return VideoError(f"{path}: a text file, not a video; check what was downloaded")
    if head[4:8] in _MP4_BOXES:
        return VideoError(f"{path}: cut short or damaged, its index cannot be read; copy or download it again")
    return VideoError(f"{path}: not a video that can be read ({detail}); check that it plays elsewhere")


def undecodable(path: Path, codec: str, tally: Tally) -> VideoError:
    """Return the error for a file that opens but gives no frame."""
    if tally.n_bad_packets == 0:
        return VideoError(f"{path}: holds no video frames, only a header; copy or download it again")
    return VideoError(
        f"{path}: none of its {tally.n_bad_packets} packets ({codec}) can be decoded, it is damaged or encrypted; "
        "check that it plays elsewhere"
    )


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(1024)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
