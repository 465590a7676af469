"""A worker of the Ray engine as its driver sees it, and what is left of one that is gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from extract.reports import DecodeReport
from tal.errors import RemoteError
from tal.ledger import Record
from tal.pipeline.filling import Filling
from tal.pipeline.keys import shard_path
from tal.pipeline.ray_cluster import Share
from tal.pipeline.ray_desk import CRASH, LOSS, SHORTAGE
from tal.pipeline.ray_stores import header_in
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
    """Return what a video's shard tells that a worker made but did not live to tell of; None where there is none.

    Nor where the store does not answer: who is handed the video then will find out.
    """
    target, key = filling.target, filling._keys[path]
    try:
        if not key or not target.is_there(path, key, fresh=True):
            return None
        shard = shard_path(target.folder, path)
        decode = header_in(target.outlet, shard).provenance["video"]["decode"]
        record = target.outlet.record(shard, "", target.address(path))
    except RemoteError:
        return None
    remark = DecodeReport.from_dict(decode).remark()
    return replace(record, state="damaged" if remark else "done", note=remark)


def how_ended(ray: Any, hand: Hand, error: Exception) -> tuple[str, float]:
    """Return how a worker ended, and how much that speaks against its videos.

    Args:
        ray: The module, connected.
        hand: The worker.
        error: What was raised in place of its answer.
    """
    living = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    if isinstance(error, ray.exceptions.ActorUnavailableError) or hand.share.node not in living:
        return "its node was lost", LOSS
    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return "its node ran out of memory", SHORTAGE
    return "its process died", CRASH
