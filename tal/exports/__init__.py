"""Detections in the formats of other programs, and annotations of other programs as ground truth: a folder of formats.

A module here is a format; its name with ``-`` for ``_`` is what users write. It has a ``LAYOUT`` (a `Layout`) and may
have:

- ``pieces(videos, options)``: yields the text of one file, for one video or for all of them, as ``LAYOUT`` says;
- ``setup(labels)``: returns name and text of a file that a program wants beside it, such as the list of classes;
- ``write(video, folder, options, force)``: instead of ``pieces``, where a video gives files that are no text;
- ``read(path, options)``: yields each video's name and ground truth.

A new format is one file here; nothing else names it.
"""

from __future__ import annotations

from typing import Any

from tal.exports._base import ExportOptions, Layout, Media, ReadOptions, Video, file_name
from tal.exports._choice import choose
from tal.registry import Formats

__all__ = [
    "ExportOptions",
    "Layout",
    "Media",
    "ReadOptions",
    "Video",
    "available",
    "choose",
    "file_name",
    "load",
    "readable",
    "suffixes",
    "writable",
]

_formats = Formats(__name__, __path__, "format", dash="-")


def available() -> list[str]:
    """Return the names of all formats."""
    return _formats.names()


def writable() -> list[str]:
    """Return the names of the formats that detections can be written in."""
    return _formats.names(lambda module: hasattr(module, "pieces") or hasattr(module, "write"))


def readable() -> list[str]:
    """Return the names of the formats that ground truth can be read from."""
    return _formats.names(lambda module: hasattr(module, "read"))


def suffixes() -> dict[str, str]:
    """Return the suffixes that tell a readable format, with its name."""
    found: dict[str, list[str]] = {}
    for name in readable():
        found.setdefault(_formats.module(name).LAYOUT.suffix, []).append(name)
    return {suffix: names[0] for suffix, names in found.items() if len(names) == 1}


def load(name: str, to: str) -> Any:
    """Return the module of a format.

    Args:
        name: The format.
        to: ``export`` or ``import``, what it must be able to do.

    Raises:
        ConfigError: If there is no such format, or it can only do the other.
    """
    known = writable() if to == "export" else readable()
    return _formats.load(name, known, f"no {to} of '{name}'; known for {to}")
