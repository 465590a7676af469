"""Constant-rate frames by their timestamps, as ffmpeg's ``fps`` filter does it (round=near).

An input frame shown at t belongs to output slot round(t * fps), halves away from zero; output slot n shows the last
input whose slot is not after n. The first slot is that of the first frame, the end is the rounded end of the last
frame. All arithmetic is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import repeat
from math import floor
from typing import Protocol, TypeVar

HALF = Fraction(1, 2)


class Timed(Protocol):
    """Anything that is shown at a time, for a while."""

    @property
    def time_s(self) -> Fraction:
        """When it is shown, seconds."""

    @property
    def duration_s(self) -> Fraction | None:
        """For how long, seconds; None where that is not known."""


T = TypeVar("T", bound=Timed)


def slot_of(time_s: Fraction, fps: Fraction) -> int:
    """Return the output slot nearest to a time, halves away from zero."""
    position = time_s * fps
    return floor(position + HALF) if position >= 0 else -floor(HALF - position)


def end_s(last: Timed, previous_s: Fraction | None, fps: Fraction) -> Fraction:
    """Return when the last frame ends: after its duration, else the interval before it, else one output frame.

    Args:
        last: The last frame.
        previous_s: Time of the frame before it; None if it is the only one.
        fps: Output rate, frames per second.
    """
    interval_s = last.time_s - previous_s if previous_s is not None else None
    return last.time_s + (last.duration_s or interval_s or 1 / fps)


def resample(frames: Iterable[T], fps: Fraction) -> Iterator[tuple[int, T]]:
    """Yield (slot, frame) for consecutive output slots, holding one frame at a time.

    Args:
        frames: In presentation order, times not decreasing.
        fps: Output rate, frames per second.

    Yields:
        Output slot and the input frame it shows; at least one if there is any input.
    """
    held: T | None = None
    previous_s: Fraction | None = None
    first = slot = 0
    for frame in frames:
        arrival = slot_of(frame.time_s, fps)
        if held is None:
            first = slot = arrival
        else:
            previous_s = held.time_s
            yield from zip(range(slot, arrival), repeat(held), strict=False)
            slot = max(slot, arrival)
        held = frame
    if held is not None:
        end = max(first + 1, slot_of(end_s(held, previous_s, fps), fps))
        yield from zip(range(slot, end), repeat(held), strict=False)
