"""One video after the other out of a feature set, into a shard each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tal
from tal import feature_sets, shards
from tal.errors import ConfigError, InputError, ShardError, StorageError, TalError
from tal.feature_sets import Content, Duration, ImportOptions, Item, Layout, as_matrix
from tal.files import digest_of
from tal.pipeline.context import Context
from tal.types import Features, FloatArray

VERSION = 1
UNKNOWN = "not in the file of durations"
PREFIX = "v_"
Digests = Sequence[tuple[str, str]]
"""Each file with its SHA-256."""


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        shards: Video name to its shard, of all videos that succeeded.
        made: Names of the videos whose shard was made now.
        failures: Video name to the one-line reason of its failure.
        remarks: Video name to what should be known about it.
        n_snippets: Snippets in all shards.
    """

    shards: Mapping[str, Path]
    made: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    remarks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    n_snippets: int = 0

    @property
    def notes(self) -> dict[str, int]:
        """Every remark once, with the number of videos that it is true of."""
        return dict(Counter(line for lines in self.remarks.values() for line in lines))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "shards": {name: str(path) for name, path in self.shards.items()},
            "made": list(self.made),
            "failures": dict(self.failures),
            "notes": self.notes,
            "n_snippets": self.n_snippets,
        }


@dataclass(frozen=True)
class Source:
    """What is the same for all videos of an import.

    Attributes:
        name: The format.
        layout: How its rows lie in time.
        asked: What the user says.
        known: What is known about the videos' durations.
    """

    name: str
    layout: Layout
    asked: ImportOptions
    known: Mapping[str, Duration]


class Importer:
    """Takes one video after the other, going on after one that fails."""

    def __init__(self, source: Source, folder: Path, ctx: Context) -> None:
        self._format, self._layout, self._asked, self._known = source.name, source.layout, source.asked, source.known
        self._folder, self._ctx = folder, ctx
        self._shards: dict[str, Path] = {}
        self._made: list[str] = []
        self._failures: dict[str, str] = {}
        self._remarks: dict[str, tuple[str, ...]] = {}
        self._n_snippets = 0

    def report(self) -> ImportReport:
        """Return what was done."""
        return ImportReport(
            dict(self._shards), tuple(self._made), dict(self._failures), dict(self._remarks), self._n_snippets
        )

    def take(self, item: Item) -> None:
        """Import one video, or note why that is impossible."""
        name = item.name.removeprefix(self._asked.strip)
        try:
            self._take(feature_sets.safe_name(name), item)
        except (ConfigError, StorageError):
            raise
        except TalError as error:
            self._fail(name, str(error))
        except OSError as error:
            self._fail(name, f"{item.files[0]}: cannot be read ({error.strerror}); check it")

    def _fail(self, name: str, reason: str) -> None:
        shown = name if name not in self._shards and name not in self._failures else f"{name} (again)"
        self._failures[shown] = reason
        self._ctx.progress.say(f"failed: {reason}")

    def _take(self, name: str, item: Item) -> None:
        if name in self._shards or name in self._failures:
            raise InputError(f"{item.files[0]}: a second video named '{name}'; give one of them another name")
        known, lines = self._duration(name, item.name)
        digests = [(f"{path.parent.name}/{path.name}", self._ctx.cache.sha256(path)) for path in item.files]
        key = self._key(name, item, digests, known)
        path = self._folder / f"{name}{shards.SUFFIX}"
        about = None if self._ctx.cache.force else _there(path)
        if about is None or about.key != key or not shards.is_current(path, key):
            _check_replaceable(path, about)
            shards.write(path, self._features(item, digests, known, lines), key)
            self._made.append(name)
            about = shards.header(path)
        self._shards[name] = path
        self._n_snippets += about.grid.n_snippets
        if remarks := tuple(about.provenance["video"]["remarks"]):
            self._remarks[name] = remarks

    def _duration(self, name: str, before: str) -> tuple[Duration | None, tuple[str, ...]]:
        """Return what is known about a video's time, and what should be said about that."""
        for one in (name, before):
            if one in self._known:
                return self._known[one], ()
        if name.removeprefix(PREFIX) in self._known:
            told = f"named without '{PREFIX}' in the file of durations; --strip {PREFIX} names the shards so"
            return self._known[name.removeprefix(PREFIX)], (told,)
        return None, (UNKNOWN,) if self._known else ()

    def _key(self, name: str, item: Item, digests: Digests, known: Duration | None) -> str:
        return digest_of(
            {
                "stage": "import",
                "version": VERSION,
                "name": name,
                "row": item.row,
                "sources": [list(one) for one in digests],
                "duration": None if known is None else [known.seconds, known.covered_s, str(known.fps)],
                **self._about(),
            }
        )

    def _about(self) -> dict[str, Any]:
        """Return what is the same for all videos of an import."""
        asked = self._asked
        options = {
            "fps": None if asked.fps is None else str(asked.fps),
            "stride": asked.stride,
            "length": asked.length,
            "convention": asked.convention,
            "crop": "mean" if asked.crop is None else asked.crop,
            "streams": asked.streams and list(asked.streams),
            "keep_misfits": asked.keep_misfits,
        }
        return {"imported": {"format": self._format, "options": options}}

    def _features(self, item: Item, digests: Digests, known: Duration | None, lines: tuple[str, ...]) -> Features:
        content = item.read()
        streams, cut = _streams(content, item, self._asked.crop)
        n = len(next(iter(streams.values())))
        try:
            placed = feature_sets.place(n, content, self._layout, self._asked, known)
        except InputError as error:
            raise InputError(f"{item.place()}: {error}") from error
        video = {
            "name": item.name,
            "sources": [list(one) for one in digests],
            "row": item.row,
            "duration": "derived" if known is None and content.duration_s is None else "given",
            "remarks": [*lines, *placed.remarks, *cut],
        }
        provenance = {**self._about(), "tal": tal.__version__, "video": video}
        if placed.rate:
            provenance["rate"] = placed.rate
        return Features(streams, placed.grid, placed.duration_s, _motion(content, n, item.place()), provenance)


def _streams(content: Content, item: Item, crop: int | None) -> tuple[dict[str, FloatArray], tuple[str, ...]]:
    """Return the streams as float32 (T, D) of one T, and what should be said about that."""
    streams = {name: as_matrix(values, item.place(name), crop) for name, values in content.streams.items()}
    lengths = {len(values) for values in streams.values()}
    if max(lengths) - min(lengths) > 1:
        told = ", ".join(f"{len(values)} of {name}" for name, values in streams.items())
        raise InputError(f"{item.place()}: streams of different lengths ({told} snippets); extract them alike")
    if len(lengths) == 1:
        return streams, ()
    return {name: values[: min(lengths)] for name, values in streams.items()}, ("one stream had a last snippet more",)


def _motion(content: Content, n: int, place: str) -> FloatArray | None:
    if content.motion is None:
        return None
    if content.motion.shape != (n,):
        raise InputError(f"{place}: motion of shape {content.motion.shape} for {n} snippets")
    return as_matrix(content.motion[:, None], f"{place}, motion", None)[:, 0]


def _there(path: Path) -> shards.ShardHeader | None:
    """Return the header of a shard that is there and whole enough to have one."""
    try:
        return shards.header(path) if path.exists() else None
    except ShardError:
        return None


def _check_replaceable(path: Path, about: shards.ShardHeader | None) -> None:
    """Leave alone what took a network hours to make."""
    if about is not None and "imported" not in about.provenance:
        raise InputError(f"{path}: features that were extracted are there; choose another folder, or --force")
