"""From a video file to RGB frames at a constant rate and size, streaming; and from paths to video files.

Frames are chosen by their timestamps (`extract.resample`), so that snippet times are presentation times whatever the
file's own rate; only frames that are used are converted and scaled. The file's pixel aspect ratio is ignored, as the
published pipelines do.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from extract import decoders
from extract.decoders._base import Decoder, Tally, TimedFrame, VideoInfo, status
from extract.resample import end_s, resample
from tal.errors import InputError
from tal.parsing import VIDEO_SUFFIXES
from tal.types import ByteArray


@dataclass(frozen=True, slots=True)
class DecodeReport:
    """What became of one video's frames.

    Attributes:
        n_claimed: Frames the file claims to hold; None where it does not say.
        n_decoded: Frames that were decoded.
        n_bad_packets: Packets that could not be read or decoded.
        n_frames: Frames given out, at the constant rate.
        end_s: Presentation time at which the last frame ends, seconds.
    """

    n_claimed: int | None
    n_decoded: int
    n_bad_packets: int
    n_frames: int
    end_s: float


def video_name(path: Path) -> str:
    """Return the name under which a video's features and detections are kept."""
    return path.stem


def find_videos(paths: Sequence[Path]) -> list[Path]:
    """Return the video files among `paths` and in the folders among them, sorted by name.

    Raises:
        InputError: If a path is missing, a folder holds no video, or two videos have one name.
    """
    found = {video.resolve(): video for path in paths for video in _videos_at(path)}
    videos = sorted(found.values(), key=lambda video: (video.name, str(video)))
    by_name: dict[str, Path] = {}
    for video in videos:
        other = by_name.setdefault(video_name(video), video)
        if other is not video:
            raise InputError(f"{other} and {video} would share the name '{video_name(video)}'; rename one of them")
    return videos


def open_video(path: Path, fps: Fraction, short_side: int, decoder: str = "auto") -> ResampledVideo:
    """Open a video, to be read at `fps` frames per second with its shorter side scaled to `short_side` px.

    Raises:
        ConfigError: If there is no such decoder.
        BackendError: If the decoder cannot be used here.
        InputError: If the file is not there or may not be read.
        VideoError: If not one frame of it can be decoded.
    """
    return ResampledVideo(decoders.load(decoder), path, fps, short_side)


class ResampledVideo:
    """A video's frames at a constant rate and size; each iteration decodes anew.

    Iterating yields uint8 RGB (H, W, 3); frames that are repeated are the same array. It raises a `VideoError` where
    decoding cannot go on.

    Attributes:
        info: What the file says about itself.
        decoder: Name of the decoder that is used.
        fps: Frames per second.
    """

    def __init__(self, decoder: Decoder, path: Path, fps: Fraction, short_side: int) -> None:
        self.info: VideoInfo = decoder.probe(path)
        self.decoder = decoder.name
        self.fps = fps
        self._backend = decoder
        self._short_side = short_side
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
        tally, n_frames = Tally(), 0
        shown: TimedFrame | None = None
        picture: ByteArray | None = None
        for slot, frame in resample(self._watched(self._backend.frames(self.info.path, tally)), self.fps):
            if self._offset is None:
                self._offset = slot
            if picture is None or frame is not shown:
                picture = _scaled(frame.rgb(), _size(self.info, self._short_side))
                shown = frame
            n_frames += 1
            yield picture
        counts = (self.info.n_frames, tally.n_decoded, tally.n_bad_packets, n_frames)
        self._report = DecodeReport(*counts, float(self._end_s))

    def _watched(self, frames: Iterable[TimedFrame]) -> Iterator[TimedFrame]:
        """Pass frames on, remembering when the last one ends."""
        previous_s: Fraction | None = None
        for frame in frames:
            self._end_s = end_s(frame, previous_s, self.fps)
            previous_s = frame.time_s
            yield frame


def _videos_at(path: Path) -> list[Path]:
    if not stat.S_ISDIR(status(path).st_mode):
        return [path]
    inside = (file for file in path.rglob("*") if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file())
    videos = [file for file in inside if not file.name.startswith(".")]
    if not videos:
        raise InputError(f"{path}: no video in this folder; looked for {' '.join(VIDEO_SUFFIXES)}")
    return videos


def _size(info: VideoInfo, short_side: int) -> tuple[int, int]:
    """Return (width, height) in px, the shorter side `short_side`, the longer one rounded to the nearest px."""
    shorter, longer = sorted((info.width, info.height))
    scaled = (2 * longer * short_side + shorter) // (2 * shorter)
    return (short_side, scaled) if info.width <= info.height else (scaled, short_side)


def _scaled(rgb: ByteArray, size: tuple[int, int]) -> ByteArray:
    """Return `rgb` bilinearly scaled to (width, height) px."""
    import cv2

    if rgb.shape[1::-1] == size:
        return rgb
    scaled: ByteArray = cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR)
    return scaled
