"""What the reader sees in videos: format, rate, frames, time and damage, without converting a pixel."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypedDict

from extract import decoders
from extract.reports import Survey
from extract.video import survey, videos_at
from tal.errors import ConfigError, InputError
from tal.progress import Progress, Silent, Task

FIRST_FRAMES = 100
"""Frames of each video that are decoded where not all are asked for."""

NO_LIMIT_S = 1e9
"""A gap that no video has."""


class Seen(TypedDict):
    """The fields of `Probed.to_dict` that only a video that can be read has; null also where the file does not say.

    Numbers are rounded to 6 decimals; ``*_exact`` and ``time_base`` are fractions, such as ``"30000/1001"``. Times
    are seconds after the container's start.
    """

    container: str | None
    codec: str | None
    pixel_format: str | None
    width_px: int | None
    """As shown, that is after rotation; so is the height."""
    height_px: int | None
    rotation_deg: int | None
    """Clockwise, 0, 90, 180 or 270; applied by the reader."""
    mirrored: bool | None
    """Left to right, after the rotation; applied by the reader."""
    colour: str | None
    """Matrix, such as bt709."""
    colour_range: str | None
    """limited or full."""
    fps_nominal: float | None
    """The rate that all timestamps fit."""
    fps_nominal_exact: str | None
    fps_average: float | None
    """As the file claims."""
    fps_average_exact: str | None
    fps_measured: float | None
    """Over the frames that were decoded."""
    variable_rate: bool | None
    """Whether the steps between the decoded frames differ; null with fewer than 3 frames."""
    time_base: str | None
    start_s: float | None
    duration_s: float | None
    """When the stream ends, as the file claims."""
    end_s: float | None
    """When the last frame that was decoded ends."""
    complete: bool | None
    """Whether the whole video was decoded, or only its first frames."""
    n_frames_claimed: int | None
    n_frames_decoded: int | None
    n_bad_packets: int | None
    """Packets that could not be read or decoded."""
    n_damaged_frames: int | None
    """Decoded frames with guessed parts."""
    gaps_s: list[list[float]] | None
    """[start, end] wherever pictures are missing."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What was found out about one video.

    Attributes:
        path: The file, or a folder in which there is no video.
        survey: What the reader sees; None where nothing can be read.
        error: Why the video cannot be used, in one line without its path; empty if it can be used.
    """

    path: Path
    survey: Survey | None = None
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        r"""Return plain values for JSON; every key is always there.

        Returns:
            ``path``; ``path_hex``, its bytes if they are not UTF-8, which ``path`` shows as ``\xNN``, else None;
            ``error``, None if the video can be used; and the fields of `Seen`.
        """
        raw = os.fsencode(self.path)
        text = raw.decode("utf-8", "backslashreplace")
        exact = text.encode() == raw
        names = {"path": text, "path_hex": None if exact else raw.hex(), "error": self.error or None}
        return {**names, **(_seen(self.survey) if self.survey else dict.fromkeys(Seen.__annotations__))}


def probe(
    videos: Path | str | Sequence[Path | str],
    *,
    full: bool = False,
    decoder: str = "auto",
    max_gap_s: float = 2.0,
    progress: Progress | None = None,
) -> list[Probed]:
    """Look into videos as the extraction would read them; one that cannot be used does not stop the others.

    Args:
        videos: Video files and folders of them; what is named twice is looked at once.
        full: Decode all frames; else the first `FIRST_FRAMES` of each video.
        decoder: Name of the decoder.
        max_gap_s: Seconds without pictures that the extraction would bridge; a video with a longer gap cannot be used.
        progress: Who is told.

    Returns:
        One entry per file in the order given, folders sorted by path; for a path without any video its error.

    Raises:
        ConfigError: If there is no such decoder, or `max_gap_s` is no limit.
        BackendError: If the decoder cannot be used here.
    """
    if not 0 <= max_gap_s < math.inf:
        raise ConfigError(f"the longest gap must be 0 seconds or more, not {max_gap_s:g}")
    name = decoders.choose(decoder)
    paths = [videos] if isinstance(videos, str | Path) else videos
    found = list(_found(Path(path) for path in paths))
    done = []
    shown = progress or Silent()
    with shown.task("probe", len(found), "videos") as bar, shown.task("decode", None, "frames") as frames:
        for one in found:
            wanted = Wanted(name, 0 if full else FIRST_FRAMES, max_gap_s, frames)
            done.append(one if one.error else _look(one.path, wanted))
            bar.advance(1, one.path.name)
    return done


def _found(paths: Iterator[Path]) -> Iterator[Probed]:
    """Yield every file once, and the paths where there is none with the reason."""
    known: set[str] = set()
    for path in paths:
        try:
            files = videos_at(path)
        except InputError as error:
            yield _refused(path, error)
            continue
        for file in files:
            place = os.path.realpath(file)
            if place not in known:
                known.add(place)
                yield Probed(file)


@dataclass(frozen=True, slots=True)
class Wanted:
    """How videos are looked at: decoder, at most how many frames, longest gap, and whom to tell of each frame."""

    decoder: str
    max_frames: int
    max_gap_s: float
    bar: Task


def _look(path: Path, wanted: Wanted) -> Probed:
    try:  # without a limit: what is wrong with a video is to be shown as well
        found = survey(path, wanted.decoder, wanted.max_frames, NO_LIMIT_S, wanted.bar.advance)
    except InputError as error:
        return _refused(path, error)
    return Probed(path, found, _too_long(found, wanted.max_gap_s))


def _too_long(found: Survey, max_gap_s: float) -> str:
    """Return why a video's gaps are too long to be bridged, or nothing."""
    start_s, end_s = max(found.gaps, key=lambda gap: gap[1] - gap[0], default=(0.0, 0.0))
    if end_s - start_s <= max_gap_s:
        return ""
    return (
        f"no pictures from {start_s:.2f} to {end_s:.2f} s, damaged or cut short; copy it again, or allow gaps of more "
        f"than {max_gap_s:g} s"
    )


def _refused(path: Path, error: InputError) -> Probed:
    return Probed(path, error=str(error).removeprefix(f"{path}: "))


def _seen(found: Survey) -> Seen:
    info = found.info
    return {
        "container": info.container,
        "codec": info.codec,
        "pixel_format": info.pixel_format,
        "width_px": info.width,
        "height_px": info.height,
        "rotation_deg": info.rotation,
        "mirrored": info.mirrored,
        "colour": info.colour or None,
        "colour_range": info.colour_range or None,
        "fps_nominal": _rounded(info.fps_nominal),
        "fps_nominal_exact": _exact(info.fps_nominal),
        "fps_average": _rounded(info.fps),
        "fps_average_exact": _exact(info.fps),
        "fps_measured": _rounded(found.fps),
        "variable_rate": found.variable,
        "time_base": _exact(info.time_base),
        "start_s": _rounded(info.start_s),
        "duration_s": _rounded(info.duration_s),
        "end_s": _rounded(found.end_s),
        "complete": found.complete,
        "n_frames_claimed": info.n_frames,
        "n_frames_decoded": found.n_decoded,
        "n_bad_packets": found.n_bad_packets,
        "n_damaged_frames": found.n_damaged,
        "gaps_s": [[round(start_s, 6), round(end_s, 6)] for start_s, end_s in found.gaps],
    }


def _rounded(value: Fraction | float | None) -> float | None:
    return None if value is None else round(float(value), 6)


def _exact(value: Fraction | None) -> str | None:
    return None if value is None else f"{value.numerator}/{value.denominator}"
