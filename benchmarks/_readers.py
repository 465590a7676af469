"""Reads a video with one library and prints how fast and with how much memory; a script, so that each has a process.

Every library runs with its own defaults, which for all of them means threads on every core.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any

from _process import peak_mib

Frames = Iterator[Any]
"""Pictures, uint8 (H, W, 3), RGB."""


def ours(path: Path, short_side: int) -> Frames:
    """Read as the pipeline does."""
    from extract import decoders
    from extract.video import open_video

    if not short_side:
        return (frame.rgb() for frame in decoders.load("pyav").frames(path))
    return iter(open_video(path, _fps(path), short_side, "pyav"))


def pyav(path: Path, short_side: int) -> Frames:
    """Read with PyAV in the way of its documentation."""
    import av

    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield _scaled(frame.to_ndarray(format="rgb24"), short_side)


def pyav_threads(path: Path, short_side: int) -> Frames:
    """Read with PyAV's threads over frames."""
    import av

    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            yield _scaled(frame.to_ndarray(format="rgb24"), short_side)


def pyav_bare(path: Path, short_side: int) -> Frames:
    """Read with all that we found to make PyAV fast and nothing that makes reading safe."""
    import av
    from av.video.reformatter import VideoReformatter

    scaler = VideoReformatter()
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "FRAME"
        for frame in container.decode(video=0):
            yield _scaled(scaler.reformat(frame, format="rgb24", threads=1).to_ndarray(), short_side)


def decord(path: Path, short_side: int) -> Frames:
    """Read with decord, one frame after the other."""
    import decord

    reader = decord.VideoReader(str(path))
    for _ in range(len(reader)):
        yield _scaled(reader.next().asnumpy(), short_side)


def opencv(path: Path, short_side: int) -> Frames:
    """Read with OpenCV; pictures that shrink are scaled before they are turned into RGB, which is quicker."""
    import cv2

    capture = cv2.VideoCapture(str(path))
    while True:
        found, bgr = capture.read()
        if not found:
            return
        if min(bgr.shape[:2]) > short_side:
            yield cv2.cvtColor(_scaled(bgr, short_side), cv2.COLOR_BGR2RGB)
        else:
            yield _scaled(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), short_side)


READERS: dict[str, tuple[Callable[[Path, int], Frames], str]] = {
    "ours": (ours, "av"),
    "opencv": (opencv, "cv2"),
    "decord": (decord, "decord"),
    "pyav": (pyav, "av"),
    "pyav, threads": (pyav_threads, "av"),
    "pyav, bare": (pyav_bare, "av"),
}
"""Each reader and the library that it loads."""


def _fps(path: Path) -> Fraction:
    """Return a video's own rate, at which every frame is shown once."""
    import av

    with av.open(str(path)) as container:
        return Fraction(container.streams.video[0].average_rate)


def _scaled(picture: Any, short_side: int) -> Any:
    """Scale a picture to the size that `extract.video` gives it; 0 leaves it as it is."""
    if not short_side:
        return picture
    import cv2

    height, width = picture.shape[:2]
    shorter, longer = sorted((width, height))
    scaled = (2 * longer * short_side + shorter) // (2 * shorter)
    size = (short_side, scaled) if width <= height else (scaled, short_side)
    return cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)


def main(name: str, path: Path, short_side: int, pause_s: float) -> None:
    """Read all of a video, waiting after each frame for as long as what uses it would take."""
    read, library = READERS[name]
    for module in ("numpy", library, *(["cv2"] if short_side else []), *(["extract.video"] if name == "ours" else [])):
        import_module(module)
    loaded_mib, started, n_frames = peak_mib(), time.perf_counter(), 0
    for _ in read(path, short_side):
        n_frames += 1
        time.sleep(pause_s)
    seconds = time.perf_counter() - started
    print(json.dumps({"n_frames": n_frames, "seconds": seconds, "peak_mib": peak_mib() - loaded_mib}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
