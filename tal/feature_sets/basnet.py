"""Trees of BaS-Net (Lee et al., AAAI 2020), which UM, CoLA, ACM-Net, LACP and others reuse.

``{train,test}/{rgb,flow}/VIDEO.npy``, each (T, 1024); snippets are 16 frames at 25 frames per second, and time is
counted from the start of a snippet.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tal import npy
from tal.feature_sets._base import Content, ImportOptions, Item, Layout
from tal.feature_sets._files import files_of, per_stream
from tal.feature_sets._writing import Add, save
from tal.types import STREAMS, Features

LAYOUT = Layout("folders rgb/ and flow/, at any depth, of VIDEO.npy (T, 1024)")


def find(source: Path, asked: ImportOptions) -> Iterator[Item]:
    """Yield the videos of a tree."""
    streams = asked.streams or STREAMS
    found = [(p.stem, p.parent.name, p) for p in files_of(source, ".npy") if p.parent.name in streams]
    return per_stream(found, lambda path: Content({"both": npy.numbers(path)}), source)


@contextmanager
def exporting(out: Path, force: bool) -> Iterator[Add]:
    """Lend what writes a file per video and stream."""

    def add(name: str, features: Features) -> None:
        for stream, values in features.streams.items():
            save(out / stream / f"{name}.npy", values, force)

    yield add
