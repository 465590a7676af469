"""What a survey of a video shows, in words."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extract.reports import Survey

MAX_GAPS = 5
"""Gaps that are listed one by one."""
LATE_S = 0.1
"""A later start of the pictures is remarked upon; less is usual where sound begins first."""
COLUMNS = ("size", "codec", "fps", "frames", "seconds", "remarks")
"""Heads of the columns that `cells` fills."""


def cells(seen: Survey) -> list[str]:
    """Return the essentials, one text per column."""
    from extract.video import FASTEST

    info = seen.info
    end_s = seen.end_s if seen.complete else info.duration_s
    rates = (info.fps, seen.fps, info.fps_nominal)
    rate = next((fps for fps in rates if fps and fps <= FASTEST), None)
    return [
        f"{info.width}x{info.height}",
        info.codec,
        f"{float(rate):.4g}" if rate else "-",
        _counted(seen),
        "-" if end_s is None else f"{float(end_s):.2f}",
        ", ".join(_remarks(seen)),
    ]


def _counted(seen: Survey) -> str:
    claimed = seen.info.n_frames
    if not seen.complete:
        return "-" if claimed is None else str(claimed)
    return str(seen.n_decoded) if claimed in {None, seen.n_decoded} else f"{seen.n_decoded} of {claimed}"


def _remarks(seen: Survey) -> Iterator[str]:
    """Yield what is out of the ordinary."""
    from extract.reports import damage

    info = seen.info
    if info.rotation:
        yield f"rotated {info.rotation}"
    if info.mirrored:
        yield "mirrored"
    if seen.variable:
        yield "variable rate"
    if info.start_s > LATE_S:
        yield f"starts at {float(info.start_s):.3f} s"
    if worse := damage(seen.gaps, seen.n_bad_packets, seen.n_damaged):
        yield worse


def lines(seen: Survey) -> dict[str, str]:
    """Return everything, one text per aspect."""
    return {
        "container": seen.info.container,
        "codec": seen.info.codec,
        "pixels": ", ".join((seen.info.pixel_format, *_colour(seen))),
        "size": ", ".join(_size(seen)),
        "rate": ", ".join(_rates(seen)),
        "frames": ", ".join(_frames(seen)),
        "time": ", ".join(_times(seen)),
        "damage": _damage(seen),
        "gaps": _gaps(seen),
    }


def _colour(seen: Survey) -> Iterator[str]:
    yield seen.info.colour or "matrix not stated"
    yield f"{seen.info.colour_range} range" if seen.info.colour_range else "range not stated"


def _size(seen: Survey) -> Iterator[str]:
    yield f"{seen.info.width}x{seen.info.height} as shown"
    if seen.info.rotation:
        yield f"rotated {seen.info.rotation} degrees clockwise"
    if seen.info.mirrored:
        yield "mirrored left to right"


def _rates(seen: Survey) -> Iterator[str]:
    kinds = (("nominal", seen.info.fps_nominal), ("average", seen.info.fps), ("measured", seen.fps))
    yield from (f"{_rate(fps)} {kind}" for kind, fps in kinds if fps)
    if seen.variable is not None:
        yield "variable" if seen.variable else "constant"


def _rate(fps: Fraction | float) -> str:
    whole = isinstance(fps, float) or fps.denominator == 1
    return f"{float(fps):.6g}" + ("" if whole else f" ({fps})")


def _frames(seen: Survey) -> Iterator[str]:
    claimed = seen.info.n_frames
    yield f"{claimed} claimed" if claimed is not None else "number not claimed"
    yield f"{seen.n_decoded} decoded" if seen.complete else f"only the first {seen.n_decoded} decoded (--full: all)"


def _times(seen: Survey) -> Iterator[str]:
    yield f"starts at {float(seen.info.start_s):.3f} s"
    if seen.info.duration_s is not None:
        yield f"claims to end at {float(seen.info.duration_s):.3f} s"
    yield f"decoded to {seen.end_s:.3f} s"


def _damage(seen: Survey) -> str:
    found = f"{seen.n_bad_packets} bad packets, {seen.n_damaged} damaged frames"
    return found if seen.n_bad_packets or seen.n_damaged else _none(seen)


def _none(seen: Survey) -> str:
    return "none" if seen.complete else f"none in the first {seen.n_decoded} frames"


def _gaps(seen: Survey) -> str:
    if not seen.gaps:
        return _none(seen)
    listed = [f"{start_s:.3f} to {end_s:.3f} s" for start_s, end_s in seen.gaps[:MAX_GAPS]]
    more = [f"{len(seen.gaps) - MAX_GAPS} more"] if len(seen.gaps) > MAX_GAPS else []
    missing_s = sum(end_s - start_s for start_s, end_s in seen.gaps)
    return f"{', '.join(listed + more)}; {missing_s:.3f} s in all"
