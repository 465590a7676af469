"""What a shard is called, what determines it, and whether the video is still the one that was named."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tal
from extract.video import video_name
from tal import shards
from tal.cache import Cache, Stage
from tal.errors import VideoError
from tal.files import AWAY, digest_of
from tal.pipeline import flow_folders
from tal.settings import ExtractSettings

if TYPE_CHECKING:
    from tal.pipeline.engines import Recipe

EXTRACT = Stage("extract", version=2)
Paths = Path | str | Sequence[Path | str]


def as_paths(videos: Paths) -> list[Path]:
    """Return one path or several as a list of paths."""
    return [Path(videos)] if isinstance(videos, str | Path) else [Path(one) for one in videos]


def absolute(path: Path) -> str:
    """Return a path that means the same from any folder, for the ledger; bytes that are no UTF-8 are escaped."""
    text = os.path.abspath(path)  # noqa: PTH100 - links stay
    return text if text.isascii() else os.fsencode(text).decode("utf-8", "backslashreplace")


def shard_path(folder: Path, video: Path) -> Path:
    """Return where a video's shard lies."""
    return folder / f"{video_name(video)}{shards.SUFFIX}"


def shard_key(video: Path, recipe: Recipe, cache: Cache) -> str:
    """Return the digest of everything that determines a video's features.

    Raises:
        InputError: If flow is read from images and the video has none.
    """
    return key_of(source(video, recipe.settings, cache), recipe.key_fields)


def source(video: Path, settings: ExtractSettings, cache: Cache) -> dict[str, str]:
    """Return the digests of what features are made from: the video, and its flow images where they are read.

    Raises:
        InputError: If it has no flow images.
    """
    found = {"video": cache.sha256(video), "flow_images": flow_folders.digest(video, settings, cache)}
    return {name: sha256 for name, sha256 in found.items() if sha256}


def key_of(digests: Mapping[str, str], fields: Mapping[str, Any]) -> str:
    """Return the key of the shard that is made from sources with these digests."""
    return digest_of({"stage": EXTRACT.name, "version": EXTRACT.version, **digests, **fields})


def identity(video: Path, settings: ExtractSettings, cache: Cache) -> dict[str, Any]:
    """Return what a shard says about its video, beside how it was decoded."""
    digests = source(video, settings, cache)
    about = {"name": f"{video_name(video)}{video.suffix}", "sha256": digests.pop("video"), "tal": tal.__version__}
    return {**about, **digests}


def check_unchanged(video: Path, key: str, recipe: Recipe, cache: Cache) -> None:
    """Refuse a shard under the digest of another content than was read.

    Raises:
        VideoError: If the video or its flow images are not those that `key` was made for, or cannot be read any more.
    """
    try:
        same = shard_key(video, recipe, cache) == key
    except OSError as error:
        if error.errno in AWAY:
            raise VideoError(f"{video}: cannot be read: {error.strerror}; run it again") from error
        same = False
    if not same:
        what = "it or its flow images " if recipe.settings.reads_flow else ""
        raise VideoError(f"{video}: {what}changed while it was read; run again when nothing writes to it")
