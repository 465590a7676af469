"""What every format gives and takes: where its videos are, what is in them, how their rows lie in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from tal.errors import ConfigError, InputError
from tal.parsing import shown
from tal.types import STREAMS

Convention = Literal["centre", "start"]
MAX_NAME_BYTES = 200


@dataclass(frozen=True)
class ImportOptions:
    """What a user says about a feature set; None leaves it to the format.

    Attributes:
        fps: Frames per second that rows are counted in.
        stride: Frames between two rows.
        length: Frames that one row sees.
        convention: What a row's time is, as in `SnippetGrid`.
        crop: Which crop to take, where there are several; None for their mean.
        streams: Which streams lie side by side, in their order.
        durations: A file that `read_durations` reads.
        names: Text file with the videos' names, one per line, for formats that number them.
        annotations: Folder with the arrays that name the videos (W-TALC).
        strip: What to take off the beginning of the videos' names, such as ``v_``.
        keep_misfits: Take videos whose number of rows does not fit their duration.
    """

    fps: Fraction | None = None
    stride: int | None = None
    length: int | None = None
    convention: Convention | None = None
    crop: int | None = None
    streams: tuple[str, ...] | None = None
    durations: Path | None = None
    names: Path | None = None
    annotations: Path | None = None
    strip: str = ""
    keep_misfits: bool = False


@dataclass(frozen=True)
class Layout:
    """How a format's rows lie in time, as published.

    Attributes:
        about: What lies where, in one line.
        rate: ``fixed``: the same frames per second for all videos; ``native``: each video's own; ``rescaled``: a fixed
            number of rows, so that their rate follows from the duration; ``unknown``: it must be told.
        fps: Of a fixed rate; of a native one, what is assumed where a video's duration is not known.
        stride: Frames between two rows.
        length: Frames that one row sees.
        convention: What a row's time is, as in `SnippetGrid`.
    """

    about: str
    rate: Literal["fixed", "native", "rescaled", "unknown"] = "fixed"
    fps: Fraction = Fraction(25)
    stride: int = 16
    length: int = 16
    convention: Convention = "start"


@dataclass(frozen=True)
class Content:
    """One video's arrays as they lie in the files, and what the files say about time.

    Attributes:
        streams: Stream name to (T, D), or (crops, T, D).
        n_frames: Frames of the video.
        fps: Frames per second.
        stride: Frames between two rows.
        length: Frames that one row sees.
        convention: What a row's time is.
        offset: Index of the first frame that is seen, counted from the container's start.
        duration_s: When the video ends, seconds.
        motion: Mean flow magnitude per snippet, px per frame, (T,).
    """

    streams: Mapping[str, NDArray[Any]]
    n_frames: int | None = None
    fps: Fraction | None = None
    stride: int | None = None
    length: int | None = None
    convention: Convention | None = None
    offset: int = 0
    duration_s: float | None = None
    motion: NDArray[Any] | None = None


@dataclass(frozen=True)
class Item:
    """One video of a feature set, not read yet.

    Attributes:
        name: The video's name as the set has it.
        files: What its features are made of.
        read: Reads them; raises an `InputError`.
        row: Which part of the files it is, where they hold several videos.
        by_stream: The file of each stream, where each has its own.
    """

    name: str
    files: tuple[Path, ...]
    read: Callable[[], Content] = field(repr=False)
    row: str = ""
    by_stream: Mapping[str, Path] = field(default_factory=dict)

    def place(self, stream: str = "") -> str:
        """Return what a message calls the video, or one of its streams."""
        if stream in self.by_stream:
            return str(self.by_stream[stream])
        return ", ".join(part for part in (str(self.files[0]), self.row, stream) if part)


def safe_name(name: str) -> str:
    """Return a video's name if it can be a file's name in any folder.

    Raises:
        InputError: If it is empty, hidden, too long, or would lead elsewhere.
    """
    bad = (
        not name
        or name[0] == "."
        or name != name.strip()
        or any(c in '/\\:*?"<>|' or not c.isprintable() for c in name)
    )
    if bad or len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        raise InputError(f"the video's name {shown(name)} cannot be the name of a file; rename it in the source")
    return name


def side_by_side(values: NDArray[Any], streams: tuple[str, ...], place: Path | str) -> dict[str, NDArray[Any]]:
    """Split columns into streams of one width, without a copy.

    Raises:
        InputError: If there are no columns, or they are not as many for each.
    """
    if values.ndim != 2:
        raise InputError(f"{place}: an array of shape {values.shape}, not (snippets, columns)")
    width, rest = divmod(values.shape[1], len(streams))
    if rest or not width:
        raise InputError(f"{place}: {values.shape[1]} columns are not {' and '.join(streams)} of one width; --streams")
    return {name: values[:, i * width : (i + 1) * width] for i, name in enumerate(streams)}


def check_streams(streams: tuple[str, ...]) -> None:
    """Refuse streams that are not known or named twice.

    Raises:
        ConfigError: If there are such.
    """
    if not streams or len(set(streams)) < len(streams) or not set(streams) <= set(STREAMS):
        raise ConfigError(f"--streams {','.join(streams)}: write rgb,flow, flow,rgb, rgb or flow")
