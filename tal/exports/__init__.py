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

import pkgutil
from importlib import import_module
from typing import Any

from tal.errors import ConfigError, suggest
from tal.exports._base import ExportOptions, Layout, Media, ReadOptions, Video, file_name
from tal.exports._choice import choose

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


def available() -> list[str]:
    """Return the names of all formats."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name.replace("_", "-") for name in names if not name.startswith("_"))


def writable() -> list[str]:
    """Return the names of the formats that detections can be written in."""
    return [name for name in available() if _writes(_module(name))]


def readable() -> list[str]:
    """Return the names of the formats that ground truth can be read from."""
    return [name for name in available() if hasattr(_module(name), "read")]


def suffixes() -> dict[str, str]:
    """Return the suffixes that tell a readable format, with its name."""
    found: dict[str, list[str]] = {}
    for name in readable():
        found.setdefault(_module(name).LAYOUT.suffix, []).append(name)
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
    if name in known:
        return _module(name)
    if name in available():
        raise ConfigError(f"no {to} of '{name}'; known for {to}: {', '.join(known)}")
    raise ConfigError(f"unknown format '{name}'{suggest(name, known)}")


def _writes(module: Any) -> bool:
    return hasattr(module, "pieces") or hasattr(module, "write")


def _module(name: str) -> Any:
    return import_module(f"{__name__}.{name.replace('-', '_')}")
