"""Which of the videos are worked on: a part for one of several machines, as job arrays want it, and by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from hashlib import sha256
from pathlib import Path
from typing import Any

from extract.video import video_name
from tal.errors import ConfigError, InputError


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
        return self.count == 1 or int.from_bytes(sha256(name.encode()).digest()[:8], "big") % self.count == self.index


WHOLE = Part(0, 1)
ONLY, SKIP = "--only", "--skip"


@dataclass(frozen=True)
class Selection:
    """Which of the videos are worked on; the others are as if they had not been named.

    A pattern holds a video if it is, or fits as a shell pattern, its name, its file name or its path.

    Attributes:
        part: One part of all videos.
        only: If there are any: patterns of which one must hold.
        skip: Patterns of which none may.
        names: If given: exactly the videos of these names.
        without: Names of videos that are left out.
    """

    part: Part = WHOLE
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    names: frozenset[str] | None = None
    without: frozenset[str] = frozenset()

    def of(self, videos: Sequence[Path]) -> list[Path]:
        """Return the selected videos, in their order.

        Raises:
            ConfigError: If there are videos, but ``only`` holds none of them.
        """
        only, skip = _Patterns(self.only), _Patterns(self.skip)
        named = [(path, video_name(path)) for path in videos]
        wanted = [(path, name) for path, name in named if not self.only or only.hold(path, name)]
        if videos and not wanted:
            raise ConfigError(f"--only {' '.join(self.only)}: fits none of the {len(videos)} videos; check the names")
        return [path for path, name in wanted if self._holds(name) and not (self.skip and skip.hold(path, name))]

    def _holds(self, name: str) -> bool:
        named = self.names is None or name in self.names
        return named and name not in self.without and self.part.holds(name)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        names = None if self.names is None else sorted(self.names)
        part = [self.part.index, self.part.count]
        return {"part": part, "only": self.only, "skip": self.skip, "names": names, "without": sorted(self.without)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Selection:
        """Rebuild a selection from what `to_dict` made of it."""
        names = None if values["names"] is None else frozenset(values["names"])
        only, skip = tuple(values["only"]), tuple(values["skip"])
        return cls(Part(*values["part"]), only, skip, names, frozenset(values["without"]))


class _Patterns:
    """Patterns that are looked up where they are plain names, so that long lists of names cost little."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._plain = frozenset(patterns)
        self._globs = [re.compile(translate(one)) for one in patterns if any(c in one for c in "*?[")]

    def hold(self, path: Path, name: str) -> bool:
        """Return whether one of them holds a video of this name."""
        texts = (name, path.name, str(path))
        return any(text in self._plain for text in texts) or any(
            one.match(text) for one in self._globs for text in texts
        )


def read_patterns(option: str, given: Sequence[str]) -> tuple[str, ...]:
    """Return patterns as given on the command line; ``@FILE`` stands for the lines of a file.

    Empty lines and lines that begin with ``#`` are left out.

    Raises:
        InputError: If such a file cannot be read, or all that is left of ``--only`` is nothing.
    """
    found: list[str] = []
    for one in given:
        found += _lines(option, one[1:]) if one.startswith("@") else [one]
    if given and not found and option == ONLY:
        raise InputError(f"{option} {' '.join(given)}: no names in it; write one a line")
    return tuple(found)


def _lines(option: str, file: str) -> list[str]:
    try:
        text = Path(file).read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        remedy = "name a file with one name a line"
        raise InputError(f"{option} @{file}: cannot be read ({error.strerror}); {remedy}") from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
