"""PyAV (FFmpeg's libraries), the default: streams any format in bounded memory and goes on behind damage.

Each packet is decoded on its own, so that a damaged one costs its own frames only. Decoding runs on one thread: with
several, what FFmpeg paints into damaged areas depends on their number and timing, and features would differ from run
to run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from extract.decoders._base import (
    Tally,
    TimedFrame,
    VideoInfo,
    check_file,
    missing_package,
    undecodable,
    unreadable,
)
from extract.decoders._clock import Clock, Stamps
from tal.errors import VideoError
from tal.types import ByteArray

MICROSECOND = Fraction(1, 1_000_000)
MAX_READ_FAILURES = 100
"""Failed reads in a row after which the rest of a container is given up."""


def missing() -> str | None:
    """Return why this decoder cannot be used here, or None."""
    return missing_package("av")


class Backend:
    """Decode with PyAV."""

    name = "pyav"

    def __init__(self) -> None:
        import av  # noqa: F401 - fails here, not at the first video, where the library does not load

    def probe(self, path: Path) -> VideoInfo:
        """Return what the file says about its video; decodes up to the first good frame."""
        tally = Tally()
        with _opened(path) as (container, stream):
            frame = next(_decoded(container, stream, tally), None)
            if frame is None:
                raise undecodable(path, stream.codec_context.name, tally)
            return _info(path, container, stream, frame)

    def frames(self, path: Path, tally: Tally | None = None) -> Iterator[TimedFrame]:
        """Yield the frames in presentation order."""
        tally = tally or Tally()
        with _opened(path) as (container, stream):
            zero_s, clock, convert = _zero_s(container), _clock(container, stream), _Converter(path)
            for frame in _decoded(container, stream, tally):
                time_s, duration_s = clock.read(*_stamps(frame, stream.time_base, zero_s))
                yield TimedFrame(time_s, duration_s, partial(convert, frame))
            if tally.n_decoded == 0:
                raise undecodable(path, stream.codec_context.name, tally)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a file and its best video stream."""
    import av

    check_file(path)
    try:
        # An absolute path is never taken for a URL ('concat:a.mp4'), and FFmpeg lets what it names name only files.
        container = av.open(str(path.absolute()), metadata_errors="ignore")
    except av.error.FFmpegError as error:
        raise unreadable(path, error.strerror or "no known format") from error
    with container:
        yield container, _video_stream(path, container)


def _video_stream(path: Path, container: Any) -> Any:
    from av.stream import Disposition

    stream = container.streams.best("video")
    if stream is None or stream.disposition & Disposition.attached_pic:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise VideoError(f"{path}: no video stream in it (only {kinds}); name a file with pictures")
    if stream.codec_context is None:
        raise VideoError(f"{path}: its video codec is not supported; convert it, for instance to H.264")
    stream.thread_type = "NONE"
    return stream


def _decoded(container: Any, stream: Any, tally: Tally) -> Iterator[Any]:
    """Yield decoded frames; a packet that fails is counted and passed over."""
    import av

    for packet in _packets(container, stream, tally):
        try:
            # None drains the decoder; an empty packet would do so in mid-stream and end it.
            frames = stream.codec_context.decode(packet)
        except av.error.FFmpegError:
            tally.n_bad_packets += packet is not None
            continue
        for frame in frames:
            tally.n_decoded += 1
            yield frame


def _packets(container: Any, stream: Any, tally: Tally) -> Iterator[Any]:
    """Yield the stream's packets that hold data, then None; reading goes on behind damage."""
    import av

    failures = 0
    while failures < MAX_READ_FAILURES:
        try:
            for packet in container.demux(stream):
                failures = 0
                if packet.size:
                    yield packet
            break
        except av.error.FFmpegError:
            failures += 1
            tally.n_bad_packets += 1
    yield None


class _Converter:
    """Turns frames into pixels with one reused scaler."""

    def __init__(self, path: Path) -> None:
        from av.video.reformatter import VideoReformatter

        self._path = path
        self._reformatter = VideoReformatter()

    def __call__(self, frame: Any) -> ByteArray:
        """Return uint8 RGB (H, W, 3), turned as the file asks."""
        import av

        try:
            rgb = self._reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        except (av.error.FFmpegError, ValueError) as error:
            raise VideoError(f"{self._path}: its pixel format {frame.format.name} cannot be converted") from error
        # The identity for unturned frames: no copy.
        return np.ascontiguousarray(np.rot90(rgb, -_rotation(frame) // 90), dtype=np.uint8)


def _info(path: Path, container: Any, stream: Any, frame: Any) -> VideoInfo:
    rotation = _rotation(frame)
    width, height = (frame.height, frame.width) if rotation % 180 else (frame.width, frame.height)
    return VideoInfo(
        path=path,
        container=container.format.name,
        codec=stream.codec_context.name,
        width=width,
        height=height,
        rotation=rotation,
        fps=stream.average_rate or None,
        time_base=stream.time_base,
        start_s=_start_s(container, stream),
        duration_s=_end_s(container, stream),
        n_frames=stream.frames or None,
    )


def _rotation(frame: Any) -> int:
    """Return the clockwise rotation in whole quarter turns; the file's matrix is counter-clockwise."""
    return round(-float(frame.rotation) / 90) * 90 % 360


def _zero_s(container: Any) -> Fraction:
    """Return the container's start on its own clock, exactly where a stream begins there (headers round to 1 us)."""
    if container.start_time is None:
        return Fraction(0)
    rounded: Fraction = container.start_time * MICROSECOND
    exact = (s.start_time * s.time_base for s in container.streams if s.start_time is not None and s.time_base)
    return next((time_s for time_s in exact if abs(time_s - rounded) <= MICROSECOND), rounded)


def _start_s(container: Any, stream: Any) -> Fraction:
    if stream.start_time is None:
        return Fraction(0)
    return Fraction(stream.start_time * stream.time_base) - _zero_s(container)


def _end_s(container: Any, stream: Any) -> Fraction | None:
    if stream.duration:
        return _start_s(container, stream) + Fraction(stream.duration * stream.time_base)
    return Fraction(container.duration * MICROSECOND) if container.duration else None


def _clock(container: Any, stream: Any) -> Clock:
    rate = stream.guessed_rate or stream.average_rate or 25
    rejoins = container.format.name in {"mpegts", "mpeg"}
    return Clock(1 / Fraction(rate), _end_s(container, stream), rejoins)


def _stamps(frame: Any, time_base: Fraction, zero_s: Fraction) -> Stamps:
    pts_s = None if frame.pts is None else frame.pts * time_base - zero_s
    dts_s = None if frame.dts is None else frame.dts * time_base - zero_s
    return pts_s, dts_s, frame.duration * time_base if frame.duration else None
