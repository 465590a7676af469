"""A few pictures of a video, quickly: key frames near given times, each found by seeking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from extract.decoders._base import check_file
from extract.decoders._picture import Converter
from extract.decoders.pyav import OPTIONS, container_zero_s, video_stream
from extract.scaling import scaled
from tal.errors import VideoError
from tal.types import ByteArray

MAX_PACKETS = 8
"""Packets that are read behind a place without a frame being shown, before that place is given up."""
MAX_PIXELS = 250_000_000
"""Pixels of all frames of a video that is decoded from end to end where key frames are too sparse: about a second."""
Still = tuple[float, ByteArray]


def stills(path: Path, times_s: Sequence[float], height_px: int) -> Iterator[Still]:
    """Yield the last key frame at or before each time, with its own time; one that serves several times comes once.

    Costs a seek and a decoded frame each. Where that gives less than half of what was asked for and the video is
    small, it is decoded from end to end, and the first frames at or after the times come. Files that are damaged, or
    do not let themselves be searched, give fewer.

    Args:
        path: The video.
        times_s: When, seconds after the container's start, increasing.
        height_px: Height that pictures are scaled to; the width keeps the shape.

    Yields:
        Seconds, and uint8 RGB (H, W, 3).

    Raises:
        InputError: If the file is not there or may not be read.
        VideoError: If it is no video.
    """
    import av

    check_file(path)
    try:
        container = av.open(str(path.absolute()), metadata_errors="ignore")
    except av.error.FFmpegError as error:
        raise VideoError(f"{path}: not a video that can be read; check that it plays elsewhere") from error
    with container:
        stream = video_stream(path, container)
        stream.codec_context.options = OPTIONS
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        zero_s, picture = container_zero_s(container), _Picture(path, height_px)
        found = [picture.of(frame, zero_s) for frame in _key_frames(container, stream, times_s)]
        if 2 * len(found) < len(times_s) and _n_pixels(stream) <= MAX_PIXELS:
            found = [picture.of(frame, zero_s) for frame in _passing(container, stream, times_s)]
    yield from found


class _Picture:
    """Turns frames into small pictures."""

    def __init__(self, path: Path, height_px: int) -> None:
        self._convert = Converter(path)
        self._height_px = height_px

    def of(self, frame: Any, zero_s: Fraction) -> Still:
        """Return when a frame is shown, and its picture."""
        rgb = self._convert(frame)
        width_px = max(1, round(rgb.shape[1] * self._height_px / rgb.shape[0]))
        return float(frame.pts * frame.time_base - zero_s), scaled(rgb, (width_px, self._height_px))


def _n_pixels(stream: Any) -> float:
    """Return how many pixels all frames of a video have; without a claim of their number, too many."""
    n_frames = stream.frames or (stream.duration or 0) * (stream.time_base or 0) * (stream.average_rate or 0)
    return float(n_frames * stream.codec_context.width * stream.codec_context.height) or float("inf")


def _key_frames(container: Any, stream: Any, times_s: Sequence[float]) -> Iterator[Any]:
    """Yield the frames that seeks lead to, each once."""
    last = None
    for time_s in times_s:
        frame = _sought(container, stream, time_s)
        if frame is not None and frame.pts != last:
            last = frame.pts
            yield frame


def _sought(container: Any, stream: Any, time_s: float) -> Any:
    """Return the frame that a seek to `time_s` leads to; None where that leads to none."""
    import av

    at = round((time_s + float(container_zero_s(container))) / float(stream.time_base))
    try:
        container.seek(at, stream=stream, backward=True)
        for n_read, packet in enumerate(container.demux(stream)):
            for frame in packet.decode():
                if frame.pts is not None:
                    return frame
            if n_read >= MAX_PACKETS:
                return None
    except av.error.FFmpegError:
        return None
    return None


def _passing(container: Any, stream: Any, times_s: Sequence[float]) -> Iterator[Any]:
    """Decode from the start; yield the first frame at or after each time, each frame once."""
    import av

    wanted = [(time_s + float(container_zero_s(container))) / float(stream.time_base) - 0.5 for time_s in times_s]
    try:
        container.seek(0)
        for frame in container.decode(stream):
            if frame.pts is None or frame.pts < wanted[0]:
                continue
            yield frame
            wanted = [at for at in wanted if at > frame.pts]
            if not wanted:
                return
    except av.error.FFmpegError:
        return
