"""Clips cut out of videos: packets copied where the cut falls on a key frame, else H.264 and AAC made anew.

Times are those of the whole project: seconds after the container's start. A copied clip begins with a key frame, keeps
its packets, and may end a few frames late, since frames are stored in another order than they are shown. An exact clip
begins with the picture that is shown at its start, holds it to the next one, and ends when asked; it is an MP4. Both
keep the sound and the turn that the file asks for.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from extract import decoders
from extract.clips_encode import MARGIN_S, encode
from extract.decoders._base import VideoInfo
from tal.errors import VideoError
from tal.files import atomic_path
from tal.types import Segment

How = Literal["auto", "copy", "exact"]
TOLERANCE_S = 0.1
"""How far from a key frame a cut may be for packets to be copied."""
MUXERS = {
    **{".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi", ".flv": "flv"},
    **dict.fromkeys((".ts", ".mts", ".m2ts"), "mpegts"),
}
"""Containers that packets are copied into, by suffix."""
FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
RATE = Fraction(25)
"""Frames per second where a file does not say."""
EPS_S = Fraction(1, 1000)
"""Containers round times to 1 ms."""
_STEPS_BACK_S = (0, Fraction(1, 4), 1, 4, 16, 64)
"""How much further back to look where a search ends behind its aim, as MP4's does, which searches decoding times."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip that was cut.

    Attributes:
        path: Its file.
        segment: What it holds of the video, seconds.
        copied: Whether packets were copied.
    """

    path: Path
    segment: Segment
    copied: bool


@dataclass(frozen=True)
class Opened:
    """An opened video: its container, streams, and what its clock shows at time 0, seconds."""

    container: Any
    video: Any
    audio: Any
    zero_s: Fraction

    @property
    def streams(self) -> tuple[Any, ...]:
        """The streams that are kept."""
        return (self.video, self.audio) if self.audio else (self.video,)

    def time_s(self, timed: Any) -> Fraction | None:
        """Return when a packet or frame is due, seconds; of AVI, when it is decoded: the other is guessed."""
        avi = self.container.format.name == "avi"
        ticks = timed.dts if timed.pts is None or (avi and timed.dts is not None) else timed.pts
        return None if ticks is None else ticks * Fraction(timed.time_base) - self.zero_s


def probe(path: Path) -> VideoInfo:
    """Return what must be known of a video before it is cut.

    Raises:
        InputError: If the file is not there or may not be read.
        VideoError: If not one frame of it can be decoded.
    """
    return decoders.load("pyav").probe(path)


def cut(info: VideoInfo, stem: Path, segment: Segment, how: How = "auto", tolerance_s: float = TOLERANCE_S) -> Clip:
    """Cut one clip, whole or not at all.

    Args:
        info: The video.
        stem: Path of the clip without its suffix: the video's own where packets are copied, else ``.mp4``.
        segment: What to cut, seconds; at least the picture shown at its start.
        how: ``copy`` copies packets from the last key frame at or before the start; ``exact`` makes pictures and sound
            anew; ``auto`` copies where a key frame is within the tolerance and the container allows.
        tolerance_s: For ``auto``.

    Raises:
        VideoError: If there are no pictures at that time, or packets cannot be copied and must be.
    """
    start_s, end_s = Fraction(max(segment.start_s, 0.0)), Fraction(segment.end_s)
    if how != "exact" and (clip := _copied(info, stem, (start_s, end_s), None if how == "copy" else tolerance_s)):
        return clip
    target = stem.with_name(f"{stem.name}.mp4")
    with _opened(info) as opened, atomic_path(target) as aside, _told(info, start_s):
        seek(opened, start_s)
        held = encode(opened, aside, start_s, max(end_s, start_s + 1 / (info.fps or RATE)), info)
        if held is None:
            raise VideoError(f"{info.path}: no pictures from {segment.start_s:.3f} s on; is it another video?")
    return Clip(target, held, copied=False)


@contextmanager
def _told(info: VideoInfo, start_s: Fraction) -> Iterator[None]:
    """Turn what FFmpeg reports, a full disk apart, into one line."""
    import av

    try:
        yield
    except (av.error.FFmpegError, ValueError) as error:
        if getattr(error, "errno", None) in FULL:
            raise
        what = getattr(error, "strerror", None) or f"FFmpeg refuses ({error})"
        raise VideoError(f"{info.path}: cannot be cut from {float(start_s):.3f} s: {what}") from error


@contextmanager
def _opened(info: VideoInfo) -> Iterator[Opened]:
    import av

    with av.open(str(info.path.absolute()), metadata_errors="ignore") as container:
        video, audio = container.streams.best("video"), container.streams.best("audio")
        begins_s = Fraction((video.start_time or 0) * video.time_base)
        sounds = audio is not None and audio.codec_context is not None and audio.codec_context.sample_rate > 0
        yield Opened(container, video, audio if sounds else None, begins_s - info.start_s)


def seek(opened: Opened, time_s: Fraction) -> Fraction | None:
    """Go to the last key frame at or before a time, or to the first one.

    Returns:
        When it is due, seconds; None if there is none, or the file cannot be searched and is read from its beginning.
    """
    import av

    found = None
    for back_s in _STEPS_BACK_S:
        aim_s = max(Fraction(0), time_s - back_s)
        ticks = int((aim_s + opened.zero_s) / opened.video.time_base)
        try:
            opened.container.seek(ticks, stream=opened.video)
        except av.error.FFmpegError:
            return None
        found = _first_key(opened)
        opened.container.seek(ticks, stream=opened.video)
        if aim_s == 0 or (found is not None and found <= time_s + EPS_S):
            break
    return found


def _first_key(opened: Opened) -> Fraction | None:
    packets = (packet for packet in opened.container.demux(opened.video) if packet.size and packet.is_keyframe)
    return next((time_s for packet in packets if (time_s := opened.time_s(packet)) is not None), None)


def _copied(info: VideoInfo, stem: Path, span: tuple[Fraction, Fraction], tolerance_s: float | None) -> Clip | None:
    """Copy packets; None where they cannot be and need not be (`tolerance_s` is None where they must be)."""
    suffix, must = info.path.suffix.lower(), tolerance_s is None
    if suffix not in MUXERS:
        if must:
            raise VideoError(
                f"{info.path}: packets are not copied into {suffix or 'files without suffix'}; use --exact"
            )
        return None
    path = stem.with_name(stem.name + suffix)
    try:
        with _opened(info) as opened:
            key_s = seek(opened, span[0] + Fraction(tolerance_s or 0))
            if key_s is None or (tolerance_s is not None and abs(key_s - span[0]) > tolerance_s):
                raise VideoError(f"{info.path}: no key frame to begin with at {float(span[0]):.3f} s; use --exact")
            with atomic_path(path) as aside, _told(info, span[0]):
                held = _copy(opened, aside, MUXERS[suffix], (key_s, max(span[1], key_s + EPS_S)))
    except VideoError:
        if must:
            raise
        return None
    return Clip(path, held, copied=True)


def _copy(opened: Opened, path: Path, muxer: str, span: tuple[Fraction, Fraction]) -> Segment:
    """Copy the packets of a span; what is decoded before a picture that is shown goes with it."""
    import av

    last_s = span[0]
    with av.open(str(path), "w", format=muxer) as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in opened.streams}
        for packet in _within(opened, span):
            time_s = opened.time_s(packet)
            if packet.stream is opened.video and time_s is not None:
                last_s = max(last_s, time_s + (packet.duration or 0) * Fraction(packet.time_base))
            shift = round((span[0] + opened.zero_s) / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
            packet.stream = streams[packet.stream_index]
            target.mux(packet)
    return Segment(float(span[0]), float(last_s))


def _within(opened: Opened, span: tuple[Fraction, Fraction]) -> Iterator[Any]:
    """Yield the packets of a span that begins with a key frame; no picture is left out before the last."""
    waiting: list[Any] = []  # pictures behind the end that an earlier one may need
    end_s, ended = span[1], set[int]()
    for packet in opened.container.demux(opened.streams):
        time_s = opened.time_s(packet)
        if not packet.size or time_s is None:
            continue
        if packet.stream is opened.video:
            waiting += [packet] if time_s >= span[0] - EPS_S else []
            if time_s < end_s - EPS_S:
                end_s = max(end_s, *(opened.time_s(one) or end_s for one in waiting))
                yield from waiting
                waiting.clear()
        elif span[0] - EPS_S <= time_s < span[1]:
            yield packet
        decoded_s = time_s if packet.dts is None else packet.dts * Fraction(packet.time_base) - opened.zero_s
        if decoded_s >= end_s:
            ended.add(packet.stream_index)
        if len(ended) == len(opened.streams) or decoded_s > end_s + MARGIN_S:
            return
