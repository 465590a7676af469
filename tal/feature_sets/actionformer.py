"""Features as ActionFormer, TriDet and OpenTAD read them: ``VIDEO.npy``, (T, D).

THUMOS14's I3D has 2048 columns, RGB first (the authors say so), a snippet of 16 frames every 4 frames at each video's
own rate; time is counted from the middle of a snippet. ActivityNet's I3D is one every 16 at 25 frames per second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from tal import npy
from tal.errors import InputError
from tal.feature_sets._base import Content, ImportOptions, Item, Layout, side_by_side
from tal.feature_sets._files import files_of, per_video
from tal.feature_sets._writing import Add, beside, save
from tal.types import STREAMS, Features

LAYOUT = Layout("VIDEO.npy (T, 2048), RGB first", "native", Fraction(30), 4, convention="centre")
_BOTH = 2048


def find(source: Path, asked: ImportOptions) -> Iterator[Item]:
    """Yield the videos of a folder."""

    def read(path: Path) -> Content:
        values = npy.numbers(path)
        if asked.streams is None and values.ndim == 2 and values.shape[1] != _BOTH:
            raise InputError(
                f"{path}: {values.shape[1]} columns, not {_BOTH}: say which with --streams rgb or rgb,flow"
            )
        return Content(side_by_side(values, asked.streams or STREAMS, path))

    return per_video(files_of(source, ".npy"), read)


@contextmanager
def exporting(out: Path, force: bool) -> Iterator[Add]:
    """Lend what writes a video's streams side by side; all must have both."""

    def add(name: str, features: Features) -> None:
        save(out / f"{name}.npy", beside(features, both=True), force)

    yield add
