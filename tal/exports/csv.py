"""CSV: one row per detection, in all videos; ground truth for `tal evaluate` as it is, since scores are not read there.

Columns: video, label, start and end (seconds, to the millisecond), score. UTF-8, quoted where needed (RFC 4180).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tal.annotations import VideoTruth, read_truth
from tal.csv_text import written
from tal.exports._base import ExportOptions, Layout, ReadOptions, Video

LAYOUT = Layout("table: video, label, start, end, score", ".csv", per_video=False)
HEADER = ("video", "label", "start", "end", "score")


def pieces(videos: Iterable[Video], options: ExportOptions) -> Iterator[str]:
    """Yield the header, then the rows of each video."""
    yield written([HEADER])
    for video in videos:
        yield written(
            (video.name, d.label, f"{d.segment.start_s:.3f}", f"{d.segment.end_s:.3f}", repr(float(d.score)))
            for d in video.detections
        )


def read(path: Path, options: ReadOptions) -> Iterator[tuple[str, VideoTruth]]:
    """Yield each video's ground truth; columns as in `tal.annotations`."""
    yield from read_truth(path).videos.items()
