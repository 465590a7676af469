"""decord 0.6, for comparison with features that were made with it.

It decodes the whole file ahead of the reader (about 1.4 GB of memory for 20 s of 720p) and refuses damaged files. By
itself it begins MPEG transport streams at the second group of pictures, repeats the last picture for every frame that
an edit list cuts off, turns mirrored pictures instead, and never says which frame it gives. Here PyAV decodes beside it
(`extract.decoders._beside`), and what it would misread is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from extract.decoders import pyav
from extract.decoders._base import Tally, TimedFrame, VideoInfo, missing_package
from extract.decoders._beside import Library, beside, check_readable, refused
from tal.types import ByteArray

PRIORITY = 0
MIRRORED = "mirrored"
MISREADS: Mapping[str, str] = {
    "mpegts": "loses the first pictures of MPEG transport streams",
    "mpeg": "misplaces pictures of MPEG program streams",
    MIRRORED: "turns mirrored pictures instead",
}
BATCH = 8
"""Frames fetched at once."""


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
        """Return what the file says about its video; decord tells neither codec, start time nor rotation."""
        return pyav.Backend().probe(path)

    def frames(self, path: Path, tally: Tally | None = None) -> Iterator[TimedFrame]:
        """Yield the frames in presentation order.

        Raises:
            VideoError: If decord cannot decode the file, which damage is enough for, or misreads it.
        """
        info = self.probe(path)
        check_readable(self.name, path, MISREADS, _traits(info))
        yield from beside(Library(self.name, path, _pictures(path), np.copy), tally or Tally())


def _traits(info: VideoInfo) -> Iterator[str]:
    yield info.container
    if info.mirrored:
        yield MIRRORED


def _pictures(path: Path) -> Iterator[ByteArray]:
    """Yield RGB pictures; behind the last one decord repeats it for all that are listed and not shown."""
    import decord

    with _one_line_errors(path):
        reader: Any = decord.VideoReader(str(path.absolute()), num_threads=1)
    for first in range(0, len(reader), BATCH):
        with _one_line_errors(path):
            pictures = reader.get_batch(list(range(first, min(first + BATCH, len(reader))))).asnumpy()  # (B, H, W, 3)
        yield from pictures


@contextmanager
def _one_line_errors(path: Path) -> Iterator[None]:
    from decord import DECORDError

    try:
        yield
    except (DECORDError, RuntimeError) as error:
        raise refused("decord", path, "cannot decode it") from error
