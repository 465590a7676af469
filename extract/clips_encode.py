"""One stretch of a video made anew: its pictures as H.264, its sound as AAC, in an MP4 that begins at 0."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.decoders._base import VideoInfo
from tal.types import Segment

if TYPE_CHECKING:
    from extract.clips import Opened

TICK_S = Fraction(1, 90_000)
QUALITY = {"preset": "veryfast", "crf": "18", "bf": "0"}
"""x264's for copies that look like the original; MP4 tells a wrong length where pictures are reordered and uneven."""
MARGIN_S = 5
"""How far behind the end to read for a stream that is late."""
SKIP_S = 0.1
"""Sound that is further off than this from where the last ended is put where its time says."""


def encode(opened: Opened, path: Path, start_s: Fraction, end_s: Fraction, info: VideoInfo) -> Segment | None:
    """Write the clip; return what it holds of the video, seconds, or None if there were no pictures.

    Args:
        opened: The video, at a key frame at or before the start.
        path: Where to.
        start_s: The picture shown at this time is the first.
        end_s: When the last picture goes.
        info: The video.
    """
    import av

    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as target:
        pictures = _Pictures(target, opened, (start_s, end_s), info)
        sound = _Sound(target, opened, (start_s, end_s)) if opened.audio else None
        for packet in opened.container.demux(opened.streams):
            writer = sound if sound and packet.stream is opened.audio else pictures
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue  # damage costs its own frames
            for frame in frames:
                writer.take(frame)
            if pictures.done and (sound is None or sound.done or _far_behind(opened, packet, end_s)):
                break
        pictures.finish()
        if sound:
            sound.finish()
    return pictures.held


def _far_behind(opened: Opened, packet: Any, end_s: Fraction) -> bool:
    time_s = opened.time_s(packet)
    return time_s is not None and time_s > end_s + MARGIN_S


class _Pictures:
    """Writes pictures, each when it is known how long it is shown.

    Attributes:
        done: Whether the end was reached.
        held: What was written, seconds.
    """

    def __init__(self, target: Any, opened: Opened, span: tuple[Fraction, Fraction], info: VideoInfo) -> None:
        self._target, self._opened, self._span = target, opened, span
        self._interval_s = 1 / (info.fps or Fraction(25))
        self._stream = _video_stream(target, opened, info)
        self._last: tuple[Fraction, Any] | None = None
        self._lengths: dict[int, int] = {}  # timestamp -> duration, ticks
        self._until_s: Fraction | None = None
        self.done = False

    @property
    def held(self) -> Segment | None:
        return None if self._until_s is None else Segment(float(self._span[0]), float(self._until_s))

    def take(self, frame: Any) -> None:
        """Write the frame before, which is shown until this one."""
        time_s = self._opened.time_s(frame)
        if self.done or (time_s is None and self._last is None):
            return
        if time_s is None:
            time_s = self._last[0] + self._interval_s if self._last else Fraction(0)
        if self._last and time_s <= self._last[0]:
            return  # a clock that went back
        self._write_last(time_s)
        self._last = time_s, frame
        self.done = time_s >= self._span[1]

    def finish(self) -> None:
        """Write the last frame and what the encoder still has."""
        if self._last and not self.done:
            time_s, frame = self._last
            known_s = (frame.duration or 0) * Fraction(frame.time_base)
            self._write_last(time_s + (known_s or self._interval_s))
        if self._until_s is not None:
            self._mux(self._stream.encode(None))

    def _write_last(self, until_s: Fraction) -> None:
        start_s, end_s = self._span
        until_s = min(until_s, end_s)
        if self._last is None or until_s <= start_s or self._last[0] >= end_s:
            return
        from_s = start_s if self._until_s is None else self._last[0]
        first, stop = (round((time_s - start_s) / TICK_S) for time_s in (from_s, until_s))
        self._until_s = until_s
        if stop > first:
            self._lengths[first] = stop - first
            self._mux(self._stream.encode(_picture(self._last[1], self._stream, first)))

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.duration = self._lengths.pop(packet.pts, packet.duration)
            self._target.mux(packet)


def _video_stream(target: Any, opened: Opened, info: VideoInfo) -> Any:
    """Add a stream of the same size, colours, shape of pixels and turn; sides lose an odd last line."""
    source = opened.video.codec_context
    stream = target.add_stream("libx264", rate=info.fps or Fraction(25), options=QUALITY)
    stream.width, stream.height, stream.pix_fmt = source.width // 2 * 2, source.height // 2 * 2, "yuv420p"
    stream.time_base = stream.codec_context.time_base = TICK_S
    context = stream.codec_context
    for name in ("colorspace", "color_primaries", "color_trc"):
        setattr(context, name, getattr(source, name))
    context.color_range = source.color_range if source.pix_fmt == "yuv420p" else 1
    if source.sample_aspect_ratio:
        context.sample_aspect_ratio = source.sample_aspect_ratio
    if info.rotation or info.mirrored:
        stream.set_display_rotation(-info.rotation, hflip=info.mirrored)
    return stream


def _picture(frame: Any, stream: Any, pts: int) -> Any:
    """Return a frame as the encoder takes it."""
    if (frame.format.name, frame.width, frame.height) != ("yuv420p", stream.width, stream.height):
        frame = frame.reformat(stream.width, stream.height, "yuv420p")
    frame.pts, frame.time_base = pts, TICK_S
    frame.pict_type = 0  # the encoder chooses its own key frames
    return frame


class _Sound:
    """Writes sound, cut to the sample.

    Attributes:
        done: Whether the end was reached.
    """

    def __init__(self, target: Any, opened: Opened, span: tuple[Fraction, Fraction]) -> None:
        from av import AudioResampler, Codec

        source = opened.audio.codec_context
        rates = Codec("aac", "w").audio_rates or []
        self._rate = source.sample_rate if source.sample_rate in rates else 48_000
        self._layout = "mono" if source.layout.nb_channels == 1 else "stereo"
        self._target, self._opened, self._span = target, opened, span
        self._stream = target.add_stream("aac", rate=self._rate, layout=self._layout)
        self._resampler = AudioResampler("fltp", self._layout, self._rate)
        self._next: int | None = None  # the sample that is due, from the clip's start
        self.done = False

    def take(self, frame: Any) -> None:
        """Write the samples of a frame that are within the span."""
        time_s = self._opened.time_s(frame)
        if self.done or time_s is None:
            return
        at = round((time_s - self._span[0]) * self._rate)
        if self._next is None or abs(at - self._next) > SKIP_S * self._rate:
            self._next = max(at, self._next or at)
        for part in self._resampler.resample(frame):
            self._write(part.to_ndarray())
        self.done = time_s >= self._span[1]

    def finish(self) -> None:
        """Write what the encoder still has."""
        self._target.mux(self._stream.encode(None))

    def _write(self, samples: Any) -> None:
        """Write samples (channels, samples) that begin where the last ended."""
        from av import AudioFrame

        at, count = self._next or 0, samples.shape[1]
        self._next = at + count
        total = round((self._span[1] - self._span[0]) * self._rate)
        first, stop = max(0, -at), min(count, total - at)
        if stop > first:
            frame = AudioFrame.from_ndarray(samples[:, first:stop].copy(), format="fltp", layout=self._layout)
            frame.sample_rate, frame.pts, frame.time_base = self._rate, at + first, Fraction(1, self._rate)
            self._target.mux(self._stream.encode(frame))
