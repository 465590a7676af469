"""ActivityNet features of BSN and BMN, by CUHK's two-stream network: ``csv_mean_100/v_VIDEO.csv``.

A header and 100 rows of 400 numbers, class scores of RGB (200, first, the authors say so) and flow (200). Every video
is rescaled to the same number of rows, so that their rate follows from its duration alone. Where a JSON of BSN gives
``feature_frame`` and ``duration_frame``, rows cover that share of the duration, as in BSN's own code.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tal.feature_sets._base import Content, ImportOptions, Item, Layout, side_by_side
from tal.feature_sets._files import files_of, per_video
from tal.feature_sets._tables import csv_rows
from tal.types import STREAMS

LAYOUT = Layout("VIDEO.csv: a header, 100 rows of 400 numbers, RGB first; needs --durations", "rescaled")


def find(source: Path, asked: ImportOptions) -> Iterator[Item]:
    """Yield the videos of a folder."""
    streams = asked.streams or STREAMS
    return per_video(files_of(source, ".csv"), lambda path: Content(side_by_side(csv_rows(path), streams, path)))
