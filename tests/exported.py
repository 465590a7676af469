"""What tests of exports share: a few detections, videos that nobody filmed, and one export in one call."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from hypothesis import strategies as st

from tal import exports
from tal.annotations import VideoTruth
from tal.exports import ExportOptions, Media, ReadOptions, Video
from tal.types import Detection, Segment

FPS = Fraction(25)
MEDIA = Media(None, FPS, 320, 240, 0.0, 40.0, 1000)
SHOTS = (
    Detection("Run", Segment(1.0, 3.0), 0.5),
    Detection('Throw <b>&"it\'s"', Segment(1.4, 2.2), 0.9),
    Detection("Run", Segment(2.0, 2.4), 0.25),
    Detection("Run", Segment(3.0, 4.0), 0.125),
)
READABLE = ("csv", "cvat", "elan", "fiftyone", "label-studio", "via", "vtt")

labels = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12).filter(str.strip)
starts_ms = st.integers(0, 20_000)


@st.composite
def detections(draw: st.DrawFn, most: int = 8) -> tuple[Detection, ...]:
    """Draw detections with whole milliseconds and lengths of up to 10 s, by start."""
    found = []
    for _ in range(draw(st.integers(0, most))):
        start = draw(starts_ms)
        end = start + draw(st.integers(0, 10_000))
        score = draw(st.floats(-10, 10))
        found.append(Detection(draw(labels).strip(), Segment(start / 1000, end / 1000), score))
    return tuple(sorted(found, key=lambda d: (d.segment.start_s, d.segment.end_s, d.label, -d.score)))


def text_of(name: str, *videos: Video, options: ExportOptions | None = None) -> str:
    """Return what a format writes of videos."""
    return "".join(exports.load(name, "export").pieces(videos, options or ExportOptions()))


def written(name: str, found: tuple[Detection, ...], folder: Path, media: Media = MEDIA) -> Path:
    """Write one video, ``v``, in a format; return the file."""
    path = folder / f"v{exports.load(name, 'export').LAYOUT.suffix}"
    path.write_bytes(text_of(name, Video("v", found, media)).encode())
    return path


def read(name: str, path: Path, fps: Fraction | None = FPS) -> dict[str, VideoTruth]:
    """Read a file of annotations."""
    return dict(exports.load(name, "import").read(path, ReadOptions(fps)))
