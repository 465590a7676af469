"""What a shard is called, what determines it, and whether the video is still the one that was named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tal
from extract.video import video_name
from tal import shards
from tal.cache import Cache, Stage
from tal.errors import VideoError
from tal.files import digest_of
from tal.pipeline.engines import Recipe

EXTRACT = Stage("extract", version=2)
Paths = Path | str | Sequence[Path | str]


def as_paths(videos: Paths) -> list[Path]:
    """Return one path or several as a list of paths."""
    return [Path(videos)] if isinstance(videos, str | Path) else [Path(one) for one in videos]


def shard_path(folder: Path, video: Path) -> Path:
    """Return where a video's shard lies."""
    return folder / f"{video_name(video)}{shards.SUFFIX}"


def shard_key(video: Path, recipe: Recipe, cache: Cache) -> str:
    """Return the digest of everything that determines a video's features."""
    return key_of(cache.sha256(video), recipe.key_fields)


def key_of(sha256: str, fields: Mapping[str, Any]) -> str:
    """Return the key of the shard of a video with this digest."""
    return digest_of({"stage": EXTRACT.name, "version": EXTRACT.version, "video": sha256, **fields})


def identity(video: Path, cache: Cache) -> dict[str, Any]:
    """Return what a shard says about its video, beside how it was decoded."""
    return {"name": f"{video_name(video)}{video.suffix}", "sha256": cache.sha256(video), "tal": tal.__version__}


def check_unchanged(video: Path, key: str, recipe: Recipe, cache: Cache) -> None:
    """Refuse a shard under the digest of another content than was read.

    Raises:
        VideoError: If the video is not the one that `key` was made for.
    """
    try:
        same = shard_key(video, recipe, cache) == key
    except OSError:
        same = False
    if not same:
        raise VideoError(f"{video}: changed while it was read; run again when nothing writes to it")
