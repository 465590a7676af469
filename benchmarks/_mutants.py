"""Mutants of good videos: what transfers, disks and recorders do to files, seeded.

A mutant is a pure function of a source, a kind and a seed. Some kinds hit only the bytes of video packets ("media")
and some only the bytes around them ("index": headers, tables, timestamps). In MP4, AVI, Matroska and Flash files that
is exact. In MPEG streams FFmpeg tells where a packet begins and how long it is without the headers that lie in it, so
there it is a rough division.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

MIN_BLOCK, MAX_BLOCK = 64, 200_000
"""Sizes of blocks that are overwritten, doubled or dropped, bytes."""
MEDIA, INDEX = True, False


@dataclass(frozen=True, slots=True)
class Packet:
    """One compressed frame: where it lies in the file, when it is shown, and whether decoding can begin at it."""

    start: int
    stop: int
    pts: int | None
    is_key: bool


@dataclass(frozen=True, slots=True)
class Source:
    """A good file.

    Attributes:
        name: Its file name.
        container: FFmpeg's name of its container format.
        content: Its bytes.
        packets: Its video packets, in storage order.
    """

    name: str
    container: str
    content: bytes
    packets: tuple[Packet, ...]


@dataclass(frozen=True, slots=True)
class Mutant:
    """What was done to which source."""

    source: Source
    kind: str
    seed: int

    @property
    def name(self) -> str:
        """A file name that tells all of it."""
        return f"{self.kind}-{self.seed}-{self.source.name}"

    def content(self, other: Source) -> bytes:
        """Return its bytes; `other` is what follows in a joined file."""
        rng = np.random.default_rng([sorted(KINDS).index(self.kind), self.seed])
        if self.kind == "joined":
            return self.source.content + other.content
        return KINDS[self.kind](self.source, rng)


def open_source(path: Path) -> Source:
    """Read a good file and find its video packets."""
    import av

    with av.open(str(path), metadata_errors="ignore") as container:
        stream = container.streams.best("video")
        packets = tuple(_packet(packet) for packet in container.demux(stream) if packet.size and packet.pos is not None)
        return Source(path.name, container.format.name, path.read_bytes(), packets)


def _packet(packet: Any) -> Packet:
    return Packet(packet.pos, packet.pos + packet.size, packet.pts, packet.is_keyframe)


def places(source: Source, media: bool) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the offsets of all bytes that lie in video packets, or of all others."""
    inside = np.zeros(len(source.content), bool)
    for packet in source.packets:
        inside[packet.start : packet.stop] = True
    return np.flatnonzero(inside == media)


def _cut(source: Source, rng: Generator) -> bytes:
    return source.content[: int(rng.integers(1, len(source.content)))]


def _cut_index(source: Source, rng: Generator) -> bytes:
    """End the file where the bytes between or around packets are."""
    return source.content[: max(1, int(rng.choice(places(source, INDEX))))]


def _cut_between(source: Source, rng: Generator) -> bytes:
    """End the file exactly before a packet."""
    return source.content[: max(1, source.packets[int(rng.integers(len(source.packets)))].start)]


def _flip(n_bits: int, where: bool | None = None) -> Callable[[Source, Generator], bytes]:
    """Flip up to `n_bits` bits anywhere, or only inside or outside of packets."""

    def flip(source: Source, rng: Generator) -> bytes:
        content = np.frombuffer(source.content, np.uint8).copy()
        offsets = np.arange(content.size) if where is None else places(source, where)
        chosen = rng.choice(offsets, min(int(rng.integers(1, n_bits + 1)), offsets.size), replace=False)
        content[chosen] ^= np.left_shift(1, rng.integers(0, 8, chosen.size)).astype(np.uint8)
        return content.tobytes()

    return flip


def _overwrite(noise: bool, where: bool | None = None) -> Callable[[Source, Generator], bytes]:
    """Overwrite one block with zeros or noise, sparing what is not `where`."""

    def overwrite(source: Source, rng: Generator) -> bytes:
        content = np.frombuffer(source.content, np.uint8).copy()
        start, stop = _block(source, rng)
        offsets = np.arange(start, stop)
        if where is not None:
            offsets = np.resize(places(source, where), stop)[start:stop]
        content[offsets] = rng.integers(0, 256, offsets.size, np.uint8) if noise else 0
        return content.tobytes()

    return overwrite


def _block(source: Source, rng: Generator) -> tuple[int, int]:
    """Return a block of up to half of the file; small sizes are as frequent as large ones."""
    largest = min(MAX_BLOCK, len(source.content) // 2)
    size = int(np.exp(rng.uniform(np.log(min(MIN_BLOCK, largest)), np.log(largest))))
    start = int(rng.integers(0, len(source.content) - size + 1))
    return start, start + size


def _swap(source: Source, rng: Generator) -> bytes:
    """Let two packets' bytes change places."""
    one, other = rng.choice(len(source.packets), 2, replace=False)
    a, b = sorted((source.packets[int(one)], source.packets[int(other)]), key=lambda packet: packet.start)
    content, a_stop = source.content, min(a.stop, b.start)  # in MPEG streams packets are said to overlap
    swapped = content[b.start : b.stop] + content[a_stop : b.start] + content[a.start : a_stop]
    return content[: a.start] + swapped + content[b.stop :]


def _double(source: Source, rng: Generator) -> bytes:
    start, stop = _block(source, rng)
    return source.content[:stop] + source.content[start:]


def _drop(source: Source, rng: Generator) -> bytes:
    start, stop = _block(source, rng)
    return source.content[:start] + source.content[stop:]


KINDS: dict[str, Callable[[Source, Generator], bytes]] = {
    "cut": _cut,
    "cut_index": _cut_index,
    "cut_between": _cut_between,
    "flip_few": _flip(8),
    "flip_many": _flip(2000),
    "flip_media": _flip(64, MEDIA),
    "flip_index": _flip(8, INDEX),
    "zeros": _overwrite(noise=False),
    "zeros_media": _overwrite(noise=False, where=MEDIA),
    "zeros_index": _overwrite(noise=False, where=INDEX),
    "noise": _overwrite(noise=True),
    "noise_media": _overwrite(noise=True, where=MEDIA),
    "swap": _swap,
    "double": _double,
    "drop": _drop,
    "joined": lambda source, _: source.content,
}
"""How a file can be mutated; ``joined`` appends another file."""
