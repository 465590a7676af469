"""Feature sets that people publish and other people's code reads: this folder is the registry.

A module here is a format. It may be read, written, or both:

- ``LAYOUT`` (a `Layout`) says how its rows lie in time, and ``find(source, asked)`` yields one `Item` per video, with
  nothing read yet. ``labels(source, asked)`` yields (video, label, subset) where labels travel with the features.
- ``exporting(out, force)`` is a context that lends ``add(name, features)``.

A new format is one file here; nothing else names it.
"""

from __future__ import annotations

from typing import Any

from tal.feature_sets._base import Content, ImportOptions, Item, Layout, check_streams, safe_name
from tal.feature_sets._durations import Duration, read_durations
from tal.feature_sets._files import as_matrix
from tal.feature_sets._grids import Placed, place
from tal.registry import Formats

__all__ = [
    "Content",
    "Duration",
    "ImportOptions",
    "Item",
    "Layout",
    "Placed",
    "as_matrix",
    "available",
    "check_streams",
    "exportable",
    "importable",
    "load",
    "place",
    "read_durations",
    "safe_name",
]

_formats = Formats(__name__, __path__, "feature format")


def available() -> list[str]:
    """Return the names of all formats."""
    return _formats.names()


def importable() -> list[str]:
    """Return the names of the formats that can be read."""
    return _formats.names(lambda module: hasattr(module, "find"))


def exportable() -> list[str]:
    """Return the names of the formats that can be written."""
    return _formats.names(lambda module: hasattr(module, "exporting"))


def load(name: str, to: str) -> Any:
    """Return the module of a format.

    Args:
        name: The format.
        to: ``import`` or ``export``, what it must be able to do.

    Raises:
        ConfigError: If there is no such format, or it can only do the other.
    """
    known = importable() if to == "import" else exportable()
    return _formats.load(name, known, f"features cannot be {to}ed as '{name}'; known for {to}")
