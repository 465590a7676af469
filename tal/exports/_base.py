"""What every format gives and takes: videos, what is known of their files, and the user's options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

from tal.errors import InputError
from tal.feature_sets import safe_name
from tal.parsing import shown
from tal.types import Detection, Segment

Need = Literal["fps", "size", "file"]
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}


@dataclass(frozen=True)
class Layout:
    """What a format looks like from outside.

    Attributes:
        about: What it is, in one line.
        suffix: What its files' names end with.
        per_video: One file per video; else one for all.
        needs: What must be known of a video: its rate, its size in px, or the file itself.
    """

    about: str
    suffix: str
    per_video: bool
    needs: frozenset[Need] = frozenset()


@dataclass(frozen=True)
class Media:
    """What is known of a video's file; None and 0 where nothing is.

    Attributes:
        path: The file.
        fps: Average frames per second.
        width: Width as shown, px.
        height: Height as shown, px.
        start_s: When the first frame is due, seconds.
        duration_s: When the pictures end, seconds.
        n_frames: Number of frames, as claimed.
    """

    path: Path | None = None
    fps: Fraction | None = None
    width: int = 0
    height: int = 0
    start_s: float = 0.0
    duration_s: float | None = None
    n_frames: int | None = None

    @property
    def rate(self) -> Fraction:
        """Frames per second, where a format needs them."""
        if self.fps is None:
            raise ValueError("a format that counts frames must say that it needs their rate")
        return self.fps

    def frames(self, segment: Segment) -> tuple[int, int]:
        """Return the first frame of a segment and the one behind its last: at least one, and none behind the video."""
        first, stop = (round((time_s - self.start_s) * self.rate) for time_s in (segment.start_s, segment.end_s))
        n_frames = self.n_frames or max(first, stop) + 1
        first = min(max(first, 0), n_frames - 1)
        return first, min(max(stop, first + 1), n_frames)


@dataclass(frozen=True)
class Video:
    """One video and what is to be written of it.

    Attributes:
        name: Its name, which nobody has checked.
        detections: By start, then end and label.
        media: What is known of its file.
    """

    name: str
    detections: tuple[Detection, ...]
    media: Media = field(default_factory=Media)

    @property
    def file(self) -> str:
        """The name of its file, without folder; a guess where the file is not known."""
        return self.media.path.name if self.media.path else re.split(r"[/\\]", self.name)[-1] + ".mp4"

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that occur, sorted."""
        return tuple(sorted({detection.label for detection in self.detections}))


@dataclass(frozen=True)
class ExportOptions:
    """What is written, and how.

    Attributes:
        min_score: Weaker detections are left out.
        top: How many of each video are kept, the strongest; None for all.
        labels: Classes that are kept; empty for all.
        fps: Frames per second of all videos, in place of what their files say.
        prefix: What stands before a file's name where a program wants an address.
        pad_s: What clips hold before and behind a detection, seconds.
        cut: How clips are cut: ``auto``, ``copy`` or ``exact``, as in `extract.clips.cut`.
    """

    min_score: float | None = None
    top: int | None = None
    labels: tuple[str, ...] = ()
    fps: Fraction | None = None
    prefix: str = "/data/local-files/?d="
    pad_s: float = 0.0
    cut: Literal["auto", "copy", "exact"] = "auto"


@dataclass(frozen=True)
class ReadOptions:
    """What a file of annotations may not say.

    Attributes:
        fps: Frames per second of all videos, for formats that count frames.
        rates: Frames per second by video name, asked first.
    """

    fps: Fraction | None = None
    rates: Mapping[str, Fraction] = field(default_factory=dict)

    def rate(self, video: str, place: str, said: Fraction | None = None) -> Fraction:
        """Return a video's frames per second: from its file, from the user, or as the annotations say.

        Raises:
            InputError: If nothing tells.
        """
        found = self.rates.get(video) or self.fps or said
        if found is None:
            raise InputError(f"{place}: times are frame numbers and the rate is not known; --fps RATE or --videos DIR")
        return found


def file_name(name: str) -> str:
    """Return a video's name if it can be a file's name in any folder, on any system.

    Raises:
        InputError: If it is empty, hidden, too long, reserved, or would lead elsewhere.
    """
    if name.split(".", maxsplit=1)[0].strip().lower() in _RESERVED or name.endswith("."):
        raise InputError(f"the video's name {shown(name)} cannot be the name of a file; rename it in the source")
    return safe_name(name)
