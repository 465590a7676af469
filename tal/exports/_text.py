"""Texts and numbers as they may stand in files of other programs."""

from __future__ import annotations

import unicodedata

from tal.types import Segment

LEAST_MS = 1
"""What a segment without length is given where a format allows none, ms."""


def one_line(text: str) -> str:
    """Return text on one line: blanks as single spaces, no control characters; ``?`` where nothing is left."""
    kept = "".join(c if unicodedata.category(c) not in ("Cc", "Cs") or c in "\t\n\r\f\v\x85" else "" for c in text)
    return " ".join(kept.replace("\ufffe", "").replace("\uffff", "").split()) or "?"


def score_text(score: float) -> str:
    """Return a score for people."""
    return f"{score:.4g}"


def span_ms(segment: Segment) -> tuple[int, int]:
    """Return start and end in whole milliseconds, at least `LEAST_MS` apart."""
    start, end = round(1000 * segment.start_s), round(1000 * segment.end_s)
    return start, max(end, start + LEAST_MS)
