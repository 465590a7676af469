"""One ``VIDEO.npy`` of (T, D) per video, the streams side by side, RGB first: what most code of the field reads.

Such files say nothing about time: reading them needs ``--fps``, ``--stride`` and ``--streams``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tal import npy
from tal.errors import ConfigError
from tal.feature_sets._base import Content, ImportOptions, Item, Layout, side_by_side
from tal.feature_sets._files import files_of, per_video
from tal.feature_sets._writing import Add, beside, save
from tal.types import Features

LAYOUT = Layout("VIDEO.npy (T, D); needs --fps, --stride and --streams", "unknown")


def find(source: Path, asked: ImportOptions) -> Iterator[Item]:
    """Yield the videos of a folder.

    Raises:
        ConfigError: If the streams or the rate are not told.
    """
    streams = asked.streams
    if asked.fps is None or asked.stride is None:
        raise ConfigError("npy: such files say nothing about time: give --fps and --stride")
    if streams is None:
        raise ConfigError("npy: say what the columns are: --streams rgb,flow, flow,rgb, rgb or flow")
    return per_video(files_of(source, ".npy"), lambda path: Content(side_by_side(npy.numbers(path), streams, path)))


@contextmanager
def exporting(out: Path, force: bool) -> Iterator[Add]:
    """Lend what writes the streams that a video has side by side."""

    def add(name: str, features: Features) -> None:
        save(out / f"{name}.npy", beside(features), force)

    yield add
