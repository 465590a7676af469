"""From the timestamps that files carry to times that never run backwards.

Old AVIs carry presentation timestamps that step back, MPEG program streams have them on few frames, and recordings
that were joined start again in the middle. The choice between the presentation and the decoding timestamp is
libavcodec's ("best effort"); a clock that jumps is continued, as ffmpeg does for transport streams.
"""

from __future__ import annotations

from fractions import Fraction

Stamps = tuple[Fraction | None, Fraction | None, Fraction | None]
"""One frame's presentation time, decoding time and duration, seconds; each may be missing."""
STEP_BACK_S = 1
"""A larger step backwards is a clock that started again, a smaller one a frame out of order."""
STEP_AHEAD_S = 10
"""A larger step that also leads so far past the claimed end is a broken clock (ffmpeg's dts_delta_threshold)."""
LONGEST_GAP_S = 3600
"""The same where the file does not say when it ends."""
SHORTEST_FRAME_S = Fraction(1, 240)
"""Shorter durations are taken as not known: containers that count in ms claim 1 ms where they know nothing."""


class Clock:
    """One stream's time.

    Args:
        interval_s: Time between frames where the file says nothing.
        end_s: When the stream ends, as claimed.
        rejoins: The format's timestamps may jump (MPEG-TS): any step ahead of over `STEP_AHEAD_S` is one.
    """

    def __init__(self, interval_s: Fraction, end_s: Fraction | None = None, rejoins: bool = False) -> None:
        self._interval_s = interval_s
        self._end_s = end_s
        self._rejoins = rejoins
        self._shift_s = Fraction(0)
        self._now_s: Fraction | None = None
        self._expected_s = Fraction(0)
        self._last: dict[str, Fraction] = {}
        self._faults = {"pts": 0, "dts": 0}

    def read(
        self, pts_s: Fraction | None, dts_s: Fraction | None, duration_s: Fraction | None
    ) -> tuple[Fraction, Fraction | None]:
        """Return the next frame's time and duration; times never decrease."""
        known_s = duration_s if duration_s is not None and duration_s >= SHORTEST_FRAME_S else None
        stamp_s = self._better(pts_s, dts_s)
        time_s = self._expected_s if stamp_s is None else self._continued(stamp_s)
        self._now_s = time_s if self._now_s is None else max(self._now_s, time_s)
        self._expected_s = self._now_s + (known_s or self._interval_s)
        return self._now_s, known_s

    def _better(self, pts_s: Fraction | None, dts_s: Fraction | None) -> Fraction | None:
        """Return the stamp of the kind that has stepped back less often."""
        for kind, value in (("pts", pts_s), ("dts", dts_s)):
            if value is not None:
                self._faults[kind] += kind in self._last and value <= self._last[kind]
                self._last[kind] = value
        if pts_s is not None and (dts_s is None or self._faults["pts"] <= self._faults["dts"]):
            return pts_s
        return dts_s

    def _continued(self, stamp_s: Fraction) -> Fraction:
        """Return the stamp on a clock that goes on where the file's own one jumps."""
        time_s = stamp_s + self._shift_s
        if self._now_s is not None and self._jumps(time_s - self._now_s, time_s):
            self._shift_s += self._expected_s - time_s
            return self._expected_s
        return time_s

    def _jumps(self, step_s: Fraction, time_s: Fraction) -> bool:
        if -STEP_BACK_S <= step_s <= STEP_AHEAD_S:
            return False
        if step_s < 0 or self._rejoins:
            return True
        return step_s > LONGEST_GAP_S if self._end_s is None else time_s > self._end_s + STEP_AHEAD_S
