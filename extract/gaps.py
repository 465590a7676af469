"""Where pictures of a video are missing, told from long steps of its presentation time.

A long step alone proves nothing: a recording of a still screen shows one frame for seconds. It is a gap where data
before the frame was lost, or where the frames came at a constant rate until then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from extract.decoders._base import Tally, TimedFrame
from tal.errors import VideoError

HALF = Fraction(1, 2)
STEADY_STEPS = 25
"""Steps of one length after which the rate counts as constant."""
FEWEST_STEPS = 4
"""Of fewer steps none is told to be odd."""
TOLERANCE_S = Fraction(1, 400)
"""Steps that differ by no more are equal: Matroska and Flash round times to 1 ms, some cameras to 2."""
Gap = tuple[Fraction, Fraction]
"""When pictures begin and cease to be missing, seconds."""


@dataclass
class GapWatch:
    """Watches frames pass.

    Args:
        path: The video, for messages.
        interval_s: Time between frames where nothing else is known.
        limit_s: A longer gap ends the video.

    Attributes:
        gaps: What was missing so far.
        n_damaged: Frames with guessed parts.
        end_s: When the last frame ends.
        steps: Shortest and longest step between frames so far, seconds; None before the second frame.
    """

    path: Path
    interval_s: Fraction
    limit_s: Fraction
    gaps: list[Gap] = field(default_factory=list)
    n_damaged: int = 0
    end_s: Fraction = Fraction(0)
    steps: tuple[Fraction, Fraction] | None = None
    _last: TimedFrame | None = None
    _n_steps: int = 0
    _step: tuple[Fraction | None, int] = (None, 0)  # the last one, seconds and units of TOLERANCE_S
    _all_steps: Counter[int] = field(default_factory=Counter)  # steps in units of TOLERANCE_S
    _doubtful: list[tuple[Gap, Fraction]] = field(default_factory=list)  # long steps that may be gaps

    def passing(self, frames: Iterable[TimedFrame], tally: Tally) -> Iterator[TimedFrame]:
        """Pass frames on.

        Raises:
            VideoError: If a gap is longer than the limit.
        """
        for frame in frames:
            self._look_at(frame)
            self._last = frame
            self.n_damaged += frame.damaged
            yield frame
        self.gaps = sorted([*self.gaps, *self._confirmed()])
        if self._last is not None and tally.missing_s > self._typical_s() * HALF:
            self._add(self._ends_s(self._last), self._ends_s(self._last) + tally.missing_s)

    @property
    def variable(self) -> bool | None:
        """Whether frames came at a variable rate; None before the third frame."""
        return None if self._n_steps < 2 or self.steps is None else not _equal(*self.steps)

    def _look_at(self, frame: TimedFrame) -> None:
        start_s = self.end_s  # of the last frame; 0 before the first
        late = frame.time_s > start_s and frame.time_s - start_s > self._typical_s() * HALF
        if late and (frame.after_loss or self._steady()):
            self._add(start_s, frame.time_s)
        elif self._last is not None:
            step_s = frame.time_s - self._last.time_s
            if late:
                self._doubtful.append(((start_s, frame.time_s), step_s))
            self._count(step_s)
        self.end_s = self._ends_s(frame)

    def _ends_s(self, frame: TimedFrame) -> Fraction:
        return frame.time_s + (frame.duration_s or self._typical_s())

    def _count(self, step_s: Fraction) -> None:
        if step_s != self._step[0]:  # fractions take their time, and most steps are equal to the one before
            shortest, longest = self.steps or (step_s, step_s)
            self.steps = min(shortest, step_s), max(longest, step_s)
            self._step = step_s, round(step_s / TOLERANCE_S)
        self._all_steps[self._step[1]] += 1
        self._n_steps += 1

    def _confirmed(self) -> list[Gap]:
        """Return the long steps that are gaps after all: nine of ten steps are alike, the others leave time over.

        Too weak a reason to refuse a video: it may have been recorded so.
        """
        n_steps = sum(self._all_steps.values())
        if not self._doubtful or n_steps < FEWEST_STEPS:
            return []
        common = self._all_steps.most_common(1)[0][0]
        n_alike = sum(n for step, n in self._all_steps.items() if abs(step - common) <= 1)
        over = sum((step - common) * n for step, n in self._all_steps.items())
        if 10 * n_alike < 9 * n_steps or 2 * over < common:
            return []
        return [gap for gap, step_s in self._doubtful if 2 * step_s >= 3 * common * TOLERANCE_S]

    def _steady(self) -> bool:
        return self._n_steps >= STEADY_STEPS and self.variable is False

    def _typical_s(self) -> Fraction:
        return self.interval_s if self.steps is None else max(self.steps[0], self.interval_s)

    def _add(self, start_s: Fraction, end_s: Fraction) -> None:
        self.gaps.append((start_s, end_s))
        if end_s - start_s > self.limit_s:
            raise VideoError(
                f"{self.path}: damaged or cut short, no pictures from {float(start_s):.2f} to {float(end_s):.2f} s; "
                f"copy it again, or accept gaps of more than {float(self.limit_s):g} s with extract.max_gap_s"
            )


def _equal(shortest: Fraction, longest: Fraction) -> bool:
    return longest - shortest <= TOLERANCE_S
