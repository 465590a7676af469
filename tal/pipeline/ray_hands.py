"""A worker of the Ray engine as its driver sees it, and what is left of one that is gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from extract.reports import DecodeReport
from tal import shards
from tal.ledger import Record, of_shard
from tal.pipeline.filling import Filling
from tal.pipeline.keys import absolute, shard_path
from tal.pipeline.ray_cluster import Share
from tal.progress import Task


@dataclass(eq=False)
class Hand:
    """A worker as the driver sees it.

    Attributes:
        id: Unique.
        share: What it has of its node.
        actor: Ray's handle.
        seconds: Stage to seconds that it worked, as it last said.
        ready: Whether it has started.
    """

    id: str
    share: Share
    actor: Any
    seconds: Mapping[str, float] = field(default_factory=dict)
    ready: bool = False


@dataclass
class Bars:
    """What the user sees."""

    videos: Task
    snippets: Task


def found(filling: Filling, path: Path) -> Record | None:
    """Return what a video's shard tells that a worker made but did not live to tell of; None where there is none."""
    if not filling.target.is_there(path, filling._keys[path]):
        return None
    shard = shard_path(filling.target.folder, path)
    decode = shards.header(shard).provenance["video"]["decode"]
    remark = DecodeReport.from_dict(decode).remark()
    return replace(of_shard(shard, "", absolute(path)), state="damaged" if remark else "done", note=remark)
