"""Crops and streams of CMCS (Liu et al., CVPR 2019, Finspire13's code).

``VIDEO-rgb.npz`` and ``VIDEO-flow.npz``, often in folders of their own, with ``feature`` (crops, T, 1024) and
``frame_cnt``. THUMOS14 has a snippet of 16 frames every 4 frames at each video's own rate, and time is counted from the
start of a snippet; ActivityNet one every 16 at 25 frames per second (``--fps 25 --stride 16``, and ``--strip v_``).
UntrimmedNet features lie as (T, crops, D, 1, 1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from tal.errors import InputError
from tal.feature_sets._base import Content, ImportOptions, Item, Layout
from tal.feature_sets._files import files_of, per_stream
from tal.npy import Archive
from tal.types import STREAMS

LAYOUT = Layout("VIDEO-rgb.npz and VIDEO-flow.npz: feature (crops, T, 1024), frame_cnt", "native", Fraction(30), 4)
_NAME = re.compile(r"(?P<video>.+)-(?P<stream>rgb|flow)")


def find(source: Path, asked: ImportOptions) -> Iterator[Item]:
    """Yield the videos of a set, whatever folders its streams lie in."""
    streams = asked.streams or STREAMS
    matched = ((path, _NAME.fullmatch(path.stem)) for path in files_of(source, ".npz"))
    found = [(m["video"], m["stream"], path) for path, m in matched if m and m["stream"] in streams]
    return per_stream(found, _read, source)


def _read(path: Path) -> Content:
    with Archive(path) as archive:
        values = archive.numbers("feature")
        if values.ndim == 5 and values.shape[3:] == (1, 1):
            values = values[..., 0, 0].swapaxes(0, 1)
        n_frames = None
        if "frame_cnt" in archive.names:
            counted = archive.numbers("frame_cnt")
            if counted.size != 1 or counted.dtype.kind not in "iuf" or not 0 < counted.item() < 1e9:
                raise InputError(f"{path}, 'frame_cnt': not a number of frames; remove the key or write one")
            n_frames = int(counted.item())
    return Content({"both": values}, n_frames)
