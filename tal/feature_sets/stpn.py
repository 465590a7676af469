"""Numbered features of bellos1203's STPN.

``rgb_features/N.npy`` and ``flow_features/N.npy``, N from 1, each (T, 1024) in float64; snippets are 16 frames at 10
frames per second, frames after the last whole one are left out. Line N of the list of names says which video N is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from tal import npy
from tal.errors import ConfigError, InputError
from tal.feature_sets._base import Content, ImportOptions, Item, Layout
from tal.feature_sets._files import Found, files_of, per_stream
from tal.parsing import read_text
from tal.types import STREAMS

LAYOUT = Layout(
    "folders rgb_features/ and flow_features/ of N.npy (T, 1024); --names lists the videos", fps=Fraction(10)
)


def find(source: Path, asked: ImportOptions) -> Iterator[Item]:
    """Yield the videos of a numbered set.

    Raises:
        ConfigError: If there is no list of names.
        InputError: If a file's number is not in the list.
    """
    if asked.names is None:
        raise ConfigError("stpn: files are numbered: give --names FILE, one video per line, line 1 for 1.npy")
    names = [line.strip() for line in read_text(asked.names).splitlines()]
    streams = {alias: s for s in asked.streams or STREAMS for alias in (s, f"{s}_features")}
    found = [
        _named(p, streams[p.parent.name], names, asked) for p in files_of(source, ".npy") if p.parent.name in streams
    ]
    return per_stream(found, lambda path: Content({"both": npy.numbers(path)}), source)


def _named(path: Path, stream: str, names: Sequence[str], asked: ImportOptions) -> Found:
    number = int(path.stem) if path.stem.isascii() and path.stem.isdigit() and len(path.stem) < 9 else 0
    if not 0 < number <= len(names) or not names[number - 1]:
        raise InputError(f"{path}: no line '{path.stem}' in {asked.names}, which has {len(names)}; name all videos")
    return names[number - 1], stream, path
