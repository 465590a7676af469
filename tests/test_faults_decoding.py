"""Memory that runs out while a video is decoded is no damage of the video."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import av
import pytest

from extract.decoders._base import Tally
from extract.decoders._packets import Reader


def reader(demux: Callable[[], Any], decode: Callable[[Any], Any], tally: Tally) -> Reader:
    """Return a reader of a file that is made up."""
    context = SimpleNamespace(decode=decode)
    stream = SimpleNamespace(index=0, index_entries=[], codec_context=context, time_base=1, average_rate=25)
    return Reader(SimpleNamespace(format=SimpleNamespace(name="made up"), demux=demux, duration=None), stream, tally)


def fail(kind: type[Exception]) -> Callable[..., Any]:
    def call(*_: object) -> Any:
        raise kind(12, "Cannot allocate memory")

    return call


def one_packet() -> list[Any]:
    return [
        SimpleNamespace(size=1, pts=None, dts=None, stream_index=0, is_discard=False, is_corrupt=False, time_base=1)
    ]


@pytest.mark.parametrize("where", ["reading", "decoding"])
def test_memory_that_runs_out_is_no_damage(where: str) -> None:
    def read(kind: type[Exception], tally: Tally) -> list[Any]:
        demux = fail(kind) if where == "reading" else one_packet
        decode = (lambda packet: []) if where == "reading" else fail(kind)
        return list(reader(demux, decode, tally).frames())

    tally = Tally()
    with pytest.raises(MemoryError):
        read(av.error.MemoryError, tally)
    assert tally.n_bad_packets == 0
    assert read(av.error.InvalidDataError, tally) == [] and tally.n_bad_packets > 0
