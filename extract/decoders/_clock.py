"""From the timestamps that files carry to times that never run backwards.

Old AVIs carry presentation timestamps that step back, MPEG program streams have them on few frames, and recordings
that were joined start again in the middle. The choice between the presentation and the decoding timestamp is
libavcodec's ("best effort"); a clock that jumps is continued, as ffmpeg does for transport streams.
"""

from __future__ import annotations

from fractions import Fraction

Stamp = int | Fraction
"""A timestamp or a duration in ticks."""
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
        tick_s: The unit of timestamps.
        zero_s: What the file's own clock shows at time 0.
    """

    def __init__(
        self,
        interval_s: Fraction,
        end_s: Fraction | None = None,
        rejoins: bool = False,
        tick_s: Fraction = Fraction(1),
        zero_s: Fraction = Fraction(0),
    ) -> None:
        self._interval_s = interval_s
        self._tick_s = tick_s
        self._zero_s = zero_s
        self._duration: tuple[Stamp | None, Fraction | None] = (None, None)  # the last one, in ticks and in seconds
        self._end_s = end_s
        self._rejoins = rejoins
        self._shift_s = Fraction(0)
        self._now_s: Fraction | None = None
        self._expected_s = Fraction(0)
        self._last: dict[str, Stamp] = {}
        self._faults = {"pts": 0, "dts": 0}

    def read(self, pts: Stamp | None, dts: Stamp | None, duration: Stamp | None) -> tuple[Fraction, Fraction | None]:
        """Return the next frame's time and duration, seconds; times never decrease.

        Args:
            pts: Presentation time, ticks; like the others, None where the file does not say.
            dts: Decoding time, ticks.
            duration: For how long it is shown, ticks.
        """
        known_s, stamp = self._known_s(duration), self._better(pts, dts)
        time_s = self._expected_s if stamp is None else self._continued(stamp * self._tick_s - self._zero_s)
        self._now_s = time_s if self._now_s is None or time_s > self._now_s else self._now_s
        self._expected_s = self._now_s + (known_s or self._interval_s)
        return self._now_s, known_s

    def _known_s(self, duration: Stamp | None) -> Fraction | None:
        """Return a duration in seconds if it can be believed; most are equal to the one before."""
        if duration != self._duration[0]:
            long_s = None if duration is None else duration * self._tick_s
            self._duration = duration, None if long_s is None or long_s < SHORTEST_FRAME_S else long_s
        return self._duration[1]

    def _better(self, pts: Stamp | None, dts: Stamp | None) -> Stamp | None:
        """Return the stamp of the kind that has stepped back less often."""
        for kind, value in (("pts", pts), ("dts", dts)):
            if value is not None:
                self._faults[kind] += kind in self._last and value <= self._last[kind]
                self._last[kind] = value
        if pts is not None and (dts is None or self._faults["pts"] <= self._faults["dts"]):
            return pts
        return dts

    def _continued(self, stamp_s: Fraction) -> Fraction:
        """Return the stamp on a clock that goes on where the file's own one jumps."""
        time_s = stamp_s + self._shift_s if self._shift_s else stamp_s
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
