"""OpenCV's `VideoCapture` with its FFmpeg, for comparison with features that were made with it.

By itself it ends silently where a packet is damaged, tells 0 as the time of some frames and counts the others from the
stream's start, takes mirrored pictures for turned ones, and leaves the pixels of interlaced pictures as they were. Here
PyAV decodes beside it (`extract.decoders._beside`), and what it would misread is refused. Its own turning of pictures
is off: it knows no mirroring.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from extract.decoders import pyav
from extract.decoders._base import Tally, TimedFrame, VideoInfo, missing_package
from extract.decoders._beside import Library, beside, check_readable, refused
from extract.decoders._packets import Reader
from extract.decoders._picture import Orientation
from tal.types import ByteArray

PRIORITY = 0
INTERLACED, WIDE = "interlaced", "wide colours"
MISREADS: Mapping[str, str] = {
    INTERLACED: "leaves the pixels of interlaced pictures unset",
    WIDE: "changes the colours of HDR and wide-gamut pictures",
}
OLDEST = (4, 13)
"""Older versions take every colour matrix for BT.601."""
NARROW = {1, 2, 4, 5, 6, 7}
"""Colour primaries that it leaves alone, by their number in ITU-T H.273: BT.709, not said, and standard definition."""
HDR = {16, 18}
"""Transfer characteristics PQ and HLG, by their number in ITU-T H.273."""


def missing() -> str | None:
    """Return why this decoder cannot be used here, or None."""
    return missing_package("cv2") or pyav.missing()


class Backend:
    """Decode with OpenCV."""

    name = "opencv"

    def __init__(self) -> None:
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read once, by the first capture: nothing on stderr
        import cv2

        if tuple(int(part) for part in cv2.__version__.split(".")[:2]) < OLDEST:
            raise ImportError(f"OpenCV {cv2.__version__} takes every colour matrix for BT.601; install 4.13 or newer")
        if not cv2.videoio_registry.hasBackend(cv2.CAP_FFMPEG):  # listed it is even where it is not
            raise ImportError("this OpenCV was built without FFmpeg; install opencv-contrib-python-headless")

    def probe(self, path: Path) -> VideoInfo:
        """Return what the file says about its video."""
        return pyav.Backend().probe(path)

    def frames(self, path: Path, tally: Tally | None = None) -> Iterator[TimedFrame]:
        """Yield the frames in presentation order.

        Raises:
            VideoError: If OpenCV cannot open the file, misreads it, or ends early.
        """
        info = self.probe(path)
        check_readable(self.name, path, MISREADS, _traits(info))
        shown = Orientation(info.rotation // 90, info.mirrored)
        capture = _open(path)
        try:
            yield from beside(Library(self.name, path, _pictures(capture), partial(_rgb, shown)), tally or Tally())
            if capture.grab():
                raise refused(self.name, path, "gives more frames than there are")
        finally:
            capture.release()


def _open(path: Path) -> Any:
    import cv2

    # On one thread, what is painted into damaged areas is always the same.
    settings = [cv2.CAP_PROP_N_THREADS, 1, cv2.CAP_PROP_HW_ACCELERATION, cv2.VIDEO_ACCELERATION_NONE]
    capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG, settings)
    if not capture.isOpened():
        raise refused("opencv", path, "cannot open it")
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
    return capture


def _pictures(capture: Any) -> Iterator[ByteArray]:
    """Yield BGR pictures; each must be taken before the next is grabbed."""
    while capture.grab():
        taken, picture = capture.retrieve()
        if not taken:
            return
        yield picture


def _rgb(shown: Orientation, bgr: ByteArray) -> ByteArray:
    import cv2

    rgb: Any = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    return shown.apply(rgb)


def _traits(info: VideoInfo) -> Iterator[str]:
    """Yield what `MISREADS` may name: the container, and what the first frame says of its pixels."""
    import av

    yield info.container
    with av.open(str(info.path.absolute()), metadata_errors="ignore") as container:
        first = next(Reader(container, container.streams.best("video"), Tally()).frames(), None)
    if first is None:
        return
    if first.frame.interlaced_frame:
        yield INTERLACED
    if first.frame.color_primaries not in NARROW or first.frame.color_trc in HDR:
        yield WIDE
