"""Counts the real files of which we show the same frames as the ffmpeg program with ``-vf fps=``."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from tal.errors import VideoError

LEVELS = 2
"""Versions of FFmpeg differ by so much in codecs without an exact transform, such as XviD."""
FPS = Fraction(25)


@dataclass(frozen=True)
class Agreement:
    """How many files were read, show the same frames, and show them to the bit."""

    n_read: int = 0
    n_same: int = 0
    n_identical: int = 0
    n_frames: int = 0
    others: tuple[str, ...] = ()

    def plus(self, name: str, differences: list[float]) -> Agreement:
        """Return the counts with one more file, given the difference of each frame, in levels."""
        worst = max(differences)
        return Agreement(
            self.n_read + 1,
            self.n_same + (worst <= LEVELS),
            self.n_identical + (worst == 0),
            self.n_frames + len(differences),
            self.others if worst <= LEVELS else (*self.others, name),
        )


def available() -> bool:
    """Return whether there is an ffmpeg program."""
    return shutil.which("ffmpeg") is not None


def differences(path: Path) -> list[float]:
    """Return by how many levels each frame differs; infinite where only one of us shows one.

    Raises:
        VideoError: If we refuse the file.
    """
    from extract.video import open_video

    info = open_video(path, FPS, 1).info
    ours = open_video(path, FPS, min(info.width, info.height))
    return [_difference(a, b) for a, b in zip_longest(ours, _theirs(path, (info.height, info.width, 3)))]


def compare(files: Sequence[Path], done: Callable[[str], None]) -> Agreement:
    """Compare all files that we read; `done` is called after each."""
    agreement = Agreement()
    for path in files:
        with suppress(VideoError):  # what we refuse cannot be compared
            agreement = agreement.plus(path.name, differences(path))
        done(path.name)
    return agreement


def _theirs(path: Path, shape: tuple[int, int, int]) -> Iterator[Any]:
    command = ["ffmpeg", "-v", "quiet", "-nostdin", "-i", str(path), "-map", "0:v:0", "-vf", f"fps={FPS}"]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    n_bytes = shape[0] * shape[1] * shape[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            while process.stdout and len(picture := process.stdout.read(n_bytes)) == n_bytes:
                yield np.frombuffer(picture, np.uint8).reshape(shape)
        finally:
            process.kill()


def _difference(a: Any, b: Any) -> float:
    if a is None or b is None:
        return float("inf")
    return 0.0 if np.array_equal(a, b) else float(np.abs(a.astype(np.int16) - b).max())
