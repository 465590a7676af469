"""CSV: one row per detection, in all videos; ground truth for `tal evaluate` as it is, since scores are not read there.

Columns: video, label, start and end (seconds, to the millisecond), score. UTF-8, quoted where needed (RFC 4180).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from tal.annotations import VideoTruth, read_truth
from tal.exports._base import ExportOptions, Layout, ReadOptions, Video

LAYOUT = Layout("table: video, label, start, end, score", ".csv", per_video=False)
HEADER = ("video", "label", "start", "end", "score")


def pieces(videos: Iterable[Video], options: ExportOptions) -> Iterator[str]:
    """Yield the header, then the rows of each video."""
    yield _rows([HEADER])
    for video in videos:
        yield _rows(
            (video.name, d.label, f"{d.segment.start_s:.3f}", f"{d.segment.end_s:.3f}", repr(float(d.score)))
            for d in video.detections
        )


def _rows(rows: Iterable[tuple[str, ...]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    quoting = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:  # a lone carriage return ends a row for readers, but not for every Python's writer
        (quoting if any("\r" in cell for cell in row) else writer).writerow(row)
    return text.getvalue()


def read(path: Path, options: ReadOptions) -> Iterator[tuple[str, VideoTruth]]:
    """Yield each video's ground truth; columns as in `tal.annotations`."""
    yield from read_truth(path).videos.items()
