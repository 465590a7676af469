"""PyAV (FFmpeg's libraries), the default: streams any format in bounded memory and goes on behind damage.

Each packet is decoded on its own, so that a damaged one costs its own frames only. Frames are decoded on several
threads up to the first sign of damage. From there what FFmpeg paints into damaged areas would depend on the number and
timing of the threads, so the file is then read again on one thread, and results never depend on threads: frames are
given out so late that no damage can show up in those that were.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from extract.decoders._base import (
    Tally,
    TimedFrame,
    VideoInfo,
    check_file,
    check_size,
    missing_package,
    undecodable,
    unreadable,
)
from extract.decoders._clock import Clock
from extract.decoders._memory import keep_freed_memory
from extract.decoders._packets import MICROSECOND, Decoded, Reader
from extract.decoders._picture import COLOURS, RANGES, Converter, orientation
from tal.errors import VideoError
from tal.types import ByteArray

PRIORITY = 10
MAX_THREADS = 8
LOOK_AHEAD = 16
"""Frames held back while several threads decode: H.264 and HEVC reorder no more (H.264 A.3.1, HEVC A.4.2)."""
OPTIONS = {"max_pixels": str(8192 * 8192)}
"""Refuses larger pictures in mid-stream before memory is taken for them."""

STRICT = {"err_detect": "explode+crccheck+bitstream+buffer+careful+compliant+aggressive"}
"""Makes decoders fail at the first oddity instead of painting over it."""
GUESSED = {"avi"}
"""Formats without presentation timestamps: those that FFmpeg makes up ignore reordering, decoding times are right."""
BLIND = {"vp8", "mpeg4"}
"""Codecs whose decoder notices too little damage when it runs on several threads; their pictures are small."""


def missing() -> str | None:
    """Return why this decoder cannot be used here, or None."""
    return missing_package("av")


class Backend:
    """Decode with PyAV.

    Args:
        threads: Threads to decode on; 0 for all cores, up to `MAX_THREADS`. Never changes a result.
        hwaccel: A PyAV ``HWAccel`` that decodes up to the first sign of damage, or None.
    """

    name = "pyav"

    def __init__(self, threads: int = 0, hwaccel: Any = None) -> None:
        import av  # noqa: F401 - fails here, not at the first video, where the library does not load

        keep_freed_memory()
        self._threads = threads or min(os.cpu_count() or 1, MAX_THREADS)
        self._hwaccel = hwaccel

    def probe(self, path: Path) -> VideoInfo:
        """Return what the file says about its video; decodes up to the first good frame."""
        tally = Tally()
        with _opened(path) as (container, stream):
            first = next(Reader(container, stream, tally).frames(), None)
            if first is None:
                raise undecodable(path, stream.codec_context.name, tally)
            return _info(path, container, stream, first.frame)

    def frames(self, path: Path, tally: Tally | None = None) -> Iterator[TimedFrame]:
        """Yield the frames in presentation order."""
        tally, n_given = tally or Tally(), 0
        if self._threads > 1 or self._hwaccel:
            sound = yield from self._quick(path, tally)
            if sound is None:
                return
            n_given = sound
        tally.n_decoded = tally.n_bad_packets = 0
        with _opened(path) as (container, stream):
            reader = Reader(container, stream, tally)
            yield from islice(_timed(path, reader, reader.frames(), at_once_from=n_given), n_given, None)
            if tally.n_decoded == 0:
                raise undecodable(path, stream.codec_context.name, tally)

    def _quick(self, path: Path, tally: Tally) -> Any:
        """Yield frames on several threads; return None at the end, or how many were given before there was trouble."""
        n_given = 0
        try:
            with _opened(path, self._threads, self._hwaccel) as (container, stream):
                if not self._hwaccel and not _gains(stream.codec_context):
                    return 0
                reader = Reader(container, stream, tally)
                for frame in _timed(path, reader, _held_back(reader)):
                    yield frame
                    n_given += 1
                return n_given if reader.troubled or tally.n_decoded == 0 else None
        except VideoError:
            if self._hwaccel is None:
                raise
            return n_given  # hardware that is busy or full is no fault of the video


def _gains(codec_context: Any) -> bool:
    """Return whether several threads decode faster."""
    from av.codec import Capabilities

    threaded = Capabilities.frame_threads | Capabilities.auto_threads
    return codec_context.name not in BLIND and bool(codec_context.codec.capabilities & threaded)


def _held_back(reader: Reader) -> Iterator[Decoded]:
    """Yield frames once `LOOK_AHEAD` more are decoded; stop at the first sign of damage."""
    ahead: deque[Decoded] = deque()
    for decoded in reader.frames():
        if reader.troubled:
            return
        ahead.append(decoded)
        if len(ahead) > LOOK_AHEAD:
            yield ahead.popleft()
    if not reader.troubled:
        yield from ahead


def _timed(
    path: Path, reader: Reader, frames: Iterator[Decoded], at_once_from: int | None = None
) -> Iterator[TimedFrame]:
    """Give frames their times, and pixels: on demand, or from one frame on at once.

    FFmpeg decodes into the buffers of frames that were let go, and where data are missing these shine through. So the
    frames of damaged files must not live for as long as somebody happens to hold them.
    """
    container, stream = reader.container, reader.stream
    clock, convert = _clock(container, stream), Converter(path)
    guessed = container.format.name in GUESSED
    for i, decoded in enumerate(frames):
        frame = decoded.frame
        time_s, duration_s = clock.read(None if guessed else frame.pts, frame.dts, frame.duration or None)
        at_once = at_once_from is not None and i >= at_once_from
        rgb: Callable[[], ByteArray] = convert(frame).copy if at_once else partial(convert, frame)
        timed = TimedFrame(time_s, duration_s, rgb, decoded.after_loss, frame.is_corrupt)
        del frame, decoded, rgb
        yield timed
        del timed


@contextmanager
def _opened(path: Path, threads: int = 1, hwaccel: Any = None) -> Iterator[tuple[Any, Any]]:
    """Open a file and its best video stream."""
    import av

    check_file(path)
    try:
        # An absolute path is never taken for a URL ('concat:a.mp4'), and FFmpeg lets what it names name only files.
        container = av.open(str(path.absolute()), metadata_errors="ignore", hwaccel=hwaccel)
    except av.error.FFmpegError as error:
        raise unreadable(path, error.strerror or "no known format") from error
    with container:
        stream = video_stream(path, container)
        stream.codec_context.options = OPTIONS if threads == 1 and not hwaccel else {**OPTIONS, **STRICT}
        stream.thread_type, stream.codec_context.thread_count = ("FRAME", threads) if threads > 1 else ("NONE", 1)
        yield container, stream


def video_stream(path: Path, container: Any) -> Any:
    """Return the stream that a player would show.

    Raises:
        VideoError: If there is none.
    """
    from av.stream import Disposition

    stream = container.streams.best("video")
    if stream is None or stream.disposition & Disposition.attached_pic:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise VideoError(f"{path}: no video stream in it (only {kinds}); name a file with pictures")
    if stream.codec_context is None:
        raise VideoError(f"{path}: its video codec is not supported; convert it, for instance to H.264")
    check_size(path, stream.codec_context.width, stream.codec_context.height)
    return stream


def _info(path: Path, container: Any, stream: Any, frame: Any) -> VideoInfo:
    check_size(path, frame.width, frame.height)
    shown = orientation(frame)
    width, height = (frame.height, frame.width) if shown.quarters % 2 else (frame.width, frame.height)
    return VideoInfo(
        path=path,
        container=container.format.name,
        codec=stream.codec_context.codec.canonical_name,
        width=width,
        height=height,
        rotation=90 * shown.quarters,
        mirrored=shown.mirrored,
        pixel_format=frame.format.name,
        colour=COLOURS.get(frame.colorspace, ""),
        colour_range=RANGES.get(frame.color_range, ""),
        fps=stream.average_rate or None,
        fps_nominal=stream.guessed_rate or None,
        time_base=stream.time_base,
        start_s=_start_s(container, stream),
        duration_s=_end_s(container, stream),
        n_frames=stream.frames or None,
    )


def container_zero_s(container: Any) -> Fraction:
    """Return the container's start on its own clock, exactly where a stream begins there (headers round to 1 us)."""
    if container.start_time is None:
        return Fraction(0)
    rounded: Fraction = container.start_time * MICROSECOND
    exact = (s.start_time * s.time_base for s in container.streams if s.start_time is not None and s.time_base)
    return next((time_s for time_s in exact if abs(time_s - rounded) <= MICROSECOND), rounded)


def _start_s(container: Any, stream: Any) -> Fraction:
    if stream.start_time is None:
        return Fraction(0)
    return Fraction(stream.start_time * stream.time_base) - container_zero_s(container)


def _end_s(container: Any, stream: Any) -> Fraction | None:
    if stream.duration:
        return _start_s(container, stream) + Fraction(stream.duration * stream.time_base)
    if not container.duration:
        return None
    from_zero = container.format.name in {"matroska,webm", "flv"}  # others count from their first timestamp
    return Fraction(container.duration * MICROSECOND) - (container_zero_s(container) if from_zero else 0)


def _clock(container: Any, stream: Any) -> Clock:
    rate = stream.guessed_rate or stream.average_rate or 25
    rejoins = container.format.name in {"mpegts", "mpeg"}
    return Clock(1 / Fraction(rate), _end_s(container, stream), rejoins, stream.time_base, container_zero_s(container))
