"""From a video file to RGB frames at a constant rate and size, streaming; and from paths to video files.

Frames are chosen by their timestamps (`extract.resample`), so that snippet times are presentation times whatever the
file's own rate; only frames that are used are converted and scaled. The file's pixel aspect ratio is ignored, as the
published pipelines do.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

from extract import decoders
from extract.decoders._base import Decoder, Tally, TimedFrame, VideoInfo, status
from extract.finding import by_place, videos_below
from extract.gaps import Gap, GapWatch
from extract.reports import DecodeReport, Survey
from extract.resample import end_s, resample
from extract.scaling import Size, scaled, size_of
from tal.errors import InputError, VideoError
from tal.parsing import VIDEO_SUFFIXES
from tal.types import ByteArray

MAX_GAP_S = 2.0
"""Default of ``extract.max_gap_s``."""

FASTEST = 240
"""Higher frame rates are a container's clock (Flash counts 1000 ticks a second), not a rate."""


def video_name(path: Path) -> str:
    """Return the name under which a video's features and detections are kept; bytes that are no UTF-8 are escaped."""
    stem = path.stem
    return stem if stem.isascii() else os.fsencode(stem).decode("utf-8", "backslashreplace")


def find_videos(paths: Sequence[Path]) -> list[Path]:
    """Return the video files among `paths` and in the folders among them, sorted by name.

    Raises:
        InputError: If a path is missing, a folder holds no video, or two videos have one name.
    """
    return named_once(video for path in paths for video in videos_at(path))


def named_once(found: Iterable[Path]) -> list[Path]:
    """Return video files sorted by name, each file once.

    Raises:
        InputError: If two of them have one name.
    """
    videos = sorted(by_place(found).values(), key=lambda video: (video.name, str(video)))
    by_name: dict[str, Path] = {}
    for video in videos:
        name = video_name(video)
        if name in (".", ".."):
            raise InputError(f"{video}: its name without '{video.suffix}' is that of a folder; rename it")
        other = by_name.setdefault(name, video)
        if other is not video:
            raise InputError(f"{other} and {video} would share the name '{name}'; rename one of them")
    return videos


def open_video(
    path: Path,
    fps: Fraction,
    short_side: int,
    decoder: str = "auto",
    max_gap_s: float = MAX_GAP_S,
    size: Size | None = None,
) -> ResampledVideo:
    """Open a video, to be read at `fps` frames per second with its shorter side scaled to `short_side` px.

    Args:
        path: The video.
        fps: Frames per second.
        short_side: Length of the shorter side, px.
        decoder: Name of a decoder, or ``auto``.
        max_gap_s: Where pictures are missing for longer, reading fails, seconds.
        size: Width and height to scale to instead, px, whatever the shape of the pictures.

    Raises:
        ConfigError: If there is no such decoder.
        BackendError: If the decoder cannot be used here.
        InputError: If the file is not there or may not be read.
        VideoError: If not one frame of it can be decoded.
    """
    return ResampledVideo(decoders.load(decoder), path, fps, short_side, max_gap_s, size)


def survey(
    path: Path,
    decoder: str = "auto",
    max_frames: int = 0,
    max_gap_s: float = MAX_GAP_S,
    on_frame: Callable[[], None] = lambda: None,
) -> Survey:
    """Read a video without converting its pixels, at most `max_frames` of it (0: all); call `on_frame` at each.

    Raises:
        ConfigError: If there is no such decoder.
        BackendError: If the decoder cannot be used here.
        InputError: If the file is not there or may not be read.
        VideoError: If not one frame of it can be decoded, or pictures are missing for longer than `max_gap_s`.
    """
    backend, tally = decoders.load(decoder), Tally()
    info = backend.probe(path)
    watch, frames = _watch(info, max_gap_s), backend.frames(path, tally)
    first_s = last_s = None
    n_read = 0
    passing = watch.passing(frames, tally)
    for frame in islice(passing, max_frames or None):
        n_read += 1
        last_s = frame.time_s
        first_s = last_s if first_s is None else first_s
        on_frame()
    end_s = watch.end_s
    span_s = last_s - first_s if last_s is not None and first_s is not None else Fraction(0)
    return Survey(
        info,
        next(passing, None) is None,
        n_read,
        tally.n_bad_packets,
        watch.n_damaged,
        _seconds(watch.gaps),
        float(end_s),
        (n_read - 1) / float(span_s) if span_s else None,
        watch.variable,
    )


class ResampledVideo:
    """A video's frames at a constant rate and size; each iteration decodes anew.

    Iterating yields uint8 RGB (H, W, 3); frames that are repeated are the same array. It raises a `VideoError` where
    decoding cannot go on.

    Attributes:
        info: What the file says about itself.
        decoder: Name of the decoder that is used.
        fps: Frames per second.
    """

    def __init__(
        self,
        decoder: Decoder,
        path: Path,
        fps: Fraction,
        short_side: int,
        max_gap_s: float = MAX_GAP_S,
        size: Size | None = None,
    ) -> None:
        self._seen = _identity(path)
        self.info: VideoInfo = decoder.probe(path)
        self.decoder = decoder.name
        self.fps = fps
        self._backend = decoder
        self._size = size or size_of(self.info.width, self.info.height, short_side)
        self._max_gap_s = max_gap_s
        self._offset: int | None = None
        self._report: DecodeReport | None = None
        self._end_s = Fraction(0)

    @property
    def offset(self) -> int:
        """Output slot of the first frame, which is shown at offset / fps seconds."""
        if self._offset is None:
            raise ValueError("the offset is known once the first frame has been read")
        return self._offset

    @property
    def report(self) -> DecodeReport:
        """What became of the frames."""
        if self._report is None:
            raise ValueError("the report is known once all frames have been read")
        return self._report

    def __iter__(self) -> Iterator[ByteArray]:
        self._offset = self._report = None
        tally, watch, n_frames = Tally(), _watch(self.info, self._max_gap_s), 0
        shown: TimedFrame | None = None
        picture: ByteArray | None = None
        passing = watch.passing(self._backend.frames(self.info.path, tally), tally)
        for slot, frame in resample(self._ending(passing), self.fps):
            if self._offset is None:
                self._offset = slot
            if picture is None or frame is not shown:
                picture = scaled(frame.rgb(), self._size)
                shown = frame
            n_frames += 1
            yield picture
        self._check_unchanged()
        self._report = DecodeReport(
            self.info.n_frames,
            tally.n_decoded,
            tally.n_bad_packets,
            watch.n_damaged,
            _seconds(watch.gaps),
            n_frames,
            float(self._end_s),
        )

    def _ending(self, frames: Iterable[TimedFrame]) -> Iterator[TimedFrame]:
        """Pass frames on, remembering when the last one ends."""
        last: TimedFrame | None = None
        previous_s: Fraction | None = None
        for frame in frames:
            previous_s, last = last.time_s if last else None, frame
            yield frame
        if last is not None:
            self._end_s = end_s(last, previous_s, self.fps)

    def _check_unchanged(self) -> None:
        if _identity(self.info.path) != self._seen:
            raise VideoError(f"{self.info.path}: changed while it was read; run again when nothing writes to it")


def _watch(info: VideoInfo, max_gap_s: float) -> GapWatch:
    rate = next((fps for fps in (info.fps, info.fps_nominal) if fps and fps <= FASTEST), Fraction(25))
    return GapWatch(info.path, 1 / rate, Fraction(max_gap_s))


def _seconds(gaps: Sequence[Gap]) -> tuple[tuple[float, float], ...]:
    return tuple((float(start_s), float(end_s)) for start_s, end_s in gaps)


def _identity(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file is written to or replaced."""
    found = status(path)
    return found.st_ino, found.st_size, found.st_mtime_ns


def videos_at(path: Path) -> list[Path]:
    """Return a file as it is, or the videos in a folder, sorted; links that lead nowhere are among them.

    Raises:
        InputError: If there is nothing, or a folder holds no video.
    """
    if not stat.S_ISDIR(status(path).st_mode):
        return [path]
    videos = videos_below(path)
    if not videos:
        raise InputError(f"{path}: no video in this folder; looked for {' '.join(VIDEO_SUFFIXES)}")
    return videos
