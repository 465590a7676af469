"""One part of the videos for one of several machines, as job arrays want it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

from tal.errors import ConfigError


@dataclass(frozen=True)
class Part:
    """Part `index` of `count`, counted from 0.

    A video belongs to a part by its name alone: parts are disjoint, together they hold all videos, and adding videos
    moves none of the others.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """Read ``i/n``.

        Raises:
            ConfigError: If that is not a part.
        """
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip())
        if not found or int(found[2]) == 0:
            raise ConfigError(f"--shard '{text}': write i/n, part i of n counted from 0, e.g. 0/4")
        index, count = int(found[1]), int(found[2])
        if index >= count:
            raise ConfigError(
                f"--shard '{text}': parts are counted from 0; the {count} parts are 0/{count} to {count - 1}/{count}"
            )
        return cls(index, count)

    def holds(self, name: str) -> bool:
        """Return whether a video of this name belongs to the part."""
        return int.from_bytes(sha256(name.encode()).digest()[:8], "big") % self.count == self.index


WHOLE = Part(0, 1)
