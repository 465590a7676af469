"""Named sets of videos, from ``configs/videosets.yaml``: which videos of a subset published numbers leave out."""

from __future__ import annotations

from functools import cache

from tal.config import check, read_yaml
from tal.errors import ConfigError, suggest
from tal.files import shipped
from tal.settings import Section


class VideoSet(Section):
    """A subset without some of its videos.

    Attributes:
        subset: Name of the split, where the ground truth has several.
        n_videos: Videos that the set has in the official annotations.
        n_instances: Their instances.
        blocked: Videos that are left out.
    """

    subset: str
    n_videos: int
    n_instances: int
    blocked: frozenset[str]


@cache
def available() -> dict[str, VideoSet]:
    """Return all named sets."""
    path = shipped("configs") / "videosets.yaml"
    return {name: check(VideoSet, tree, str(path), name) for name, tree in read_yaml(path).items()}


def named(name: str) -> VideoSet:
    """Return a named set.

    Raises:
        ConfigError: If there is none of that name; suggests the nearest.
    """
    if name not in available():
        raise ConfigError(f"unknown set of videos '{name}'{suggest(name, available())}")
    return available()[name]
