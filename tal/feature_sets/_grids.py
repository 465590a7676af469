"""Where the rows of a feature file lie in time, and whether that fits what is known of the video."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from tal.errors import ConfigError, InputError
from tal.feature_sets._base import Content, ImportOptions, Layout
from tal.feature_sets._durations import Duration
from tal.types import SnippetGrid

SLACK_ROWS = 2
"""Rows that tails and rounding may cost or add."""
SLACK = 0.02
"""What durations of different sources differ by: 25 and 24 frames per second, the nearest two, differ by twice that."""
_COMMON_FPS = tuple(Fraction(n) for n in (24, 25, 30, 50, 60, 15, 10)) + tuple(
    Fraction(n * 1000, 1001) for n in (24, 30, 60)
)
_SNAP = 0.005
_REMEDY = "give --fps or --stride, or correct the duration, or --keep-misfits"
NATIVE, RESCALED = "native rate", "rescaled rows"


@dataclass(frozen=True)
class Placed:
    """A video's rows in time.

    Attributes:
        grid: Where they lie.
        duration_s: When the video ends, seconds.
        rate: What their rate is where it differs from video to video of one set; empty where it does not.
        remarks: What a user should know, in lines that are the same for all videos that they are true of.
    """

    grid: SnippetGrid
    duration_s: float
    rate: str
    remarks: tuple[str, ...] = ()


def place(n: int, content: Content, layout: Layout, asked: ImportOptions, known: Duration | None) -> Placed:
    """Return where a video's rows lie in time.

    Args:
        n: How many rows there are.
        content: What the files say about time.
        layout: What the format says.
        asked: What the user says, which counts most.
        known: What is known about the video's duration.

    Raises:
        ConfigError: If the user tells a rate where it follows from the durations.
        InputError: If the rate is not known, or the rows do not fit the duration.
    """
    if known is None and content.duration_s is not None:
        known = Duration(content.duration_s, content.duration_s)
    if layout.rate == "rescaled":
        return _rescaled(n, asked, known)
    layout = _told(content, layout, asked)
    if layout.rate == "native":
        return _native(n, content, layout, asked, known)
    return _fixed(n, content, layout, asked, known)


def _told(content: Content, layout: Layout, asked: ImportOptions) -> Layout:
    """Return the layout with what the files say, and above that the user, put in."""
    said = {
        name: getattr(source, name)
        for source in (content, asked)
        for name in ("fps", "stride", "length", "convention")
        if getattr(source, name) is not None
    }
    if layout.rate == "unknown" and not {"fps", "stride"} <= set(said):
        raise InputError("the file says nothing about time: give --fps and --stride")
    if layout.rate == "unknown":
        said.setdefault("length", said["stride"])
    if "fps" in said or layout.rate == "unknown":
        said["rate"] = "fixed"
    return replace(layout, **said)


def _rescaled(n: int, asked: ImportOptions, known: Duration | None) -> Placed:
    if asked.fps or asked.stride or asked.length:
        raise ConfigError("these rows are rescaled to each video's duration: leave out --fps, --stride and --length")
    if known is None:
        raise InputError("its rows are rescaled and their rate follows from its duration; name it in --durations FILE")
    fps = n / Fraction(str(known.covered_s))
    return Placed(SnippetGrid(n, fps, 1, 1, convention="start"), known.seconds, RESCALED)


def _native(n: int, content: Content, layout: Layout, asked: ImportOptions, known: Duration | None) -> Placed:
    """Place rows that were taken at the video's own rate, which follows from its duration."""
    if known is None:
        told = f"durations are not known: {_rate(layout.fps)} are assumed; --durations FILE is better"
        grid = _grid(n, layout)
        return Placed(grid, _end_s(content, grid), NATIVE, (told, *_checked(n, grid, content, asked, known)))
    fps = known.fps or _snapped(n, content, layout, known.seconds)
    if fps is None:
        grid = _grid(n, replace(layout, fps=_quotient(n, content, layout, known.seconds)))
        remarks = _taken(_unusual(n, grid, known.seconds), asked)
    else:
        grid = _grid(n, replace(layout, fps=fps))
        remarks = _checked(n, grid, content, asked, known)
    return Placed(grid, known.seconds, NATIVE, remarks)


def _frames(n: int, content: Content, layout: Layout) -> tuple[int, int]:
    """Return how many frames a video has, at least and at most."""
    if content.n_frames is not None:
        return content.n_frames, content.n_frames
    return (n - 1) * layout.stride + layout.length, n * layout.stride + layout.length - 1


def _quotient(n: int, content: Content, layout: Layout, duration_s: float) -> Fraction:
    return Fraction(sum(_frames(n, content, layout)) / 2 / duration_s).limit_denominator(1000)


def _snapped(n: int, content: Content, layout: Layout, duration_s: float) -> Fraction | None:
    """Return the common rate of videos that fits frames and duration best, if one does."""
    low, high = (frames / duration_s for frames in _frames(n, content, layout))
    near = [fps for fps in _COMMON_FPS if low * (1 - _SNAP) <= fps <= high * (1 + _SNAP)]
    return min(near, key=lambda fps: abs(float(fps) - (low + high) / 2), default=None)


def _fixed(n: int, content: Content, layout: Layout, asked: ImportOptions, known: Duration | None) -> Placed:
    grid = _grid(n, layout, content.offset)
    remarks = _checked(n, grid, content, asked, known)
    if known is not None:
        return Placed(grid, known.seconds, "", remarks)
    told = ("durations are not known: videos are taken to end with their last snippet",)
    return Placed(grid, _end_s(content, grid), "", (*remarks, *(told if content.n_frames is None else ())))


def _checked(
    n: int, grid: SnippetGrid, content: Content, asked: ImportOptions, known: Duration | None
) -> tuple[str, ...]:
    """Refuse, or remark on, rows that do not fit what is known of the video."""
    if content.n_frames is not None and not fits(n, grid, content.n_frames):
        made = _expected(grid, content.n_frames)
        told = f"{n} snippets do not fit {content.n_frames} frames with one every {grid.stride}, which make {made}"
        return _taken(told, asked)
    if known is not None and not fits(n, grid, known.seconds * float(grid.fps) - grid.offset):
        return _taken(_misfit(n, grid, known.seconds), asked)
    return ()


def _taken(problem: str, asked: ImportOptions) -> tuple[str, ...]:
    if not asked.keep_misfits:
        raise InputError(f"{problem}; {_REMEDY}")
    return ("taken although their snippets do not fit what is known of the videos",)


def fits(n: int, grid: SnippetGrid, n_frames: float) -> bool:
    """Return whether a video of so many frames gives about `n` snippets, whatever is done about its tail."""
    one, other = n_frames / grid.stride, (n_frames - grid.length) / grid.stride + 1
    low, high = min(one, other), max(one, other)
    return low * (1 - SLACK) - SLACK_ROWS <= n <= high * (1 + SLACK) + SLACK_ROWS


def _misfit(n: int, grid: SnippetGrid, duration_s: float) -> str:
    expected = _expected(grid, duration_s * float(grid.fps))
    would = ((n - 1) * grid.stride + grid.length) / duration_s
    told = f"{n} snippets do not fit {duration_s:g} s at {_rate(grid.fps)}, which make {expected}"
    return f"{told}: they fit {would:.4g} frames per second"


def _unusual(n: int, grid: SnippetGrid, duration_s: float) -> str:
    told = f"{n} snippets, one every {grid.stride} frames, in {duration_s:g} s"
    return f"{told} would make {float(grid.fps):.4g} frames per second, which is no common rate of videos"


def _expected(grid: SnippetGrid, n_frames: float) -> int:
    return max(1, round((n_frames - grid.length) / grid.stride + 1))


def _grid(n: int, layout: Layout, offset: int = 0) -> SnippetGrid:
    return SnippetGrid(n, layout.fps, layout.length, layout.stride, offset, layout.convention)


def _end_s(content: Content, grid: SnippetGrid) -> float:
    n_frames = content.n_frames or (grid.n_snippets - 1) * grid.stride + grid.length
    return n_frames / float(grid.fps)


def _rate(fps: Fraction) -> str:
    return f"{float(fps):g} frames per second"
