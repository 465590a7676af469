"""What a ledger says of one video."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tal import shards

State = Literal["waiting", "running", "done", "damaged", "failed", "poison"]
STATES: tuple[State, ...] = ("waiting", "running", "done", "damaged", "failed", "poison")
FINISHED: tuple[State, ...] = ("done", "damaged")
SUSPECT = 2
"""Deaths with a video in work after which it is decoded in a process of its own. A death that nobody saw counts 1: it
may have been anybody's ``kill``; one that the supervising process saw counts 2."""


@dataclass(frozen=True)
class Record:
    """One video in the ledger.

    Attributes:
        name: The video's name, as its shard is called.
        path: Where it lay.
        state: ``waiting``, ``running``, ``done``, ``damaged`` (its shard is there, something is missing in the video),
            ``failed``, or ``poison`` (the process that decoded it died, twice).
        note: Why it failed, or what is missing in it.
        attempts: How often it was begun.
        crashes: Deaths of a process that had it in work, see `SUSPECT`; 0 once its shard is there.
        key: Of the shard that is there, or that is to be made.
        digest: SHA-256 of the shard's content.
        duration_s: End of the video, seconds.
        n_snippets: In the shard.
        seconds: Stage to how long it worked on this video.
        source: What the video and the settings looked like, see `Filling`; empty where not known.
        shard: `stamp` of the shard whose content was found whole.
        worker: Id of who worked on it last.
        begun: Wall clock, for people: seconds since 1970.
        ended: The same.
    """

    name: str
    path: str = ""
    state: State = "waiting"
    note: str = ""
    attempts: int = 0
    crashes: int = 0
    key: str = ""
    digest: str = ""
    duration_s: float | None = None
    n_snippets: int | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    shard: str = ""
    worker: str = ""
    begun: float | None = None
    ended: float | None = None

    @property
    def is_finished(self) -> bool:
        """Whether a shard was made."""
        return self.state in FINISHED

    def crashes_with(self, key: str) -> int:
        """Return the deaths that count for a shard with this key: another video or other settings start anew."""
        return self.crashes if self.key in ("", key) else 0


def of_shard(path: Path, source: str = "", video: str = "") -> Record:
    """Return what a shard's header tells.

    Raises:
        ShardError: If it is not one.
    """
    return of_header(path, shards.header(path), source, video, stamp(path) if source else "")


def of_header(path: Path, about: shards.ShardHeader, source: str, video: str, shard: str) -> Record:
    """Return what a header tells of a shard; `path` gives its name alone, `shard` is its stamp."""
    return Record(
        name=path.name.removesuffix(shards.SUFFIX),
        path=video or str(about.provenance.get("video", {}).get("name", "")),
        state="done",
        key=about.key,
        digest=about.digest,
        duration_s=about.duration_s,
        n_snippets=about.grid.n_snippets,
        source=source,
        shard=shard,
    )


def stamp(path: Path | str) -> str:
    """Return what changes when a file is written to or replaced; empty where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - texts, where there are many
    except OSError:
        return ""
    return f"{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}:{found.st_ino}"


def shards_in(folder: Path) -> set[str]:
    """Return the names of the videos whose shard lies in a folder, whole or not; none where there is no folder."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except OSError:
        return set()
    return {name.removesuffix(shards.SUFFIX) for name in names if name.endswith(shards.SUFFIX) and name[0] != "."}


def plain(one: Record) -> dict[str, Any]:
    """Return a record's values for JSON."""
    return {**vars(one), "seconds": dict(one.seconds)}
