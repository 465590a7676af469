"""Timelines for reports: a video that a browser plays, and one of everything that can be seen on a timeline."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tal.annotations import Instance
from tal.report import Media, Page, write
from tal.timelines import Curves, Mark, Timeline
from tal.types import Detection, Segment

DURATION_S = 60.0
NOW = "tal.shown.player.now()"
"""In the page: where its player is, in seconds."""
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u2028{{ 7*7 }}"


def film(path: Path, seconds: int = 20, size: tuple[int, int] = (128, 96), key_every: int = 10) -> Path:
    """Write a video whose brightness rises with time, ten frames and, by default, one key frame a second."""
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height = size
        stream.pix_fmt, stream.gop_size = "yuv420p", key_every
        stream.options = {"preset": "ultrafast", "sc_threshold": "0"} if codec == "libx264" else {}
        for i in range(10 * seconds):
            level = round(255 * i / (10 * seconds))
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), level, np.uint8), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def curves(labels: list[str], duration_s: float = DURATION_S, n: int = 100) -> Curves:
    """Return sines of different lengths."""
    times_s = (np.arange(n) + 0.5) * duration_s / n
    cas = {label: np.sin(times_s / (k + 2)).astype(np.float32) for k, label in enumerate(labels)}
    signal = {label: (values + 1) / 2 for label, values in cas.items()}
    return Curves(times_s, cas, signal, np.linspace(0, 1, n, dtype=np.float32))


def timeline(name: str = "games", source: Path | None = None, labels: tuple[str, str] = ("jump", "throw")) -> Timeline:
    """Return a minute with four detections of two classes, three true instances and a mark of each kind."""
    a, b = labels
    found = (
        Detection(a, Segment(10, 16), 0.9),
        Detection(b, Segment(30, 34), 0.6),
        Detection(a, Segment(40, 41), 0.3),
        Detection(b, Segment(50, 55), 0.1),
    )
    real = (Instance(a, Segment(10, 15)), Instance(b, Segment(31, 34)), Instance(a, Segment(45, 47)))
    marks = (
        Mark("damage", Segment(0, DURATION_S), "2 bad packets"),
        Mark("shot", Segment(5, 5), "perhaps a cut"),
        Mark("gap", Segment(20, 22), "no pictures for 2.00 s"),
        Mark("ambiguous", Segment(36, 39), "ambiguous"),
    )
    both = {"rgb": curves([a, b]), "flow": curves([b, a])}
    return Timeline(name, DURATION_S, found, real, both, marks, source)


def page(folder: Path, *timelines: Timeline, title: str = "A report", embed: bool = False) -> Path:
    """Write a report of timelines into a folder."""
    path = folder / "report.html"
    write(Page(title, timelines, None, Media(folder, embed)), path)
    return path


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of one video whose file is not there."""
    return page(tmp_path_factory.mktemp("one"), timeline())
