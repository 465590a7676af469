"""CMX 3600 edit decision list: the detections of a video one after the other, for editing programs.

Source times count from the video's first frame as 00:00:00:00, record times from 01:00:00:00. Timecode is non-drop,
except for 29.97 and 59.94 frames per second, where frame numbers are dropped (SMPTE ST 12-1) so that it keeps time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from tal.errors import InputError
from tal.exports._base import ExportOptions, Layout, Video
from tal.exports._text import one_line, score_text

LAYOUT = Layout("CMX 3600 edit list, for editing programs", ".edl", per_video=True, needs=frozenset({"fps"}))
MOST_EVENTS = 999
"""Event numbers have three digits."""
REEL = "AX"
_TITLE_LENGTH = 70


def pieces(videos: Iterable[Video], options: ExportOptions) -> Iterator[str]:
    """Yield the head, then one event after the other.

    Raises:
        InputError: If there are more events than an edit list holds, or the rate has no timecode.
    """
    for video in videos:
        count, rate = len(video.detections), video.media.rate
        if count > MOST_EVENTS:
            raise InputError(
                f"{count} detections, an edit list holds {MOST_EVENTS}; --top {MOST_EVENTS} or --min-score"
            )
        drop = drops(rate)
        yield f"TITLE: {one_line(video.name)[:_TITLE_LENGTH]}\nFCM: {'DROP FRAME' if drop else 'NON-DROP FRAME'}\n"
        record = _first_record(rate, drop)
        for number, detection in enumerate(video.detections, start=1):
            first, stop = video.media.frames(detection.segment)
            times = (first, stop, record, record + stop - first)
            record = times[3]
            codes = " ".join(timecode(frame, rate, drop) for frame in times)
            yield f"\n{number:03d}  {REEL:<8} V     C        {codes}\n"
            yield f"* FROM CLIP NAME: {one_line(video.file)}\n"
            yield f"* COMMENT: {one_line(detection.label)} {score_text(detection.score)}\n"


def nominal(rate: Fraction) -> int:
    """Return how many frames timecode counts in a second.

    Raises:
        InputError: If a rate has no timecode of two digits.
    """
    if not 1 <= round(rate) <= 99:
        raise InputError(f"no timecode for {float(rate):g} frames per second; --fps RATE")
    return round(rate)


def drops(rate: Fraction) -> bool:
    """Return whether frame numbers are dropped: at 30 and 60 by 1000/1001 frames per second, as claimed or rounded."""
    whole = nominal(rate)
    return whole in (30, 60) and abs(rate - Fraction(whole * 1000, 1001)) < Fraction(1, 100)


def timecode(frame: int, rate: Fraction, drop: bool) -> str:
    """Return a frame's timecode, ``HH:MM:SS:FF``, or ``HH:MM:SS;FF`` with dropped numbers; hours start again after 24.

    Args:
        frame: Number of the frame, from 0.
        rate: Frames per second.
        drop: Pass over the first numbers of each minute but every tenth: two of them at 30 frames a second, four at 60.
    """
    whole = nominal(rate)
    if drop:
        skipped = whole // 15
        per_minute, per_ten = 60 * whole - skipped, 600 * whole - 9 * skipped
        tens, rest = divmod(frame, per_ten)
        frame += 9 * skipped * tens + (skipped * ((rest - skipped) // per_minute) if rest >= skipped else 0)
    seconds, part = divmod(frame, whole)
    hours, minutes = seconds // 3600 % 24, seconds // 60 % 60
    return f"{hours:02d}:{minutes:02d}:{seconds % 60:02d}{';' if drop else ':'}{part:02d}"


def _first_record(rate: Fraction, drop: bool) -> int:
    """Return the frame whose timecode is one hour."""
    whole = nominal(rate)
    return 3600 * whole - (6 * 9 * whole // 15 if drop else 0)
