"""What may be said of a mutant's reading, from what reading its source gave.

Every reading has one outcome:

- ``clean``: as many frames as the source has, nothing reported.
- ``repaired``: damage was reported, and the frames were given out.
- ``refused``: a `tal.errors.VideoError` of one line that begins with the path.
- ``shorter``: fewer frames, nothing reported, and nothing in the file tells: it claims no more than it gave, and no
  two frames are further apart than in the source. Such a file is the same as one that was made shorter, for instance a
  transport stream that ends between two frames.
- ``silent``: fewer frames and nothing reported, although the file tells. Never allowed.
- ``crash``, ``hang``, ``error``: the process died, said nothing for too long, or gave another exception or a message
  that is not one line. Never allowed.

A reading can also break a law, whatever its outcome.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
from _mutants import INDEX, Packet, Source, places
from _reading import Reading

FAILURES = ("crash", "hang", "error", "silent")
OUTCOMES = ("clean", "repaired", "refused", "shorter", *FAILURES)
LAWS = ("times decrease", "not repeatable", "depends on threads", "leaves the index", "untouched frames changed")
MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
EXACT_S, ROUGH_S = 0.1, 0.5
"""By how much MP4 and other containers may claim to be longer than they are: those count the sound's end, or guess."""
STEP_ROUNDING_S = Fraction(1, 100)
HELD_BACK = 4
"""Frames that a decoder of B-frames may still hold, and lose, when the next group of pictures is damaged."""


def outcome(reading: Reading, path: str, source: Reading) -> str:
    """Return what became of a mutant at `path` whose source was read as `source`."""
    if reading.error in FAILURES:
        return reading.error
    if reading.error:
        return "refused" if _is_one_line(reading.message, path) else "error"
    if reading.bad or reading.damaged or reading.gaps:
        return "repaired"
    if reading.decoded >= source.decoded:
        return "clean"
    return "shorter" if _looks_whole(reading, source) else "silent"


def _is_one_line(message: str, path: str) -> bool:
    return message.startswith(f"{path}: ") and "\n" not in message and "\r" not in message


def _looks_whole(reading: Reading, source: Reading) -> bool:
    """Return whether nothing tells that frames are missing: neither claims nor the times of the others."""
    if reading.container != MP4 and _overclaims(reading, source):  # in MP4, edit lists may hide frames that it counts
        return False
    slack_s = EXACT_S if reading.container == MP4 else ROUGH_S
    if _claimed_beyond_s(reading) > max(0.0, _claimed_beyond_s(source)) + slack_s:
        return False
    return _longest_step(reading) <= _longest_step(source) + STEP_ROUNDING_S


def _overclaims(reading: Reading, source: Reading) -> bool:
    """Return whether the file claims to hold more frames than it gave, and more so than its source."""
    over = (reading.claimed or 0) - reading.decoded
    usual = max(0, (source.claimed or 0) - source.decoded)
    return (over - usual) * _longest_step(source) > ROUGH_S


def _claimed_beyond_s(reading: Reading) -> float:
    """Return how long after its last frame the file claims to end, seconds."""
    return 0.0 if reading.claimed_s is None else reading.claimed_s - reading.end_s


def _longest_step(reading: Reading) -> Fraction:
    times_s = [Fraction(0), *map(Fraction, reading.times_s)]
    return max(b - a for a, b in pairwise(times_s))


def broken_laws(reading: Reading) -> list[str]:
    """Return which laws that hold for every file a reading breaks."""
    times_s = [Fraction(time_s) for time_s in reading.times_s]
    broken = (times_s != sorted(times_s), not reading.repeatable, not reading.thread_free)
    return [law for law, is_broken in zip(LAWS, broken, strict=False) if is_broken]


def broken_index_laws(reading: Reading, source: Source, content: bytes, good: Reading) -> list[str]:
    """Return which laws a reading breaks that hold for MP4 files whose index is as it was.

    Frames are at times that the index holds. The frames of groups of pictures in which no byte changed are as they
    were; the last few before a damaged group may be lost with it.

    Args:
        reading: Of the mutant.
        source: The undamaged file.
        content: The mutant's bytes.
        good: Reading of the undamaged file.
    """
    if reading.error in FAILURES or not _same_index(source, content) or _unsorted(source, good):
        return []
    seen = dict(zip(reading.times_s, reading.digests, strict=True))
    astray = not set(seen) <= set(good.times_s)
    kept, held_back = _untouched(source, content, good)
    changed = any(seen.get(time_s, None if time_s not in held_back else digest) != digest for time_s, digest in kept)
    return [law for law, is_broken in zip(LAWS[3:], (astray, changed), strict=True) if is_broken]


def _untouched(source: Source, content: bytes, good: Reading) -> tuple[list[tuple[str, str]], set[str]]:
    """Return time and digest of all frames in untouched groups, and the times of those that may be lost.

    Where frames of a group are shown before its key frame, they need the group before it too.
    """
    rank = {pts: i for i, pts in enumerate(sorted(p.pts for p in source.packets if p.pts is not None))}
    kept: list[int] = []
    held_back: set[int] = set()
    sound = True
    for group in _groups(source.packets):
        before, sound = sound, all(_same(source, content, packet) for packet in group)
        if before and not sound:
            held_back |= set(sorted(kept)[-HELD_BACK:])
        first = group[0].pts or 0
        kept += [p.pts for p in group if sound and p.pts is not None and (before or p.pts >= first)]
    frames = [(good.times_s[rank[pts]], good.digests[rank[pts]]) for pts in kept]
    return frames, {good.times_s[rank[pts]] for pts in held_back}


def _same_index(source: Source, content: bytes) -> bool:
    """Return whether the file is an MP4 in which every byte outside of packets is where it was, and nothing follows."""
    offsets = places(source, INDEX)
    if source.container != MP4 or not offsets[-1] < len(content) <= len(source.content):
        return False
    before, after = (np.frombuffer(data, np.uint8)[offsets] for data in (source.content, content))
    return bool((before == after).all())


def _unsorted(source: Source, good: Reading) -> bool:
    """Return whether packets and frames do not correspond one to one: edit lists hide some, some have no timestamp."""
    stamps = {packet.pts for packet in source.packets}
    return None in stamps or not len(stamps) == len(source.packets) == len(set(good.times_s)) == len(good.times_s)


def _same(source: Source, content: bytes, packet: Packet) -> bool:
    return source.content[packet.start : packet.stop] == content[packet.start : packet.stop]


def _groups(packets: tuple[Packet, ...]) -> list[list[Packet]]:
    """Return the packets from each key frame up to the next."""
    groups: list[list[Packet]] = []
    for packet in packets:
        if packet.is_key or not groups:
            groups.append([])
        groups[-1].append(packet)
    return groups
