"""decord 0.6, for comparison with features that were made with it.

It decodes the whole file ahead of the reader (about 1.4 GB of memory for 20 s of 720p), refuses damaged files and most
MPEG-TS, and without saying so repeats or misplaces frames of some MPEG program streams and files with edit lists. The
header is read through PyAV, since decord does not tell codec, start time or rotation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from extract.decoders import pyav
from extract.decoders._base import Tally, TimedFrame, VideoInfo, missing_package
from extract.decoders._clock import Clock, Stamps
from tal.errors import VideoError

BATCH = 8
"""Frames fetched at once."""
LATEST_S = 1e9
"""A frame without timestamp comes as about -3e17."""


def missing() -> str | None:
    """Return why this decoder cannot be used here, or None."""
    return missing_package("decord") or pyav.missing()


class Backend:
    """Decode with decord."""

    name = "decord"

    def __init__(self) -> None:
        import decord

        decord.logging.set_level(decord.logging.QUIET)

    def probe(self, path: Path) -> VideoInfo:
        """Return what the file says about its video."""
        return pyav.Backend().probe(path)

    def frames(self, path: Path, tally: Tally | None = None) -> Iterator[TimedFrame]:
        """Yield the frames in presentation order; a damaged file is refused where the damage begins."""
        tally = tally or Tally()
        info = self.probe(path)
        reader = _open(path)
        clock = Clock(1 / (info.fps or Fraction(25)), info.duration_s)
        stamps = _stamps(path, reader, info)
        for first in range(0, len(stamps), BATCH):
            pictures = _pictures(path, reader, range(first, min(first + BATCH, len(stamps))))
            for i, picture in enumerate(pictures):
                time_s, duration_s = clock.read(*stamps[first + i])
                tally.n_decoded += 1
                yield TimedFrame(time_s, duration_s, picture.copy)


def _open(path: Path) -> Any:
    import decord

    with _one_line_errors(path):
        return decord.VideoReader(str(path.absolute()), num_threads=1)


def _pictures(path: Path, reader: Any, indices: range) -> Any:
    with _one_line_errors(path):
        return reader.get_batch(list(indices)).asnumpy()  # (B, H, W, 3)


def _stamps(path: Path, reader: Any, info: VideoInfo) -> list[Stamps]:
    """Return what the clock reads, per frame, from decord's float32 seconds after the stream's start."""
    with _one_line_errors(path):
        spans = reader.get_frame_timestamp(list(range(len(reader))))
    if not (abs(spans) < LATEST_S).all():  # it sorts by time, so one that is missing puts all in disorder
        return [(None, None, None)] * len(spans)
    ticks = [[round(Fraction(float(value)) / info.time_base) for value in span] for span in spans]
    # What an edit list cuts off at the start is listed, but never decoded: pictures begin with the first kept one.
    kept = [(start, max(end - start, 0)) for start, end in ticks if start >= 0]
    return [(info.start_s + start * info.time_base, None, length * info.time_base) for start, length in kept]


@contextmanager
def _one_line_errors(path: Path) -> Iterator[None]:
    from decord import DECORDError

    try:
        yield
    except (DECORDError, RuntimeError) as error:
        raise VideoError(f"{path}: decord cannot decode it; use the decoder 'pyav'") from error
