"""Ticks of a time axis where people expect them, and times as a clock shows them."""

from __future__ import annotations

import math

STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


def tick_step_s(duration_s: float, n_ticks: int) -> float:
    """Return the smallest readable step that gives at most `n_ticks` ticks from 0 to `duration_s`, seconds.

    Tenths up to a second, then 1, 2, 5, 10, 15, 30 seconds and minutes, then hours times a power of two.
    """
    wanted_s = duration_s / max(1, n_ticks - 1)
    for step_s in STEPS_S:
        if step_s >= wanted_s:
            return step_s
    return 3600.0 * 2.0 ** math.ceil(math.log2(wanted_s / 3600))


def ticks_s(duration_s: float, n_ticks: int) -> tuple[float, ...]:
    """Return the times of at most `n_ticks` ticks (at least the one at 0), seconds, increasing."""
    step_s = tick_step_s(duration_s, n_ticks)
    return tuple(round(i * step_s, 6) for i in range(int(duration_s / step_s + 1e-9) + 1))


def clock(seconds: float, step_s: float = 1.0) -> str:
    """Return ``m:ss``, ``h:mm:ss`` from an hour on, with tenths where ticks are closer than a second."""
    tenths = round(seconds * 10) if step_s < 1 else round(seconds) * 10
    whole, tenth = divmod(tenths, 10)
    minutes, s = divmod(whole, 60)
    hours, m = divmod(minutes, 60)
    text = f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"
    return f"{text}.{tenth}" if step_s < 1 else text
