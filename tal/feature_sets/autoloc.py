"""UntrimmedNet features of AutoLoc (Shou et al., ECCV 2018): TSV, one line per video.

Video, label, features, class activations and attention, separated by tabs; the features are T x 2048 numbers separated
by ``;``, flow (temporal) first, then RGB (spatial). There is a row every 15 frames at the video's own rate; how many
frames one row sees is not stated, so that 15 are assumed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

from tal.errors import InputError
from tal.feature_sets._base import Content, ImportOptions, Item, Layout, side_by_side
from tal.feature_sets._files import files_of
from tal.feature_sets._tables import numbers
from tal.parsing import video_name

LAYOUT = Layout(
    "*.tsv, a line per video: id, label, T x 2048 numbers with ';', flow first", "native", Fraction(30), 15, 15
)
STREAMS = ("flow", "rgb")
WIDTH = 1024
_ALL = ".all"


def find(source: Path, asked: ImportOptions) -> Iterator[Item]:
    """Yield the videos of the files of a folder; of ``SUBSET.all.tsv``, which repeats the others, only if alone."""
    files = files_of(source, ".tsv")
    single = [path for path in files if not path.stem.endswith(_ALL)]
    for path in single or files:
        yield from _lines(path, asked.streams or STREAMS)


def _lines(path: Path, streams: tuple[str, ...]) -> Iterator[Item]:
    """Yield a file's lines by where they begin; only their first field is kept."""
    try:
        with path.open("rb") as file:
            start, number = 0, 1
            for line in file:
                if line.strip():
                    name = line.split(b"\t", 1)[0].strip().decode("utf-8", "replace")
                    read = _reader(path, start, f"{path}, line {number}", streams)
                    yield Item(video_name(name), (path,), read, f"line {number}")
                start, number = start + len(line), number + 1
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({os.strerror(error.errno or 0)}); check the path") from error


def _reader(path: Path, start: int, place: str, streams: tuple[str, ...]) -> Callable[[], Content]:
    def read() -> Content:
        with path.open("rb") as file:
            file.seek(start)
            fields = file.readline().rstrip(b"\r\n").split(b"\t")
        if len(fields) < 3:
            raise InputError(f"{place}: {len(fields)} fields, not id, label, features; separate them with tabs")
        values = numbers(fields[2].strip(), b";", place)
        width = WIDTH * len(streams)
        if not len(values) or len(values) % width:
            raise InputError(f"{place}: {len(values)} numbers are not rows of {width}; was it cut short?")
        return Content(side_by_side(values.reshape(-1, width), streams, place))

    return read
