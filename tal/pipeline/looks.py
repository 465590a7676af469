"""What videos look like: what tells, without reading them, whether they are those that shards were made from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tal.files import digest_of
from tal.ledger import Record
from tal.pipeline.engines import Recipe
from tal.pipeline.keys import absolute
from tal.pipeline.sources import Sources


class Looks:
    """What videos look like under one recipe: what changes when a video is replaced or its features would be others.

    Args:
        recipe: How features are made.
        sources: Where the videos come from.
    """

    def __init__(self, recipe: Recipe, sources: Sources | None = None) -> None:
        self._sources = sources or Sources()
        self._recipe = "" if recipe.settings.reads_flow else _digest(recipe.key_fields)

    def of(self, path: Path) -> str:
        """Return a video's look; empty where it does not show, as that of a folder of flow images."""
        if not self._recipe:
            return ""
        look = self._sources.look(path)
        if look is not None:
            return look and f"{self._recipe}:{look}:{self._sources.address(path)}"
        found = os.stat(path)  # noqa: PTH116 - half the time of path.stat()
        return f"{self._recipe}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}:{absolute(path)}"


def noted_stamp(one: Record, look: str) -> str:
    """Return the stamp of the shard that a record vouches for if the video still looks as it does now, else nothing."""
    return one.shard if one.is_finished and look and one.source == look else ""


def _digest(fields: Mapping[str, object]) -> str:
    return digest_of(fields)[:16]
